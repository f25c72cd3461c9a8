"""Trainers over several tasks: means, ranks, the test that the tasks allow, and how it is told and drawn."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from made_up_runs import FAMILIES, NASTY, make_runs, render

from evornn.experiments.analysis import narrative, targets
from evornn.experiments.analysis.compare import compare
from evornn.experiments.analysis.comparison import Interval, OverallResult, as_data
from evornn.experiments.analysis.targets import TaskRuns
from evornn.experiments.reporting import charts, overall_charts
from evornn.experiments.reporting.palette import styles
from evornn.experiments.reporting.report import report
from evornn.tasks.core.task import Baseline


def several(tasks: int, seeds: int = 2, **changes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The made-up runs on so many tasks, each with ten times the losses and twice the budget of the one before."""
    runs, curves = make_runs(seeds, **changes)
    shift = len(runs)
    all_runs, all_curves = [], []
    for k in range(tasks):
        loss, cost = 10.0**k, 2**k
        all_runs.append(runs.assign(
            run=runs["run"] + shift * k, task=f"task {k}", hits=None, valid_loss=runs["valid_loss"] * loss,
            test_loss=runs["test_loss"] * loss, network_steps=runs["network_steps"] * cost,
        ))  # fmt: skip
        all_curves.append(curves.assign(
            run=curves["run"] + shift * k, champion_valid=curves["champion_valid"] * loss,
            network_steps=curves["network_steps"] * cost,
        ))  # fmt: skip
    return pd.concat(all_runs, ignore_index=True), pd.concat(all_curves, ignore_index=True)


def words(found) -> str:
    return " ".join(narrative.describe_ranking(found.ranking, found.alpha))


def test_three_tasks_that_agree_are_ranked_and_tested():
    found = compare(*several(3), FAMILIES)
    ranking = found.ranking
    assert (ranking.trainers, ranking.means) == (("memetic", "adam", "cma_es"), (1, 2, 3))
    assert ranking.tasks == ("task 0", "task 1", "task 2") and ranking.ranks[1] == (2, 2, 2)
    assert ranking.statistic == pytest.approx(6) and ranking.p == pytest.approx(1 / 36, abs=0.006)
    assert ranking.critical == pytest.approx(2.343 * np.sqrt(12 / 18), abs=1e-3)
    assert ranking.alike == (("memetic", "adam"), ("adam", "cma_es"))
    assert "memetic 1.00, adam 2.00 and cma_es 3.00" in words(found)
    assert "no difference could be shown within {memetic, adam} and within {adam, cma_es}; all other" in words(found)
    assert words(found) in " ".join(render(found).split())


def test_tasks_that_disagree_show_no_difference():
    order = (("memetic", "adam", "cma_es"), ("adam", "cma_es", "memetic"), ("cma_es", "memetic", "adam"))
    runs, curves = several(3)
    for k, names in enumerate(order):
        there = runs["task"] == f"task {k}"
        runs.loc[there, "test_loss"] = runs.loc[there, "trainer"].map(names.index) + 1.0
    ranking = compare(runs, curves, FAMILIES).ranking
    assert (ranking.p, ranking.critical, ranking.means) == (1, None, (2, 2, 2))
    assert ranking.alike == (("adam", "cma_es", "memetic"),)
    assert "No difference over tasks could be shown (p = 1.0; Friedman's test)" in words(
        compare(runs, curves, FAMILIES)
    )


@pytest.mark.parametrize(
    ("tasks", "sentence"), [(1, "Friedman's test) need 3 tasks or more; here is 1 task."), (2, "3 would be enough")]
)
def test_too_few_tasks_for_a_test_is_said(tasks, sentence):
    runs, curves = several(tasks)
    found = compare(runs, curves, FAMILIES)
    assert (found.ranking.test, found.ranking.p, found.ranking.alike) == ("", None, ())
    text = report(found, runs, curves)
    assert sentence in words(found) and sentence in " ".join(render(found).split())
    assert sentence in text.replace("&#39;", "'") and "critical difference" not in text.split("<script>")[0]
    assert ("Mean ranks" in words(found)) == (tasks > 1)


