"""The report of a model: its numbers are those that a count by hand gives."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_models import PREPARATIONS, small_model, small_table

from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.table import Column, Table
from evornn.models.conformal import quantiles
from evornn.models.evaluate import judge
from evornn.models.importance import MOST_ROWS, importances, shuffle
from evornn.models.make import architecture_of
from evornn.models.report import ModelReport
from evornn.models.rows import group_rows
from evornn.models.standalone import StandaloneModel
from evornn.networks.network import Network


@pytest.mark.parametrize("question", ["ahead", "label", "regress"])
def test_every_question_has_a_report_that_is_json(question: str) -> None:
    model, table = small_model(question), small_table(rows=120, groups=3)
    report = model.report(table, repeats=2)
    assert report.measures == model.evaluate(table)
    assert len(report.classes) + len(report.numbers) == len(model.own_preparation.answers)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["source"] == table.source
    assert report == model.report(table, repeats=2) != model.report(table, repeats=2, seed=1)


def class_report() -> tuple[StandaloneModel, Table, ModelReport]:
    model, table = small_model("classify"), small_table(rows=300, groups=40)
    return model, table, model.report(table, repeats=2)


def test_confusion_curves_and_bins_count_what_was_answered() -> None:
    model, table, report = class_report()
    judged, (classes,) = judge(model, table), report.classes
    truth, chosen = judged.truth[:, 0].astype(int), judged.answers.argmax(axis=1)
    expected = [[int(((truth == i) & (chosen == j)).sum()) for j in range(3)] for i in range(3)]
    assert classes.confusion == expected
    areas = [np.trapezoid(curve.true_positives, curve.false_positives) for curve in classes.roc]
    assert np.mean(areas) == pytest.approx(report.measures["kind"]["roc_auc"])
    assert sum(one.count for one in classes.calibration) == judged.answers.size
    shares = [one.came * one.count for one in classes.calibration]
    assert sum(shares) == pytest.approx(len(truth))  # of all classes' probabilities, one comes true for each answer
    worst = classes.worst[0]
    row = judged.who.index(worst.who)
    assert worst.error == judged.answers[row, truth[row]] and worst.truth != worst.answer


def test_errors_by_horizon_and_coverage_are_those_of_the_forecasts() -> None:
    model, table = small_model("forecast"), small_table(rows=80)
    model = replace(model, calibration=np.sort(np.random.default_rng(0).uniform(0, 90, (40, 2, 3)), axis=0))
    report, judged = model.report(table, repeats=2), judge(model, table)
    (load, _), errors = report.numbers, judged.answers[:, :3] - judged.truth[:, :3]
    assert np.allclose([one.mae for one in load.by_horizon], np.abs(errors).mean(axis=0))
    inside = np.abs(errors) <= quantiles(model.calibration, 0.9)[0]  # type: ignore[arg-type]
    assert [one.coverage for one in load.by_horizon] == inside.mean(axis=0).tolist()
    assert next(one.reached for one in load.coverage if one.asked == 0.9) == inside.mean()
    assert abs(load.worst[0].error) == np.abs(errors).max()
    assert load.stretch is not None and load.stretch.answer == judged.answers[:, 2].tolist()
    example = load.examples[0]
    place = judged.who.index(example.who)
    assert example.before == judged.truth[place - len(example.before) : place, 0].tolist()


def test_what_says_nothing_is_of_no_importance() -> None:
    rng, features = np.random.default_rng(0), (Feature("used"), Feature("idle"))
    network = Network("feed_forward", inputs=2, units=4, outputs=1)
    asked = Preparation("regress", features, (OutputColumn("y"),), group="who")
    model = StandaloneModel(architecture_of(network), 2, 1, network.sample(1, seed=0)[0], asked)
    inputs = (
        Column("who", "number", np.arange(60.0)),
        Column("used", "number", rng.normal(size=60)),
        Column("idle", "number", np.zeros(60)),
    )
    said = model.predict(Table(inputs, "made up")).column("y").values
    table = Table((*inputs, Column("y", "number", said + rng.normal(0, 0.01, 60))), "made up")
    used, idle = importances(model, table, repeats=5, seed=0)
    assert (used.column, idle.column, idle.increase) == ("used", "idle", 0) and used.low > 0


def test_what_is_the_same_in_a_group_moves_as_a_whole() -> None:
    table = small_table(rows=50, groups=5)
    groups = group_rows(PREPARATIONS["regress"], table)
    moved = shuffle(table.column("quality"), groups, np.random.default_rng(1))
    assert all(len(set(moved.values[rows])) == 1 for rows in groups.values())
    assert sorted(moved.values[rows[0]] for rows in groups.values()) == [1, 2, 3, 4, 5]
    gaps = Column("x", "number", np.array([1.0, np.nan, 3.0, 4.0]))
    other = shuffle(gaps, {"": np.arange(4)}, np.random.default_rng(0))
    assert np.isnan(other.values[1]) and sorted(other.values[[0, 2, 3]]) == [1, 3, 4]


def test_importance_of_a_long_file_takes_some_of_its_groups() -> None:
    table = small_table(rows=MOST_ROWS + 800, groups=8)
    assert importances(small_model("regress"), table, repeats=1, seed=0)[0].low == -np.inf


def test_quantiles_are_bands_and_are_held_against_their_levels() -> None:
    levels, base = (0.1, 0.25, 0.5, 0.9), PREPARATIONS["recursive"]
    answers = tuple(replace(base.answers[0], level=level) for level in levels)
    network = Network("gru", inputs=1, units=6, outputs=8)
    preparation = replace(base, answers=answers)
    model = StandaloneModel(architecture_of(network), 1, 8, network.sample(1, seed=3)[0], preparation)
    table = small_table(rows=80)
    (load,), judged = model.report(table, repeats=2).numbers, judge(model, table)
    shares = [(judged.truth[:, :2] <= judged.answers[:, 2 * k : 2 * k + 2]).mean() for k in range(4)]
    assert [(one.asked, one.reached) for one in load.levels] == list(zip(levels, shares, strict=True))
    example = load.examples[0]
    place = judged.who.index(example.who)
    assert [band.name for band in example.bands] == ["0.1 to 0.9 quantile", "0.25 to 0.5 quantile"]
    assert example.bands[0].low == judged.answers[place, :2].tolist()
    assert (
        example.bands[0].high == judged.answers[place, 6:].tolist()
        and example.answer == judged.answers[place, 4:6].tolist()
    )
    assert load.coverage == [] and small_model("recursive").report(table, repeats=2).numbers[0].levels == []
