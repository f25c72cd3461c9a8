"""The budget of a spec that fits into a given time on this machine: a moment of each kind of run is measured first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, floor, log10
from time import perf_counter
from typing import Any

from evornn.errors import EvornnError
from evornn.experiments.execute import build_run
from evornn.experiments.spec import RunPlan, parse_spec, plan
from evornn.training.budget import Budget
from evornn.training.loop import TrainingDiverged, train_loop
from evornn.training.make_problem import make_problem
from evornn.training.problem import Problem

SAMPLE = 0.3  # seconds of each kind of run that are measured
OVERHEAD = 0.4  # seconds of each run: to begin and to store it
SHARE = 0.75  # of the time that is planned: cores that are all busy are slower than the one that was measured
SEEDS = (7, 3, 1)  # 7 are the fewest with which a test can tell three families apart
PASSES = 60, 20_000  # through the training data, forward: the fewest that let a network learn, and the most of use


@dataclass(frozen=True)
class Pace:
    """Seconds that a run takes on one core."""

    per_step: float  # of a network step
    fixed: float  # beside: validation at all marks, the test, and what each run costs anyway


@dataclass(frozen=True)
class AffordableBudget:
    """What a spec may cost. `seconds` is how long all of its runs take, about."""

    seeds: int
    steps: int  # of each run
    seconds: float
    cores: int

    def apply(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The spec with these seeds and steps."""
        return {**spec, "seeds": self.seeds, "budget": {**spec["budget"], "steps": self.steps}}


def choose_budget(spec: Mapping[str, Any], seconds: float, cores: int) -> AffordableBudget:
    """As many seeds and steps as fit into the time; fewer seeds where runs would be too short to learn anything.

    Args:
        spec: A spec, whose own seeds and steps don't matter.
        seconds: For all runs together.
        cores: That compute runs at the same time.

    Raises:
        EvornnError: A run can't be built, or there is too little time for one pass through the data.
    """
    plans = plan(parse_spec({**spec, "seeds": 1}))
    epoch = _steps_of_epoch(plans[0])
    paces = [measure_pace(one, spec["budget"].get("marks", 1)) for one in plans]
    per_step, fixed = sum(one.per_step for one in paces), sum(one.fixed for one in paces)
    fewest, most = (passes * epoch for passes in PASSES)
    for seeds in SEEDS:
        steps = int((seconds * SHARE * cores / seeds - fixed) / per_step)
        if steps >= fewest:
            break
    if steps < 3 * epoch:  # a gradient of all data
        missing = (3 * epoch * per_step + fixed) / cores / SHARE - seconds
        raise EvornnError(f"too little time for one pass through the data: give {ceil(missing / 60)} more minutes")
    steps = _round_down(min(steps, most))
    return AffordableBudget(seeds, steps, seeds * (per_step * steps + fixed) / cores, cores)


def measure_pace(one: RunPlan, marks: int) -> Pace:
    """Compute a run for a moment. Raises EvornnError if it can't be built."""
    setup = build_run(one.fragments)
    genome = setup.network.layout.centre[None]
    valid, test = (_time(make_problem(setup.network, part, setup.loss), genome) for part in setup.data.splits[1:])
    steps, start = 1, perf_counter()
    budget = Budget(steps=10**18, marks=1, seconds=SAMPLE)
    with suppress(TrainingDiverged):
        for update in train_loop(setup.network, setup.data, setup.trainer, 0, budget, loss=setup.loss):
            steps = max(steps, update.network_steps or 0)
    spent = max(perf_counter() - start - valid - test, SAMPLE / 2)
    return Pace(spent / steps, marks * valid + 2 * test + OVERHEAD)


def _time(problem: Problem, genome: Any) -> float:
    problem.losses(genome)  # compiled at the first call
    start = perf_counter()
    problem.losses(genome)
    return perf_counter() - start


def _steps_of_epoch(one: RunPlan) -> int:
    data = build_run(one.fragments).data
    return int(getattr(data.train, "steps", 1))


def _round_down(steps: int) -> int:
    """Two digits, which are easy to read.

    >>> _round_down(12_345_678)
    12000000
    """
    unit = int(10 ** max(floor(log10(max(steps, 1))) - 1, 0))
    return steps // unit * unit