@pytest.mark.parametrize(("tasks", "better"), [(5, None), (6, "memetic")])
def test_two_trainers_are_compared_in_pairs_by_task(tasks, better):
    found = compare(*several(tasks, trainers=("adam", "memetic")), FAMILIES)
    assert (found.ranking.better, found.ranking.statistic) == (better, None)
    if better:
        assert found.ranking.p == pytest.approx(2 / 2**6)
        assert "test losses are lower for memetic (p = 0.031; Wilcoxon signed-rank, paired by task" in words(found)
        assert "Friedman's test is for three trainers or more" in words(found)
    else:
        assert "Too few tasks for a test: with 5 tasks and 1 comparison" in words(found)


def test_one_trainer_is_not_ranked():
    assert words(compare(*several(3, trainers=("adam",)), FAMILIES)) == "Trainers are not ranked: there is only one."


def test_trainers_are_not_ranked_on_networks_that_others_did_not_have():
    runs, curves = several(4)
    runs = runs[~((runs["task"] == "task 1") & (runs["trainer"] == "adam") & (runs["network"] == "lstm"))]
    found = compare(runs, curves, FAMILIES)
    assert found.ranking.tasks == ("task 0", "task 2", "task 3") and found.ranking.test
    assert "Not ranked on task 1: not every trainer has run on all its networks." in words(found)


def test_where_most_runs_failed_the_scale_is_that_of_the_others():
    runs, curves = several(3, seeds=3, networks=("elman",), failed=(1, 2, 3, 5, 6))  # all of Adam, two of CMA-ES
    found = compare(runs, curves, FAMILIES)
    assert [(o.trainer, o.runs, o.failed) for o in found.overall] == [
        ("memetic", 9, 0), ("adam", 9, 9), ("cma_es", 9, 6),
    ]  # fmt: skip
    # the median of the four finite losses 0.110, 0.111, 0.112 and 0.310, the lower of two, is one of memetic's
    assert found.overall[0].iqm.value == pytest.approx(np.mean([0.11, *[0.111] * 3, 0.112]) / 0.111)
    assert [o.iqm.value for o in found.overall[1:]] == [np.inf, np.inf]
    assert dict(zip(found.ranking.trainers, found.ranking.means, strict=True)) == {
        "memetic": 1, "adam": 2.5, "cma_es": 2.5,
    }  # fmt: skip


def test_a_task_whose_reference_is_zero_is_left_out_of_the_mean_and_said_to_be():
    runs, curves = several(2)
    runs.loc[runs["task"] == "task 1", "test_loss"] = 0.0
    found = compare(runs, curves, FAMILIES)
    assert any("Left out of the mean over tasks" in note and "task 1" in note for note in found.notes)
    assert {o.runs for o in found.overall} == {4}


def test_the_ranking_is_in_the_json():
    data = json.loads(json.dumps(as_data(compare(*several(3), FAMILIES)), allow_nan=False))
    assert data["ranking"]["trainers"] == ["memetic", "adam", "cma_es"]
    assert data["ranking"]["alike"] == [["memetic", "adam"], ["adam", "cma_es"]] and data["ranking"]["p"] < 0.05


def test_the_report_of_several_tasks_begins_with_all_of_them():
    runs, curves = several(3, trainers=("adam", "cma_es", "memetic", NASTY))
    text = report(compare(runs, curves, FAMILIES), runs, curves, {"task 0": [Baseline("none", 1, 1)]})
    assert text.index("Over all tasks and networks") < text.index("Task: task 0") < text.index("Task: task 2")
    figures = json.loads(re.search(r'id="charts">(.*?)</script>', text, flags=re.S)[1])["figures"]
    assert {"chart-all-0", "chart-all-1", "chart-all-2", "chart-0-0", "chart-2-0"} <= set(figures)
    assert (
        all(f'id="{name}"' in text for name in figures)
        and "alert('x')" not in text.replace("\\u003c", "<").split("<script>")[0]
    )


def test_the_terminal_stays_within_its_width():
    assert max(len(line) for line in render(compare(*several(7), FAMILIES)).splitlines()) <= 100


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_critical_difference_diagram_has_trainers_bars_and_ruler_in_their_places(theme):
    ranking, look = compare(*several(3), FAMILIES).ranking, styles(FAMILIES)
    figure = overall_charts.critical_differences(ranking, look, theme)
    places = {t.name: (t.x[0], t.line.color) for t in figure.data if t.name}
    assert places == {n: (m, look[n].colour) for n, m in zip(ranking.trainers, ranking.means, strict=True)}
    bars = [tuple(t.x) for t in figure.data if t.line.width == 6]
    assert bars == [(pytest.approx(0.97), pytest.approx(2.03)), (pytest.approx(1.97), pytest.approx(3.03))]
    assert tuple(figure.data[-1].x) == (1, pytest.approx(1 + ranking.critical))
    assert figure.layout.annotations[0].text == "critical difference 1.91"
    sides = figure.layout.yaxis.ticktext + figure.layout.yaxis2.ticktext
    assert sides == ("memetic", "adam", "cma_es") and "3 tasks" in figure.layout.xaxis.title.text


def test_intervals_without_an_end_stay_on_the_chart():
    found = [
        OverallResult("adam", "gradient", Interval(0.5, 0.4, np.inf), 9, 3),
        OverallResult("cma_es", "evolution", Interval(np.inf, 1, np.inf), 9, 8),
    ]
    figure = overall_charts.relative_losses(found, "test loss", styles(FAMILIES))
    lines = [t for t in figure.data if t.mode == "lines"]
    assert [tuple(t.x) for t in lines] == [(0.4, pytest.approx(1.05)), (1, pytest.approx(1.05))]
    assert [t.x[0] for t in figure.data if t.mode == "markers"] == [0.5, None]


def test_runtimes_over_tasks_are_in_units_of_each_tasks_budget():
    runs, curves = several(2, seeds=1, networks=("elman",), trainers=("adam",), loss=lambda *_: 0.1)
    tracks, (small, large) = targets.tracks(curves), (runs[runs["task"] == name] for name in ("task 0", "task 1"))
    goals = targets.ladder(small, tracks), targets.ladder(large, tracks)
    both = charts.runtimes([TaskRuns(small, goals[0], 1000), TaskRuns(large, goals[1], 2000)], tracks, styles(FAMILIES))
    alone = charts.runtimes([TaskRuns(small, goals[0], 1000)], tracks, styles(FAMILIES))
    assert sorted({*both.data[0].x}) == sorted({*alone.data[0].x}) and both.data[0].x[-1] == 1  # the same, twice
    assert both.data[0].y[-1] == alone.data[0].y[-1] == 1
    unequal = charts.runtimes([TaskRuns(small, goals[0]), TaskRuns(large, goals[0])], tracks, styles(FAMILIES))
    assert unequal.data[0].y[-1] == 0.5  # no run of the larger task comes to the smaller one's losses


def test_ranks_see_each_tasks_own_order():
    runs, curves = several(3)
    there = (runs["task"] == "task 2") & (runs["trainer"] == "cma_es")
    runs.loc[there, "test_loss"] = 0.0001
    ranks = dict(zip((ranking := compare(runs, curves, FAMILIES).ranking).trainers, ranking.ranks, strict=True))
    assert ranks == {"memetic": (1, 1, 2), "adam": (2, 2, 3), "cma_es": (3, 3, 1)}


def test_a_task_where_every_run_failed_counts_for_all_alike():
    runs, curves = several(3, seeds=2)
    lost = runs["task"] == "task 1"
    runs.loc[lost, "state"] = "failed"
    runs.loc[lost, ["valid_loss", "test_loss", "network_steps"]] = np.nan
    found = compare(runs, curves, FAMILIES)
    assert {ranks[1] for ranks in found.ranking.ranks} == {2}
    assert any("Left out of the mean over tasks" in note and "task 1" in note for note in found.notes)
    text = report(found, runs, curves)
    assert "over 2 tasks: share reached" in text and "no run ended with a finite loss" in text
