"""From columns to the network and back: the same in every format, and what the tasks do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import PREPARATIONS, small_model

from evornn.cell import Cell
from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Scaling, inverse
from evornn.errors import EvornnError
from evornn.models import export as exports
from evornn.models.export import export, export_model
from evornn.models.formats import FORMATS
from evornn.models.units import columns, emit_answers, emit_inputs, to_answers, to_inputs
from evornn.networks import CELLS
from evornn.networks.network import Network

GATED = sorted(name for name in CELLS if issubclass(CELLS[name], Cell))
RUN = tuple(suffix for suffix in FORMATS if suffix != ".json")
TRANSFORMS = st.sampled_from(["none", "sqrt", "log1p"])


# In one format each: test_exports.py has every cell in every format, and units go around it in the same way.
@pytest.mark.parametrize(("kind", "suffix"), [(kind, RUN[k % len(RUN)]) for k, kind in enumerate(GATED)])
def test_every_gated_cell_takes_and_gives_original_units(kind: str, suffix: str, tmp_path: Path) -> None:
    exported = export_model(small_model("forecast", kind), tmp_path / f"network{suffix}")
    assert exported.difference is not None and exported.difference <= 1e-5


@pytest.mark.parametrize("suffix", RUN)
@pytest.mark.parametrize("question", PREPARATIONS)
def test_every_question_in_every_format(question: str, suffix: str, tmp_path: Path) -> None:
    exported = export_model(small_model(question), tmp_path / f"network{suffix}")
    assert exported.difference is not None and exported.difference <= 1e-5


@pytest.mark.parametrize("suffix", RUN)
@pytest.mark.parametrize("wrong", ["mean", "std", "transform"])
def test_a_file_with_other_units_is_not_written(
    suffix: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, write = small_model("regress"), exports._write
    changes = {"mean": 1.001, "std": 0.301, "transform": "none"}
    answer = OutputColumn("quality", **{"transform": "log1p", "mean": 1.0, "std": 0.3, wrong: changes[wrong]})  # type: ignore[arg-type]
    other = Preparation("regress", model.own_preparation.features, (answer,))
    monkeypatch.setattr(exports, "_write", lambda *args: write(*args[:-1], other))
    with pytest.raises(EvornnError, match="differs from the network at step 1"):
        export(model.network, model.genome, tmp_path / f"network{suffix}", preparation=model.preparation)
    assert not list(tmp_path.iterdir())


def test_hostile_names_of_columns_stay_text(tmp_path: Path) -> None:
    name = '*/ """\\ \n#error {x} %s'
    features, answers = (Feature(name, categories=('"', "*/")),), (OutputColumn(name, categories=("\n", '"""')),)
    model = small_model("classify", features=features, answers=answers, group=None)
    for suffix in FORMATS:
        export_model(model, tmp_path / f"network{suffix}")
    assert json.loads((tmp_path / "network.json").read_text())["preparation"]["features"][0]["column"] == name


@given(TRANSFORMS, st.data())
def test_inputs_are_what_scaling_makes_of_them(transform: str, data: st.DataObject) -> None:
    numbers = st.floats(0.0, 1e6, allow_nan=False)
    values = np.array(data.draw(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=9)))
    scaling = Scaling.fit(transform, values)  # type: ignore[arg-type]
    if (scaling.std < 1e-6).any():
        return
    features = tuple(
        Feature(n, transform, float(m), float(s)) for n, m, s in zip("ab", scaling.mean, scaling.std, strict=True)
    )
    preparation = Preparation("regress", features, (OutputColumn("a"),))
    assert np.array_equal(to_inputs(preparation, values), scaling.apply(values).astype(np.float32))


@given(TRANSFORMS, st.booleans(), st.floats(-50, 50), st.floats(0.01, 50), st.floats(0, 1e4), st.floats(-3, 3))
def test_answers_follow_the_equation_of_charts(
    transform: str, difference: bool, mean: float, std: float, level: float, output: float
) -> None:
    answer = OutputColumn("y", transform, mean, std, horizon=2, difference=difference)  # type: ignore[arg-type]
    preparation = Preparation("forecast", (Feature("y", transform, mean, std),), (answer,), window=3)  # type: ignore[arg-type]
    base = (Scaling(transform, np.array(mean), np.array(std)).apply(np.array(level))) * difference  # type: ignore[arg-type]
    outputs = np.full((1, 2), output, np.float32)
    expected = inverse(transform, mean + std * base + std * outputs.astype(np.float64))  # type: ignore[arg-type]
    assert np.allclose(to_answers(preparation, outputs, np.array([[level]])), expected, rtol=1e-12, equal_nan=True)


def test_the_last_known_value_of_an_answer_is_read_even_if_the_network_does_not() -> None:
    answers = (OutputColumn("y", difference=True), OutputColumn("z"))
    assert columns(Preparation("forecast", (Feature("x"),), answers, window=1)) == ("x", "y")


def test_categories_are_one_hot_and_answered_by_probabilities() -> None:
    preparation = Preparation(
        "label", (Feature("c", categories=("a", "b")),), (OutputColumn("c", categories=("a", "b")),)
    )
    rows = np.array([[1.0], [0.0], [np.nan]])
    assert to_inputs(preparation, rows).tolist() == [[0, 1], [1, 0], [0, 0]]
    probabilities = to_answers(preparation, np.array([[0, np.log(3)]], np.float32), rows[:1])
    assert np.allclose(probabilities, [[0.25, 0.75]])


class Recorder:
    """Which operations a walk asks for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        return lambda *args: self.asked.append(name) or "value"


def test_missing_values_are_filled_in_only_where_they_are_allowed() -> None:
    for missing in ("refuse", "mask", "forward_fill"):
        recorder, model = Recorder(), small_model("regress", missing=missing)
        emit_inputs(model.own_preparation, recorder, "row")  # type: ignore[arg-type, type-var]
        assert ("fill" in recorder.asked) == (missing != "refuse")
        emit_answers(model.own_preparation, recorder, "outputs", "row")  # type: ignore[arg-type, type-var]


def test_without_a_preparation_the_numbers_are_the_networks_own(tmp_path: Path) -> None:
    network = Network("gru", inputs=1, units=2, outputs=1)
    export(network, network.sample(1, 0)[0], tmp_path / "net.c")
    assert "const float *inputs" in (tmp_path / "net.c").read_text()
