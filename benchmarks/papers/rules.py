"""When a published number counts as reproduced, at 95 %: `reproduced`, `not reproduced`, or `open` where our interval
reaches over the limit. Published means carry no interval; ours does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evornn.experiments.analysis.statistics import Interval


@dataclass(frozen=True)
class Rule:
    """What "reproduced" means."""

    judge: Callable[[Interval, float, float], str]  # ours, published, tolerance → verdict
    meaning: str  # to be formatted with the tolerance


def verdict(rule: str, ours: Interval, published: float | None, tolerance: float) -> str:
    """By the rule of that name; "–" where nothing is published."""
    return "–" if published is None else RULES[rule].judge(ours, published, tolerance)


def _not_worse(ours: Interval, published: float, tolerance: float) -> str:
    return _below(ours, tolerance * published)


def _within(ours: Interval, published: float, tolerance: float) -> str:
    return "reproduced" if abs(ours.value - published) <= tolerance * published else "not reproduced"


def _not_rarer(ours: Interval, published: float, tolerance: float) -> str:
    return _below(_negative(ours), tolerance - published)


def _not_below(ours: Interval, published: float, tolerance: float) -> str:
    return _below(_negative(ours), -published)


def _no_verdict(ours: Interval, published: float, tolerance: float) -> str:
    return "–"


def _negative(ours: Interval) -> Interval:
    return Interval(-ours.value, -ours.high, -ours.low)


def _below(ours: Interval, limit: float) -> str:
    if ours.high <= limit:
        return "reproduced"
    return "not reproduced" if ours.low > limit else "open"


RULES = {
    "not_worse": Rule(_not_worse, "reproduced: not worse than {:g} times the published number"),
    "within": Rule(_within, "reproduced: within {:.0%} of the published number"),
    "not_rarer": Rule(_not_rarer, "reproduced: not lower than the published share by more than {:g}"),
    "reached": Rule(_not_below, "reproduced: at least the published number"),
    "claims": Rule(_no_verdict, "reproduced: their order; the published numbers are for a larger task"),
}
