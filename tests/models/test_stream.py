"""A model row by row says what it says of whole sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import PREPARATIONS, small_model, small_table

from evornn.cell import Cell
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.models.export import export
from evornn.models.numpy_step import NumpyStep
from evornn.models.rows import group_rows, read_rows
from evornn.models.standalone import StandaloneModel
from evornn.models.stream import WindowStream
from evornn.models.units import sources, to_answers, to_inputs
from evornn.networks import CELLS
from evornn.networks.network import Network
from evornn.ops import Node, maximum, minimum, sign, where
from evornn.settings import settings

GATED = sorted(name for name in CELLS if issubclass(CELLS[name], Cell))


@settings
class Memory(Cell):
    """States that take over other states as they were, and operations that no cell of the catalog needs."""

    state = ("h", "last", "before")

    def step(self, w: object, x: Node, h: Node, last: Node, before: Node, t: Node) -> tuple[Node, Node, Node]:
        gate = where(sign(w.a(x, before)), maximum(h, -0.5), minimum(-2.0, h))  # type: ignore[attr-defined]
        return gate * w.scale + t * 0.01, h, last  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "sizes", [{}, {"layers": 3, "initial_state": "learned"}, {"units": 2, "outputs": 1}, {"units": 33}], ids=str
)
@pytest.mark.parametrize("kind", [*GATED, Memory()], ids=lambda kind: getattr(kind, "__doc__", kind)[:20])
def test_every_gated_cell_step_by_step(kind: str | Cell, sizes: dict[str, object]) -> None:
    network = Network(kind, **{"inputs": 3, "units": 4, "outputs": 2, **sizes})  # type: ignore[arg-type]
    genome = network.sample(1, seed=0)[0]
    program = NumpyStep(network.layout, genome)
    x = np.random.default_rng(1).standard_normal((2, 80, 3)).astype(np.float32)
    for sequence, expected in zip(x, network.predict(genome[None], x)[0], strict=True):
        program.reset()
        answers = np.array([program.step(inputs) for inputs in sequence])
        assert np.allclose(answers, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".onnx", ".py", ".c"])
def test_exports_keep_states_that_take_over_others(suffix: str, tmp_path: Path) -> None:
    network = Network(Memory(), inputs=3, units=4, outputs=2)
    export(network, network.sample(1, 0)[0], tmp_path / f"network{suffix}")


def rows_of(model: StandaloneModel, table: Table) -> np.ndarray:
    return read_rows(model.own_preparation, table, group_rows(model.own_preparation, table))


def given(model: StandaloneModel) -> list[int]:
    """The places of what a stream is given: all but values of the row before."""
    return [k for k, source in enumerate(sources(model.own_preparation)) if source.is_given]


@pytest.mark.parametrize("question", PREPARATIONS)
def test_a_stream_is_the_whole_sequence_in_original_units(question: str) -> None:
    model = small_model(question).for_group("g0")
    rows = rows_of(model, small_table())
    outputs = model.network.predict(model.genome[None], to_inputs(model.own_preparation, rows)[None])[0, 0]
    stream = model.stream()
    for _ in range(2):
        answers = np.array([stream.step(row) for row in rows[:, given(model)]])
        assert np.allclose(answers, to_answers(model.own_preparation, outputs, rows), rtol=1e-5)
        stream.reset()


@pytest.mark.parametrize("question", ["forecast", "recursive", "changes", "roots"])
def test_a_stream_of_windows_says_what_predict_says(question: str) -> None:
    model, table = small_model(question), small_table()
    rows = rows_of(model, table)[:, given(model)]
    stream, window = WindowStream(model), model.own_preparation.window or 0
    answers = np.array([stream.step(row) for row in rows])
    assert np.isnan(answers[: window - 1]).all()
    predicted = model.predict(table)
    names = [name for name in predicted.names if "+" in name]
    expected = np.column_stack([predicted.column(name).values for name in names])
    assert np.allclose(answers[window - 1 :], expected, rtol=1e-6)


def test_missing_values_in_a_stream() -> None:
    stream = small_model("label").stream()
    assert np.isfinite(stream.step([np.nan, -1e4, np.nan])).all()


def test_what_cannot_be_streamed_is_said_in_a_line() -> None:
    model = small_model("label", "bidirectional")
    with pytest.raises(EvornnError, match="torch model without an equation"):
        model.stream()
    with pytest.raises(EvornnError, match="only a forecast reads windows"):
        WindowStream(small_model("label"))


def test_gaps_of_a_stream_are_filled_as_in_training() -> None:
    model = small_model("recursive", missing="forward_fill")
    rows = np.array([30.0, np.nan, np.nan, 60.0, np.nan, 45.0, 40.0])
    filled = np.array([30.0, 30.0, 30.0, 60.0, 60.0, 45.0, 40.0])
    for gaps, whole in ((model.stream(), model.stream()), (WindowStream(model), WindowStream(model))):
        answers, expected = ([one.step([value]) for value in values] for one, values in ((gaps, rows), (whole, filled)))
        assert np.array_equal(answers, expected, equal_nan=True) and np.isfinite(answers[-1]).all()
        gaps.reset()
        assert not np.isfinite(gaps.step([np.nan])).any()


def test_what_a_row_alone_does_not_tell_is_refused() -> None:
    with pytest.raises(EvornnError, match="known only later: give a file"):
        WindowStream(small_model("recursive", missing="interpolate"))
    grouped = small_model("ahead")
    with pytest.raises(EvornnError, match="each group has a scale of its own"):
        WindowStream(grouped)
    assert WindowStream(grouped.for_group("g0")).columns == grouped.for_group("g0").stream().columns
