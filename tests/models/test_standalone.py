"""A model that stands alone: its file, and its answers in original units."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from small_models import PREPARATIONS, part, small_model, small_table

import evornn
from evornn.data.preparation import Feature, OutputColumn
from evornn.data.table import Column, Table
from evornn.errors import EvornnError
from evornn.models.origin import ModelMetrics, Provenance
from evornn.models.predict import concatenate
from evornn.models.standalone import StandaloneModel
from evornn.networks.network import Network
from evornn.tasks import TASKS
from evornn.tasks.core.identity import data_digest


def equal(a: Table, b: Table) -> bool:
    return a.names == b.names and all(
        np.array_equal(x.values, y.values, equal_nan=x.kind == "number") and x.categories == y.categories
        for x, y in zip(a.columns, b.columns, strict=True)
    )


# ---- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", PREPARATIONS)
def test_a_file_holds_all_of_a_model(question: str, tmp_path: Path) -> None:
    metrics = ModelMetrics("mse", 0.25, None, "R²", 0.5, {"load": {"rmse": 1.5, "r2": None}}, {"load": 0.91}, (2.0,))
    provenance = Provenance(3, 1, "load", "csv", "adam", 7, "0" * 32, "0.1.0", "2026-01-31", "CC BY 4.0")
    calibration = np.sort(
        np.random.default_rng(0).random((9, len(small_model(question).own_preparation.answers), 4)), axis=0
    )
    model = replace(small_model(question), metrics=metrics, provenance=provenance, calibration=calibration)
    model.save(file := tmp_path / "model.safetensors")
    again = StandaloneModel.load(file)
    assert again.to_bytes() == file.read_bytes() == model.to_bytes()
    assert (again.preparation, again.metrics, again.provenance) == (model.preparation, metrics, provenance)
    assert np.array_equal(again.calibration, calibration)  # type: ignore[arg-type]
    assert equal(again.predict(small_table(groups=3)), model.predict(small_table(groups=3)))


def parts_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the arrays of a file."""
    from safetensors.numpy import load

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["evornn"]), dict(load(data))


def changed(path: str, value: Any, question: str = "regress") -> bytes:
    """A file with another value in its header."""
    header, arrays = parts_of(small_model(question).to_bytes())
    place, (*names, last) = header, path.split(".")
    for name in names:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return bytes(save(arrays, metadata={"evornn": json.dumps(header)}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parameters", 1),
        ("inputs", 7),
        ("outputs", "many"),
        ("format", 3),
        ("network", [1]),
        ("preparation.question", "guess"),
        ("preparation.features", []),
        ("preparation.features.0.std", 0.0),
        ("preparation.features.0.std", "wide"),
        ("preparation.features.0.mean", None),
        ("preparation.answers.0.transform", "__import__('os')"),
        ("preparation.answers.0.horizon", -1),
        ("preparation.missing", "guess"),
        ("metrics.errors", 3),
        ("provenance.run", "x"),
    ],
)
def test_a_header_that_says_something_else_is_refused(path: str, value: Any) -> None:
    with pytest.raises(EvornnError, match=r"^x\.safetensors is not a model of evornn, or is damaged: .*$"):
        StandaloneModel.from_bytes(changed(path, value), "x.safetensors")


@pytest.mark.parametrize(("path", "value"), [("preparation.window", 0), ("preparation.answers.0.horizon", 2)])
def test_a_forecast_without_a_window_or_of_several_horizons_is_refused(path: str, value: int) -> None:
    with pytest.raises(EvornnError, match="damaged"):
        StandaloneModel.from_bytes(changed(path, value, "forecast"))


