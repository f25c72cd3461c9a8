"""Trainers over all tasks: the interquartile mean of relative losses, and ranks with the test that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evornn.arrays import Streams
from evornn.experiments.analysis import ranks, statistics
from evornn.experiments.analysis.comparison import OverallResult, Ranking
from evornn.experiments.analysis.narrative import join_names, plural
from evornn.experiments.analysis.pairwise_tests import compare_pairs
from evornn.tasks.core.task import Baseline

if TYPE_CHECKING:
    from pandas import DataFrame

FRIEDMAN = "Friedman's test"


def overall_results(done: DataFrame, scales: Mapping[str, float], streams: Streams) -> tuple[OverallResult, ...]:
    """Each trainer over all tasks and networks: test losses relative to each task's reference.

    Args:
        done: Finished runs.
        scales: Task → loss of its reference.
        streams: Randomness of the bootstrap.

    Returns:
        One result per trainer, best first.
    """
    relative = done.assign(relative=done["test_loss"] / done["task"].map(scales)).dropna(subset="relative")
    results = []
    for trainer, group in relative.groupby("trainer", sort=False):
        strata = [cell["relative"].to_numpy(float) for _, cell in group.groupby(["task", "network"])]
        interval = statistics.stratified_bootstrap(strata, streams.child(f"overall/{trainer}"))
        failed = int((group["state"] == "failed").sum())
        results.append(OverallResult(str(trainer), group["family"].iloc[0], interval, len(group), failed))
    return tuple(sorted(results, key=lambda item: item.iqm.value))


def ranking(done: DataFrame, scales: Mapping[str, float], alpha: float, streams: Streams) -> Ranking:
    """Rank trainers task by task. Three or more: Friedman's test; two: their relative losses, paired by task.

    A task is one observation, whatever its seeds and networks: only tasks are independent of each other (Demšar 2006).

    Args:
        done: Finished runs.
        scales: Task → loss of its reference.
        alpha: Significance level.
        streams: Randomness of the permutations.
    """
    losses = losses_by_task(done)
    excluded = [str(task) for task in dict.fromkeys(done["task"]) if task not in losses.index]
    if len(losses) < 2 or len(losses.columns) < 2:
        return Ranking(tuple(losses.columns), tuple(losses.index), note=_unranked_reason(losses, excluded))
    rank_matrix = ranks.ranks(losses.to_numpy(float))
    order = np.argsort(rank_matrix.mean(axis=0), kind="stable")
    losses, rank_matrix = losses.iloc[:, order], rank_matrix[:, order]
    rows = tuple(tuple(map(float, row)) for row in rank_matrix.T)
    means = tuple(map(float, rank_matrix.mean(axis=0)))
    result = Ranking(tuple(losses.columns), tuple(losses.index), rows, means, note=_note_excluded(excluded))
    if len(order) == 2:
        return _compare_two(result, losses.div(losses.index.map(scales), axis=0), alpha)
    return _friedman(result, losses, alpha, streams)


def losses_by_task(done: DataFrame) -> DataFrame:
    """Median test loss over runs: a row per task, a column per trainer. Tasks that lack a trainer on a network are left
    out."""
    cells = done.groupby(["task", "trainer"], sort=False).agg(loss=("test_loss", "median"), on=("network", "nunique"))
    networks = done.groupby("task")["network"].nunique()
    is_complete = cells["on"] == networks.loc[cells.index.get_level_values("task")].to_numpy()
    table = cells["loss"].where(is_complete).unstack("trainer")
    return table.loc[list(dict.fromkeys(done["task"])), list(dict.fromkeys(done["trainer"]))].dropna()


def scales(done: DataFrame, baselines: Mapping[str, Sequence[Baseline]]) -> dict[str, float]:
    """Task → loss of its reference: the best baseline's test loss, or else that of the median finite run.

    NaN if it is not above 0, since no ratio to it makes sense.
    """
    return {str(task): _scale(group, baselines.get(task, ())) for task, group in done.groupby("task", sort=False)}


def reference(baselines: Mapping[str, Sequence[Baseline]]) -> str:
    """The reference of relative losses in words."""
    return (
        "test loss relative to the best baseline's"
        if any(baselines.values())
        else "test loss relative to the median run's"
    )


def unscaled_note(scales: Mapping[str, float]) -> list[str]:
    """A note on the tasks that are left out of the mean over tasks."""
    excluded = [task for task, scale in scales.items() if np.isnan(scale)]
    return (
        [f"Left out of the mean over tasks, having no loss above 0 to be relative to: {join_names(excluded)}."]
        if excluded
        else []
    )


def _friedman(result: Ranking, losses: DataFrame, alpha: float, streams: Streams) -> Ranking:
    tasks, trainers = losses.shape
    if tasks < (enough := ranks.min_tasks(trainers, alpha)):
        return replace(result, note=_append_note(f"too few tasks for a test: {enough} would be enough.", result.note))
    statistic, p = ranks.friedman(losses.to_numpy(float), streams)
    fields: dict[str, Any] = {"test": FRIEDMAN, "statistic": statistic, "p": p}
    if p >= alpha:
        return replace(result, **fields, alike=(result.trainers,))
    critical = ranks.critical_difference(trainers, tasks, alpha)
    groups = tuple(result.trainers[first : last + 1] for first, last in ranks.find_cliques(result.means, critical))
    return replace(result, **fields, critical=critical, alike=groups)


def _compare_two(result: Ranking, relative: DataFrame, alpha: float) -> Ranking:
    """Compare two trainers: unlike Friedman's test, for three or more, also by how much they differ (Demšar 2006,
    §3.1.3)."""
    tests = compare_pairs("all tasks", relative, alpha, "task")
    if not tests.test:
        return replace(result, note=_append_note(tests.note, result.note))
    (pair,) = tests.pairs
    note = _append_note(
        "Friedman's test is for three trainers or more; two are compared in pairs, by task.", result.note
    )
    alike = () if pair.better else (result.trainers,)
    return replace(result, test=tests.test, p=pair.p, alike=alike, better=pair.better, note=note)


def _unranked_reason(losses: DataFrame, excluded: Sequence[str]) -> str:
    tasks, trainers = losses.shape
    if trainers < 2:
        return "trainers are not ranked: there is only one."
    enough = f"ranks of trainers over tasks (Friedman's test) need {ranks.MIN_TASKS} tasks or more"
    return _append_note(
        f"{enough}; here {'is' if tasks == 1 else 'are'} {plural(tasks, 'task')}.", _note_excluded(excluded)
    )


def _note_excluded(tasks: Sequence[str]) -> str:
    return f"Not ranked on {join_names(tasks)}: not every trainer has run on all its networks." if tasks else ""


def _append_note(note: str, more: str) -> str:
    return f"{note} {more}".strip()


def _scale(done: DataFrame, baselines: Sequence[Baseline]) -> float:
    known = [b.test for b in baselines if np.isfinite(b.test)]
    losses = done["test_loss"][np.isfinite(done["test_loss"])]
    scale = min(known) if known else np.quantile(losses, 0.5, method="lower") if len(losses) else 0.0
    return float(scale) if scale > 0 else float("nan")
