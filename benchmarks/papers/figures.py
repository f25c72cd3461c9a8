"""The number that a paper reports, taken from our runs, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Streams
from evornn.experiments.analysis.statistics import Interval, expected_running_time_interval, success_rate
from evornn.store.records import StoredRun

RESAMPLES = 10_000
Figure = Callable[[Sequence[StoredRun]], Interval]


def evaluations(runs: Sequence[StoredRun]) -> Interval:
    """Losses asked by all runs for each that solved the task, failures included (ERT)."""
    return _evaluations_spent(runs, [is_solved(run) for run in runs])


def evaluations_until_right(runs: Sequence[StoredRun]) -> Interval:
    """The same for each run that came to answer all of training and validation rightly, whatever it does on test: in
    papers that watch their second set, and have no third."""
    return _evaluations_spent(runs, [run.stopped_by == "solved" for run in runs])


def _evaluations_spent(runs: Sequence[StoredRun], arrived: Sequence[bool]) -> Interval:
    cost = [float(run.evaluations or 0) for run in runs]
    return expected_running_time_interval(cost, arrived, Streams(0, "papers"))


def score(runs: Sequence[StoredRun]) -> Interval:
    """Mean of the champions' scores on test."""
    return _bootstrap(runs, np.mean)


def best_score(runs: Sequence[StoredRun]) -> Interval:
    """The largest of the champions' scores on test; the interval is what as many runs again would bring."""
    return _bootstrap(runs, np.max)


def scores(runs: Sequence[StoredRun]) -> NDArray[np.float64]:
    """[R] the champions' scores on test, NaN where a run has none."""
    return np.array([np.nan if run.test_score is None else run.test_score for run in runs])


def _bootstrap(runs: Sequence[StoredRun], statistic: Callable[..., Any]) -> Interval:
    """With the interval of the statistic over runs drawn again."""
    values = scores(runs)
    drawn = statistic(values[Streams(0, "papers").at(0).integers(len(values), size=(RESAMPLES, len(values)))], axis=1)
    return Interval(float(statistic(values)), *(float(q) for q in np.quantile(drawn, [0.025, 0.975])))


def share_solved(runs: Sequence[StoredRun]) -> Interval:
    """Share of the runs whose champion solves the task on test."""
    return success_rate(sum(is_solved(run) for run in runs), len(runs))


FIGURES: dict[str, Figure] = {
    "evaluations": evaluations,
    "evaluations_until_right": evaluations_until_right,
    "score": score,
    "best_score": best_score,
    "share_solved": share_solved,
}


def is_solved(run: StoredRun) -> bool:
    """Whether the champion solves the task on test, by the task's own score."""
    return bool(run.solved)
