"""The number that a paper reports, taken from our runs, with its 95 % interval; and whether it is reproduced."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evornn.arrays import Streams
from evornn.experiments.statistics import Interval, expected_running_time_interval, success_rate
from evornn.store.records import StoredRun

RESAMPLES = 10_000
Figure = Callable[[Sequence[StoredRun]], Interval]


def evaluations(runs: Sequence[StoredRun]) -> Interval:
    """Losses asked by all runs for each that solved the task, failures included (ERT)."""
    cost = [float(run.evaluations or 0) for run in runs]
    return expected_running_time_interval(cost, [solved(run) for run in runs], Streams(0, "papers"))


def score(runs: Sequence[StoredRun]) -> Interval:
    """Mean of the champions' scores on test."""
    values = np.array([np.nan if run.test_score is None else run.test_score for run in runs])
    drawn = values[Streams(0, "papers").at(0).integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    return Interval(float(values.mean()), *(float(q) for q in np.quantile(drawn, [0.025, 0.975])))


def share_solved(runs: Sequence[StoredRun]) -> Interval:
    """Share of the runs whose champion solves the task on test."""
    return success_rate(sum(solved(run) for run in runs), len(runs))


FIGURES: dict[str, Figure] = {"evaluations": evaluations, "score": score, "share_solved": share_solved}


def solved(run: StoredRun) -> bool:
    """Whether the champion solves the task on test, by the task's own score."""
    return bool(run.solved)


def verdict(figure: str, ours: Interval, published: float | None, tolerance: float) -> str:
    """`reproduced`, `not reproduced` or `open`, at 95 %.

    A cost is reproduced when it is not worse than `tolerance` times the published one, a score when it lies within the
    share `tolerance` of it, a share of solved runs when it is not lower by more than `tolerance`. Published means carry
    no interval; ours does.
    """
    if published is None:
        return "–"
    if figure == "evaluations":
        return _below(ours, tolerance * published)
    if figure == "share_solved":
        return _below(Interval(-ours.value, -ours.high, -ours.low), tolerance - published)
    return "reproduced" if abs(ours.value - published) <= tolerance * published else "not reproduced"


def _below(ours: Interval, limit: float) -> str:
    if ours.high <= limit:
        return "reproduced"
    return "not reproduced" if ours.low > limit else "open"
