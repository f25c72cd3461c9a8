"""The result of a comparison as plain frozen records: per task a table, a ranking, tests, and the chosen network."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from evornn.experiments.analysis.statistics import Interval, Summary
from evornn.experiments.analysis.targets import Target
from evornn.tasks.core.forecast_errors import ErrorsByTarget, ForecastErrors


@dataclass(frozen=True)
class TargetResult:
    """How often and how soon runs reached a target."""

    target: str
    successes: int
    rate: Interval  # share of runs, Wilson's interval
    ert: Interval  # network steps, bootstrapped interval; infinite if no run reached it


@dataclass(frozen=True)
class ScoreSummary:
    """A task's own score on the test split, over the successful runs of a cell."""

    name: str  # of the score
    score: Summary
    solved: int | None  # runs that solved the task; None: the task doesn't define that


@dataclass(frozen=True)
class ResultCell:
    """One network with one trainer on one task, over its seeds."""

    network: str
    trainer: str
    family: str
    parameters: int
    runs: int
    failed: int
    test: Summary
    valid: Summary
    reached: tuple[TargetResult, ...]  # one per target, in the task's order
    seconds: float  # median
    network_steps: float  # median
    rank: int  # within the family on this task, by median validation loss
    judged: ScoreSummary | None  # None: the task has no score
    errors: ForecastErrors | None = None  # medians over the successful runs; None: the task is no forecast


@dataclass(frozen=True)
class Pair:
    """Two contestants, compared by test loss. `p` and `corrected` are None without a test."""

    a: str
    b: str
    a_lower: float  # Vargha–Delaney A12: probability that a run of `a` has a lower loss than one of `b`
    count: int  # seeds compared in pairs, or the smaller sample of an unpaired test
    p: float | None = None
    corrected: float | None = None  # Holm's, over the pairs of the contest
    better: str | None = None  # the one with lower losses, if `corrected` is below alpha
    a_wins: int | None = None  # seeds in which `a` has the lower loss; None: they are not compared in pairs
    b_wins: int | None = None


@dataclass(frozen=True)
class PairwiseTests:
    """All pairs of one question, corrected together. `note` says why there is no test, or qualifies it."""

    name: str  # a network, "all networks" or "families"
    contestants: tuple[str, ...]
    pairs: tuple[Pair, ...]
    test: str = ""  # the test in words; empty: none
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """The chosen network compared with a baseline, both on the test split."""

    baseline: str
    loss: float
    beaten: bool
    margin: float  # (network's loss − baseline's) / |baseline's|: negative is better
    runs_beating: int  # how many of all finished runs beat it on test
    errors: ErrorsByTarget = field(default_factory=dict)  # in original units


@dataclass(frozen=True)
class ChosenRun:
    """The run with the lowest validation loss, evaluated once on test."""

    run: int
    network: str
    trainer: str
    family: str
    seed: int
    valid: float
    test: float
    verdicts: tuple[Verdict, ...]
    errors: ErrorsByTarget = field(default_factory=dict)  # in original units; empty: the task is no forecast


@dataclass(frozen=True)
class TaskComparison:
    """The comparison on one task."""

    task: str
    states: dict[str, int]  # runs by state, unfinished ones included
    seeds: int
    budget: float  # median network steps of the runs that succeeded
    cells: tuple[ResultCell, ...]
    targets: tuple[Target, ...]
    headline: Target | None  # the target that success rates are quoted for
    chosen: ChosenRun | None
    families: tuple[tuple[str, Summary], ...]  # test losses of all runs of a family
    contest_of_families: PairwiseTests
    contests: tuple[PairwiseTests, ...]  # of trainers: over all networks, then network by network


@dataclass(frozen=True)
class OverallResult:
    """A trainer over all tasks: interquartile mean of test losses relative to each task's reference (1: as good)."""

    trainer: str
    family: str
    iqm: Interval
    runs: int
    failed: int


@dataclass(frozen=True)
class Ranking:
    """Trainers ranked on every task by their median test loss (1: best), in the order of their mean ranks.

    `test` names the test; if it is empty, `note` says why there is none.
    """

    trainers: tuple[str, ...]
    tasks: tuple[str, ...]  # those on which every trainer was run with every network
    ranks: tuple[tuple[float, ...], ...] = ()  # a row per trainer, a column per task; ties share their mean
    means: tuple[float, ...] = ()
    test: str = ""
    statistic: float | None = None  # Friedman's χ²
    p: float | None = None
    critical: float | None = (
        None  # Nemenyi's critical difference of mean ranks; None if Friedman's test isn't significant
    )
    alike: tuple[tuple[str, ...], ...] = ()  # largest groups without a significant difference
    better: str | None = None  # of two trainers, the one with lower losses
    note: str = ""


@dataclass(frozen=True)
class TuningSummary:
    """Cost and result of tuning a method."""

    task: str
    network: str
    trainer: str  # label of the untuned one
    trials: int
    failed: int  # trials without a finite loss
    runs: int
    network_steps: int  # of all runs together
    best: int  # number of the best trial, from 1
    valid: float  # its validation loss, the median over the seeds of tuning
    settings: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """The comparison on all tasks. `notes` qualify the data: runs that are left out, failed or repeated."""

    tasks: tuple[TaskComparison, ...]
    overall: tuple[OverallResult, ...]
    reference: str  # of `overall`, in words
    ranking: Ranking
    trainers: dict[str, str]  # trainer → family, in the order of the spec
    notes: tuple[str, ...]
    alpha: float
    tuned: tuple[TuningSummary, ...] = ()  # if the comparison is that of `evornn tune`


def as_data(thing: Any) -> Any:
    """A comparison as plain data for JSON; non-finite numbers (an infinite runtime) become None."""
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: as_data(getattr(thing, field.name)) for field in dataclasses.fields(thing)}
    if isinstance(thing, dict):
        return {str(key): as_data(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [as_data(item) for item in thing]
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing
