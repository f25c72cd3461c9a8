"""From a file of one's own to a model and back: its answers on a file are those of the task that it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evornn
from evornn.errors import EvornnError
from evornn.models.predict import concatenate
from evornn.models.standalone import StandaloneModel
from evornn.models.table_file import read_parts
from evornn.tasks import TASKS

RNG = np.random.default_rng(0)
GROUPS, STEPS = 24, 9


def trained(task: dict[str, Any], budget: int = 5_000) -> evornn.Trained:
    inputs, outputs = TASKS.build(task).data().sizes
    network = evornn.Network("gru", inputs=inputs, outputs=outputs, units=3)
    return evornn.train(network, task, {"kind": "snes", "population": 4}, seed=0, budget=budget)


def evaluate(model: StandaloneModel, file: Path) -> dict[str, Any]:
    return dict(model.evaluate(concatenate(list(read_parts(file, model.own_preparation, with_answers=True)))))


def recordings(words: tuple[str, str], ids: str) -> str:
    """Groups with a boolean input, a category, and two classes in the middle of nowhere."""
    lines = ["id,kind,x,on,where"]
    for group in range(GROUPS):
        for _ in range(STEPS):
            on, where = ("True", "False")[RNG.integers(2)], "abc"[RNG.integers(3)]
            lines.append(f"{ids.format(group)},{words[group % 2]},{RNG.normal():.3f},{on},{where}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("words", [("yes", "no"), ("True", "False"), ("1.0", "0.0"), ("a", "b")])
@pytest.mark.parametrize("ids", ["{}.0", "{:03}", "s{}"])
def test_classes_groups_and_booleans_mean_what_they_meant_in_training(
    tmp_path: Path, words: tuple[str, str], ids: str
) -> None:
    file = tmp_path / "all.csv"
    file.write_text(recordings(words, ids))
    task = {"kind": "classify", "path": str(file), "target": "kind", "group": "id"}
    run, data = trained(task), TASKS.build(task).data()
    model = run.model
    answers = concatenate(list(model.predict_parts(read_parts(file, model.own_preparation))))
    assert len(answers) == GROUPS
    shares = np.array([column.values for column in answers.columns[-2:]]).T
    correct = 0.0
    for split in data.splits:  # all sequences are as long, and in one of the parts
        outputs = run.network.predict(run.genome[None], split.inputs)[0, :, -1].astype(float)
        correct += (outputs.argmax(1) == split.targets[:, -1].argmax(1)).sum()
        expected = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        assert all(np.isclose(shares, one, atol=1e-5).all(axis=1).any() for one in expected)
    assert evaluate(model, file)["kind"]["accuracy"] == pytest.approx(correct / GROUPS)


def test_a_class_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    file.write_text(recordings(("a", "b"), "s{}"))
    model = trained({"kind": "classify", "path": str(file), "target": "kind", "group": "id"}).model
    file.write_text(file.read_text().replace(",b,", ",w,"))
    with pytest.raises(EvornnError, match=r"column 'kind': 'w' is no class of the model \(a, b\): leave such rows out"):
        evaluate(model, file)


def series(gaps: bool) -> str:
    values = 50 + 10 * np.sin(np.arange(160) / 5) + RNG.normal(0, 1, 160)
    days = np.datetime64("2024-01-01") + np.arange(160)
    cells = ["" if gaps and k % 9 == 4 else f"{value:.3f}" for k, value in enumerate(values)]
    return "day,load\n" + "".join(f"{day},{cell}\n" for day, cell in zip(days, cells, strict=True))


@pytest.mark.parametrize("past", ["levels", "changes", "both"])
@pytest.mark.parametrize("missing", ["refuse", "mask"])
def test_errors_of_a_forecast_are_those_of_its_task(tmp_path: Path, missing: str, past: str) -> None:
    file, rows = tmp_path / "all.csv", series(missing != "refuse")
    file.write_text(rows)
    task = {"kind": "forecast", "path": str(file), "targets": "load", "time": "day", "window": 8, "missing": missing}
    run = trained({**task, "past": past})
    assert run.result.forecast_errors is not None
    (tmp_path / "test.csv").write_text("\n".join([rows.splitlines()[0], *rows.splitlines()[1 + 136 - 8 :]]) + "\n")
    found = evaluate(run.model, tmp_path / "test.csv")["load"]
    for name in ("rmse", "mae"):
        assert found[name] == pytest.approx(run.result.forecast_errors["load"][name], rel=1e-5)


@pytest.mark.parametrize("past", ["changes", "both"])
@pytest.mark.parametrize("missing", ["refuse", "mask", "forward_fill"])
def test_forecasts_from_changes_are_those_of_their_task(tmp_path: Path, past: str, missing: str) -> None:
    """Also where the file comes in parts, which cut between a row and the one before."""
    (file := tmp_path / "all.csv").write_text(series(missing != "refuse"))
    task = {"kind": "forecast", "path": str(file), "targets": "load", "time": "day", "window": 8, "missing": missing}
    run = trained({**task, "past": past, "horizon": 2})
    data = TASKS.build({**task, "past": past, "horizon": 2}).data()
    outputs = run.model.network.predict(run.model.genome[None], data.test.inputs)[0][:, -1]
    assert data.chart is not None
    expected = data.chart.inverse_transform(outputs)
    (table,) = read_parts(file, run.model.own_preparation)
    parts = iter([table]) if missing == "forward_fill" else (table.take(np.arange(k, k + 4)) for k in range(0, 160, 4))
    answers = concatenate(list(run.model.predict_parts(parts)))
    day, *ahead = (column.values for column in answers.columns)
    begins = [np.datetime64(time, "us") - np.timedelta64(1, "D") for time in data.chart.times]
    places = np.searchsorted(day, np.array(begins))
    assert np.allclose(np.column_stack(ahead)[places], expected, rtol=1e-5)


def test_gaps_and_rows_of_an_earlier_part_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    file.write_text(series(False))
    model = trained({"kind": "forecast", "path": str(file), "targets": "load", "time": "day", "window": 8}).model
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:60], *lines[75:]]) + "\n")
    with pytest.raises(EvornnError, match=r"line 61, column 'day': 16 days after the row before, elsewhere 1"):
        list(model.predict_parts(read_parts(file, model.own_preparation)))
    file.write_text("\n".join(lines) + "\n")
    (table,) = read_parts(file, model.own_preparation)
    late, early = table.take(np.arange(80, 160)), table.take(np.arange(80))
    with pytest.raises(
        EvornnError, match=r"line 2, column 'day': is not after the rows before it: sort the file by it"
    ):
        list(model.predict_parts(iter([late, early])))


def test_rows_of_another_frequency_are_refused(tmp_path: Path) -> None:
    file, other = tmp_path / "days.csv", tmp_path / "other.csv"
    file.write_text(series(gaps=False))
    model = trained({"kind": "forecast", "path": str(file), "targets": "load", "time": "day", "window": 4}).model

    def answers(days: Any) -> int:
        lines = [f"{day},{50 + k % 7}" for k, day in enumerate(days)]
        other.write_text("\n".join(["day,load", *lines]) + "\n")
        return len(concatenate(list(model.predict_parts(read_parts(other, model.own_preparation)))))

    days = np.datetime64("2025-01-01") + np.arange(60)
    assert answers(days[np.is_busday(days)]) > 0 and answers(days[2:6]) > 0
    hours = np.datetime64("2025-01-01T00") + np.arange(60)
    with pytest.raises(
        EvornnError, match=r"rows are 1 hour apart, those that the model learned from 1 day: space them"
    ):
        answers(hours)
    with pytest.raises(EvornnError, match="rows are 7 days apart"):
        answers(days[::7])


def test_what_is_known_ahead_must_be_there(tmp_path: Path) -> None:
    file, rows = tmp_path / "all.csv", series(False).splitlines()
    table = [rows[0] + ",price", *(f"{row},{k % 5}" for k, row in enumerate(rows[1:]))]
    file.write_text("\n".join(table) + "\n")
    task = {"kind": "forecast", "path": str(file), "targets": "load", "time": "day", "window": 8, "horizon": 2}
    model = trained({**task, "known_ahead": ["price"]}).model
    (whole,) = read_parts(file, model.own_preparation)
    with pytest.raises(EvornnError, match="price must be known 2 rows ahead: add these rows, without what is to be"):
        model.predict(whole, next=2)
    assert len(model.predict(whole)) == 160 - 8 + 1 - 2, "no answer where the price of the days to come is not known"
    days = np.datetime64("2024-01-01") + np.arange(160, 162)
    file.write_text("\n".join([*table, *(f"{day},,3" for day in days)]) + "\n")
    (longer,) = read_parts(file, model.own_preparation)
    ahead = model.predict(longer, next=2).column("load").values
    last = [column.values[-1] for column in model.predict(longer).columns if column.name.startswith("load+")]
    assert ahead.tolist() == last


def test_a_model_of_text_is_made_but_reads_no_tables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat on the mat. " * 60)
    model = trained({"kind": "language", "path": str(tmp_path / "a.txt"), "length": 10}, 50_000).model
    with pytest.raises(EvornnError, match="a model of a text reads no tables"):
        _ = model.own_preparation


def test_labels_are_not_filled_across_the_parts(tmp_path: Path) -> None:
    """A single recording: what comes in validation doesn't change the inputs of training."""

    def means(value: str) -> list[float]:
        rows = [f"{k % 2},{'' if 100 <= k < 140 else k % 7}" for k in range(200)]
        rows[140] = f"0,{value}"
        (tmp_path / "a.csv").write_text("y,x\n" + "\n".join(rows) + "\n")
        task = {"kind": "label", "path": str(tmp_path / "a.csv"), "targets": "y", "answer": "class", "length": 10}
        preparation = TASKS.build({**task, "missing": "interpolate"}).data().preparation
        assert preparation is not None
        return [feature.mean for feature in preparation.features]

    assert means("3") == means("500")