@given(st.data())
def test_a_damaged_file_is_refused_or_is_a_model(data: st.DataObject) -> None:
    whole = bytearray(small_model("forecast").to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    try:
        StandaloneModel.from_bytes(bytes(whole[:cut]))
    except EvornnError as error:
        assert "damaged" in str(error) and "\n" not in str(error)


def test_files_of_earlier_versions_open() -> None:
    network = Network("gru", inputs=2, units=8, outputs=1)
    genome = network.sample(1, 0)[0]
    design = {"run": 5, "network": {"kind": "gru"}, "inputs": 2, "outputs": 1, "parameters": network.n}
    model = StandaloneModel.from_bytes(bytes(save({"genome": genome}, metadata={"evornn": json.dumps(design)})))
    assert model.provenance.run == 5 and model.preparation is None and model.network.n == network.n
    with pytest.raises(EvornnError, match="knows no columns"):
        model.predict(small_table())


def test_loading_imports_nothing_that_a_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil_cell.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for network in ({"kind": "evil_cell:Cell"}, {"kind": "gru", "units": 6, "part": [{"kind": "evil_cell:Cell"}]}):
        model = StandaloneModel.from_bytes(changed("network", network))
        with pytest.raises(EvornnError, match="is code, evil_cell:Cell"):
            model.predict(small_table())


def test_a_network_of_another_size_is_refused() -> None:
    with pytest.raises(EvornnError, match="parameters, its network"):
        _ = StandaloneModel.from_bytes(changed("network.units", 7)).network


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(EvornnError, match=r"can't read .*none\.safetensors: No such file"):
        StandaloneModel.load(tmp_path / "none.safetensors")
    with pytest.raises(EvornnError, match=r"can't write .*: No such file or directory; choose another"):
        small_model("label").save(tmp_path / "none" / "model.safetensors")


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["none", "sqrt", "log1p"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A training on a CSV file, and its columns as a table."""
    rng, steps = np.random.default_rng(0), np.arange(240)
    load = np.exp(1 + np.sin(steps / 6)) * 20 + rng.uniform(0, 1, len(steps))
    wind = 5 + np.cos(steps / 4) + rng.uniform(0, 0.1, len(steps))
    path = tmp_path_factory.mktemp("data") / "series.csv"
    path.write_text(
        "load,wind\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(load.tolist(), wind.tolist(), strict=True))
    )
    spec = {"targets": ["load", "wind"], "horizon": 2, "window": 12, "transform": request.param}
    data = TASKS.build({"kind": "csv", "path": str(path), **spec}).data()
    network = evornn.Network("gru", inputs=2, units=4, outputs=4)
    run = evornn.train(network, data, "adam", seed=1, budget=20_000)
    table = Table((Column("load", "number", load), Column("wind", "number", wind)), "series.csv")
    yield {"data": data, "run": run, "table": table, "network": network}


def test_errors_on_the_rows_of_the_test_split_are_those_of_the_run(trained: dict[str, Any]) -> None:
    run, first = trained["run"], round(0.85 * 240) - 12
    assert run.model.evaluate(part(trained["table"], first, 240)) == run.result.forecast_errors
    assert run.model.metrics.errors == run.result.forecast_errors


def test_forecasts_are_those_of_the_chart(trained: dict[str, Any]) -> None:
    data, run = trained["data"], trained["run"]
    outputs = trained["network"].predict(run.genome[None], data.test.inputs)[0, :, -1]
    predicted = run.model.predict(trained["table"])
    names = [f"{name}+{ahead}" for name in ("load", "wind") for ahead in (1, 2)]
    forecasts = np.column_stack([predicted.column(name).values for name in names])
    assert np.array_equal(forecasts[-2 - len(data.test) : -2], data.chart.inverse_transform(outputs))
    assert predicted.column("row").values[[0, -1]].tolist() == [12, 240]


def test_next_begins_with_the_direct_forecast_and_goes_on_with_its_own(trained: dict[str, Any]) -> None:
    model, table = trained["run"].model, trained["table"]
    last = model.predict(table)
    ahead = model.predict(table, next=4)
    own = {name: ahead.column(name).values for name in ("load", "wind")}
    for name, values in own.items():
        assert values[:2].tolist() == [last.column(f"{name}+{k}").values[-1] for k in (1, 2)]
    longer = Table(
        tuple(Column(n, "number", np.append(table.column(n).values, v[:2])) for n, v in own.items()), "longer"
    )
    for name, values in own.items():
        again = model.predict(longer)
        assert values[2:].tolist() == [again.column(f"{name}+{k}").values[-1] for k in (1, 2)]


def test_intervals_are_symmetric_and_grow_with_coverage(trained: dict[str, Any]) -> None:
    model, table = trained["run"].model, trained["table"]
    widths = []
    for coverage in (0.5, 0.9):
        answers = model.predict(table, coverage=coverage)
        low, middle, high = (answers.column(f"wind+2{end}").values for end in ("_low", "", "_high"))
        assert np.allclose(high - middle, middle - low) and np.allclose(high - middle, (high - middle)[0])
        widths.append(float((high - middle)[0]))
    assert 0 < widths[0] < widths[1]
    assert model.calibration is not None and model.calibration.shape[1:] == (2, 24)
    assert set(model.metrics.coverage) == {"load", "wind"}


@pytest.mark.parametrize("size", [1, 7, 23])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("question", PREPARATIONS)
def test_parts_of_a_table_are_answered_like_the_whole(question: str, groups: int, size: int) -> None:
    model, table = small_model(question), small_table(groups=groups)
    parts = (part(table, k, k + size) for k in range(0, len(table), size))
    whole, together = model.predict(table), concatenate(list(model.predict_parts(parts)))
    for a, b in zip(whole.columns, together.columns, strict=True):
        assert a.name == b.name
        if a.kind == "number":
            assert np.allclose(a.values, b.values, rtol=1e-5)
        else:
            assert a.values.tolist() == b.values.tolist()


@pytest.mark.parametrize("question", ["classify", "regress", "label"])
def test_groups_are_answered_alone_wherever_their_rows_are(question: str) -> None:
    model, table = small_model(question), small_table(groups=4)
    order = np.random.default_rng(1).permutation(4)
    who = table.column("who").values
    shuffled = np.concatenate([np.flatnonzero(who == f"g{k}") for k in order])
    mixed = Table(
        tuple(Column(c.name, c.kind, c.values[shuffled], c.categories) for c in table.columns), "mixed", table.lines
    )
    name = model.own_preparation.answers[0].column + ("=a" if question == "classify" else "")

    def by_group(answers: Table) -> dict[str, list[float]]:
        names = answers.column("who").values
        return {str(n): answers.column(name).values[names == n].tolist() for n in np.unique(names.astype(str))}

    one, other = by_group(model.predict(table)), by_group(model.predict(mixed))
    assert one.keys() == other.keys()
    assert all(np.allclose(one[n], other[n], rtol=1e-5) for n in one)
    alone = model.predict(part(table, 0, int((who == "g0").sum())))
    assert np.allclose(alone.column(name).values, one["g0"], rtol=1e-5)


def test_classes_have_probabilities_and_measures() -> None:
    model, table = small_model("classify"), small_table(groups=4)
    answers = model.predict(table)
    shares = np.column_stack([answers.column(f"kind={name}").values for name in "abc"])
    assert np.allclose(shares.sum(axis=1), 1) and (answers.column("kind").values == shares.argmax(axis=1)).all()
    truth = np.array([0, 1, 2, 0])
    measures = model.evaluate(table)["kind"]
    assert measures["accuracy"] == (shares.argmax(axis=1) == truth).mean()
    assert measures["log_loss"] == pytest.approx(-np.log(shares[np.arange(4), truth]).mean())


@pytest.mark.parametrize(("question", "answer", "group"), [("regress", "quality", True), ("label", "wind", False)])
def test_numbers_are_measured_in_their_units(question: str, answer: str, group: bool) -> None:
    model, table = small_model(question), small_table(groups=4)
    answers, who = model.predict(table).column(answer).values, table.column("who").values
    ends = [int(np.flatnonzero(who == f"g{k}")[-1]) for k in range(4)]
    truth = table.column(answer).values[ends] if group else table.column(answer).values
    assert model.evaluate(table)[answer]["mae"] == pytest.approx(np.abs(answers - truth).mean())


# ---- what is missing or wrong ----------------------------------------------------------------------------------------


def without(table: Table, name: str) -> Table:
    return Table(tuple(c for c in table.columns if c.name != name), table.source, table.lines)


def holed(table: Table, name: str, row: int) -> Table:
    values = {c.name: c.values.copy() for c in table.columns}
    values[name][row] = -1 if table.column(name).kind == "category" else np.nan
    columns = tuple(Column(c.name, c.kind, values[c.name], c.categories) for c in table.columns)
    return Table(columns, table.source, table.lines)


def test_what_is_wrong_with_a_table_is_said_in_a_line() -> None:
    model, table = small_model("forecast"), small_table()
    with pytest.raises(EvornnError, match=r"^made up: no column 'load'"):
        model.predict(without(table, "load"))
    for name in ("load", "day"):
        with pytest.raises(EvornnError, match=rf"^made up, line 9, column '{name}': no finite number: fill it in"):
            model.predict(holed(table, name, 7))
    with pytest.raises(EvornnError, match=r"line 2, column 'temp': 'a' is not a number"):
        model.predict(
            replace(table, columns=(*without(table, "temp").columns, Column("temp", "text", np.array(["a"] * 60))))
        )
    with pytest.raises(EvornnError, match=r"line 2, column 'load': is missing, and nothing is before it: fill it in"):
        small_model("forecast", missing="forward_fill").predict(holed(table, "load", 0))
    with pytest.raises(EvornnError, match=r"^4 rows, and a forecast reads 5: give more rows"):
        model.predict(part(table, 0, 4))
    with pytest.raises(EvornnError, match="reads columns that it doesn't forecast"):
        model.predict(table, next=4)
    with pytest.raises(EvornnError, match="has no calibration"):
        model.predict(table, coverage=0.9)
    with pytest.raises(EvornnError, match="only a forecast goes on"):
        small_model("label").predict(table, next=1)
    with pytest.raises(EvornnError, match=r"7 rows, and a forecast reads 5 and is compared with 3 after them"):
        model.evaluate(part(table, 0, 7))


def test_missing_values_as_the_preparation_says() -> None:
    table = small_table()
    filled = small_model("forecast", missing="forward_fill")
    values = table.column("load").values.copy()
    values[20] = values[19]
    same = replace(table, columns=(Column("load", "number", values), *table.columns[1:]))
    assert equal(filled.predict(holed(table, "load", 20)), filled.predict(same))
    parts = [part(holed(table, "load", 20), k, k + 10) for k in range(0, 60, 10)]
    assert equal(concatenate(list(filled.predict_parts(iter(parts)))), filled.predict(same))
    values[20] = (values[19] + values[21]) / 2
    middle = replace(table, columns=(Column("load", "number", values), *table.columns[1:]))
    between = small_model("forecast", missing="interpolate")
    assert np.allclose(
        between.predict(holed(table, "load", 20)).columns[1].values, between.predict(middle).columns[1].values
    )
    masked = small_model("label").predict(holed(table, "day", 3))
    assert np.isfinite(masked.column("wind").values).all()


def test_rows_of_a_sequence_that_is_not_together_are_refused_in_parts() -> None:
    model, table = small_model("regress"), small_table(groups=3)
    parts = [part(table, 0, 50), part(table, 0, 5)]
    with pytest.raises(EvornnError, match=r"column 'who': the rows of 'g0' are not together: sort the file"):
        list(model.predict_parts(iter(parts)))


# ---- what is known ahead, the calendar, and scales of groups ---------------------------------------------------------


def by_hand(model: StandaloneModel, table: Table, rows: list[int], group: str) -> np.ndarray:
    """Forecasts [2] at the last of some rows, from the equation of each input."""
    mean, std = {"g0": (40.0, 10.0), "g1": (60.0, 30.0)}.get(group, (50.0, 20.0))
    load, wind, day = (table.column(name).values for name in ("load", "wind", "day"))
    inputs = []
    for row in rows:
        turn = 2 * np.pi * (row % 24) / 24
        ahead = [(wind[row + k] - 3) / 2 for k in (1, 2)]
        one_hot = [float(day[row + 2] == k) for k in (0, 1)]
        inputs.append([(load[row] - mean) / std, 0.0, np.sin(turn), np.cos(turn), *ahead, *one_hot])
    outputs = model.network.predict(model.genome[None], np.array([inputs], np.float32))[0, 0, -1]
    return np.asarray(mean + std * outputs.astype(np.float64))


def test_rows_ahead_times_and_scales_of_groups_are_read_as_the_preparation_says() -> None:
    model, table = small_model("ahead"), small_table(groups=3)
    answers, who = model.predict(table), table.column("who").values
    for group in ("g0", "g1", "g2"):
        own = np.flatnonzero(who == group)
        forecasts = answers.column("load+1").values[answers.column("who").values == group]
        assert len(forecasts) == len(own) - 2
        assert np.isclose(forecasts[0], by_hand(model, table, own[:3].tolist(), group)[0], rtol=1e-5)


def test_rows_beyond_the_end_say_what_is_known_ahead() -> None:
    model, table = small_model("ahead"), small_table()
    for row in (58, 59):
        table = holed(table, "load", row)
    ahead = model.predict(table, next=2)
    assert np.allclose(ahead.column("load").values, by_hand(model, table, [55, 56, 57], "g0"), rtol=1e-5)
    with pytest.raises(EvornnError, match=r"doesn't forecast \(hour of when, 0 to 1, wind\+1, wind\+2, day\+2\)"):
        model.predict(table, next=3)


def test_order_of_time_counts_not_that_of_rows() -> None:
    model, table = small_model("ahead"), small_table()
    order = np.random.default_rng(0).permutation(60)
    mixed = Table(tuple(Column(c.name, c.kind, c.values[order], c.categories) for c in table.columns), "mixed")
    one, other = model.predict(table), model.predict(mixed)
    back = np.argsort(other.column("when").values)
    assert np.allclose(other.column("load+2").values[back], one.column("load+2").values, rtol=1e-5)


def test_a_category_that_training_did_not_have_is_none_of_them() -> None:
    table = small_table()
    strange = Column("day", "category", np.zeros(60, np.int64), ("tu",))
    answers = small_model("forecast").predict(replace(table, columns=(*without(table, "day").columns, strange)))
    assert np.isfinite(answers.column("load+1").values).all()


# ---- the tasks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sunspots", "mackey_glass", "sines"])
def test_forecasting_tasks_say_how_columns_become_inputs(kind: str) -> None:
    data = TASKS.build({"kind": kind}).data()
    preparation = data.preparation
    assert preparation is not None and preparation.question == "forecast"
    assert sum(part.width for part in preparation.features) == data.sizes[0]
    assert sum(part.width for part in preparation.answers) == data.sizes[1]
    assert data.evaluation.preparation == preparation
    assert data_digest(data) == data_digest(replace(data, preparation=None))
    assert type(preparation).from_dict(json.loads(json.dumps(preparation.to_dict()))) == preparation


def test_preparation_of_a_csv(trained: dict[str, Any]) -> None:
    preparation = trained["data"].preparation
    assert [type(p) for p in preparation.features] == [Feature, Feature]
    assert [(p.column, p.horizon, p.difference) for p in preparation.answers] == [("load", 2, True), ("wind", 2, True)]
    assert isinstance(preparation.answers[0], OutputColumn) and preparation.window == 12
