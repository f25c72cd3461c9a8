"""Fair timing: every peer's fastest formulation against ours, in turns, in one process, and medians of the rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from evornn.arrays import Genomes, Losses
from evornn.errors import EvornnError

FINALISTS = 3  # formulations of a peer that enter the rounds
REST = 0.02  # seconds before each call
SLOW = 0.5  # seconds from which on a call needs no other one to wake the cores, nor a peer other finalists
HOPELESS = 2.0  # times the fastest formulation: not tried again


@dataclass(frozen=True)
class Contestant:
    """One formulation of one peer, ready to run: `call` returns when the result is there."""

    peer: str
    name: str
    call: Callable[[], Any]
    losses: Callable[[Any], Losses]  # result → [P]
    gradients: Callable[[Any], Genomes] | None = None  # result → [P, n], in our layout


@dataclass(frozen=True)
class Timing:
    """Seconds of a formulation over the rounds; far apart, the machine was busy with other things."""

    peer: str
    name: str
    median: float
    least: float

    def __str__(self) -> str:
        return f"{self.peer} {1e3 * self.median:.1f} ms ({self.name}; least {1e3 * self.least:.1f})"


def seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def steady_seconds(call: Callable[[], object]) -> float:
    """Seconds of one call. Before it everything rests, since threads of other calls (OpenMP's) go on spinning for
    milliseconds; then, unless it takes long, another call wakes the cores and fills the caches, which also takes some
    milliseconds."""
    sleep(REST)
    first = seconds(call)
    return first if first > SLOW else seconds(call)


def fastest(contestants: Iterable[Contestant], reference: Contestant) -> list[Contestant]:
    """A peer's best formulations, each checked against the reference and tried after a run to warm up."""
    expected, best = reference.call(), float("inf")
    times: dict[str, float] = {}
    kept: list[Contestant] = []
    for contestant in contestants:
        check(contestant, contestant.call(), reference, expected)
        time = seconds(contestant.call)
        if time < HOPELESS * best:
            time = min(steady_seconds(contestant.call) for _ in range(3))
            kept.append(contestant)
        times[contestant.name], best = time, min(best, time)
        finalists = 1 if best > SLOW else FINALISTS
        kept = sorted(kept, key=lambda c: times[c.name])[:finalists]  # lets the memory of the others go
    return kept


def interleave(contestants: Sequence[Contestant], rounds: int) -> list[Timing]:
    """Each round runs all, every time beginning with another one."""
    times: dict[tuple[str, str], list[float]] = {(c.peer, c.name): [] for c in contestants}
    for k in range(rounds):
        first = k % len(contestants)
        for c in (*contestants[first:], *contestants[:first]):
            times[c.peer, c.name].append(steady_seconds(c.call))
    return [Timing(peer, name, median(samples), min(samples)) for (peer, name), samples in times.items()]


def check(contestant: Contestant, result: Any, reference: Contestant, expected: Any) -> None:
    """Raises EvornnError unless losses agree within 1e-4 and each member's gradient within 1e-3 (2-norm)."""
    losses, wanted = contestant.losses(result), reference.losses(expected)
    worst = float(np.max(np.abs(losses - wanted) / np.abs(wanted)))
    if not worst <= 1e-4:
        raise disagreement(contestant, reference, "losses", worst)
    if contestant.gradients and reference.gradients:
        theirs, ours = contestant.gradients(result), reference.gradients(expected)
        worst = float(np.max(np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)))
        if not worst <= 1e-3:
            raise disagreement(contestant, reference, "gradients", worst)


def disagreement(contestant: Contestant, reference: Contestant, what: str, worst: float) -> EvornnError:
    names = " and ".join(f"{c.peer} ({c.name})" for c in (contestant, reference))
    return EvornnError(f"{what} of {names} differ by {worst:.1e}: they don't compute the same, so times mean nothing")


def geometric_mean(values: Iterable[float]) -> float:
    """NaN of nothing."""
    logs = [log(value) for value in values]
    return exp(sum(logs) / len(logs)) if logs else float("nan")
