"""Statistics for comparing stochastic trainers: few runs, skewed losses, runs that fail or never reach a target.

Lower losses are better. A NaN or infinite loss, as of a failed run, ranks as the worst. Samples are 1-d arrays over
runs. Every bootstrap draws from a named stream, so the same data give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evornn.arrays import Streams

Sample = NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval, with infinite ends if it is unbounded."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Median and quartiles of `count` values, of which `bad` are not finite and rank worst."""

    median: float
    q25: float
    q75: float
    count: int
    bad: int


class Runtimes(NamedTuple):
    """Runtimes of runs [R] to a target."""

    cost: ArrayLike  # network steps until the target; all of a run's steps if it never reached it
    reached: Sequence[bool]


def a12(a: ArrayLike, b: ArrayLike) -> float:
    """A12: probability that a value of `a` exceeds one of `b`, ties counting half (Vargha & Delaney 2000).

    0.5 is no difference; effects from 0.56, 0.64 and 0.71 upwards are called small, medium and large.

    >>> a12([1, 2, 3], [0, 1, 2])
    0.7777777777777778
    """
    from scipy.stats import mannwhitneyu

    a, b = nan_to_inf(a), nan_to_inf(b)
    return float(mannwhitneyu(a, b).statistic) / (len(a) * len(b))


def holm(p: ArrayLike) -> Sample:
    """Correct p values for multiple comparisons by Holm's step-down procedure (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def expected_running_time(cost: ArrayLike, reached: ArrayLike) -> float:
    """Expected running time (ERT): cost of all runs, including unsuccessful ones, per success (COCO; Hansen et al.
    2021). Infinite without a success. See `Runtimes`.

    >>> expected_running_time([100, 200, 300], [True, True, False])
    300.0
    """
    cost, hit = np.asarray(cost, np.float64), np.asarray(reached, bool)
    return float(cost.sum() / hit.sum()) if hit.any() else float("inf")


def expected_running_time_interval(cost: ArrayLike, reached: ArrayLike, streams: Streams) -> Interval:
    """ERT with its bootstrapped 95 % interval: runs are resampled together with their success.

    Args:
        cost: As in `Runtimes` [R].
        reached: As in `Runtimes` [R].
        streams: Randomness of the bootstrap.
    """
    times = _bootstrap_times(cost, reached, streams.child("ert"))
    return Interval(expected_running_time(cost, reached), *_percentiles(times))


def expected_running_time_ratio(a: Runtimes, b: Runtimes, streams: Streams) -> Interval:
    """ERT of `a` divided by that of `b`, with its bootstrapped 95 % interval: the runs of both are resampled.

    Args:
        a: Runtimes of one trainer.
        b: Runtimes of the other.
        streams: Randomness of the bootstrap.
    """
    times = [_bootstrap_times(*runs, streams.child(name)) for name, runs in (("a", a), ("b", b))]
    with np.errstate(invalid="ignore"):
        ratios = times[0] / times[1]  # NaN, which ranks last, where neither has any success
        return Interval(float(np.divide(expected_running_time(*a), expected_running_time(*b))), *_percentiles(ratios))


def interquartile_mean(values: ArrayLike) -> Sample:
    """Mean of the middle half along the last axis (Agarwal et al. 2021): robust as the median, but uses more runs."""
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(nan_to_inf(values), 0.25, axis=-1))


def stratified_bootstrap(
    strata: Sequence[ArrayLike], streams: Streams, statistic: Callable[[Sample], Sample] = interquartile_mean
) -> Interval:
    """A statistic of all strata together, with its 95 % interval from runs resampled *within* strata.

    A stratum is a (task, network) pair, so that no resample loses a task (Agarwal et al. 2021).

    Args:
        strata: Samples.
        streams: Randomness of the bootstrap.
        statistic: Works along the last axis.
    """
    samples = [nan_to_inf(stratum) for stratum in strata]
    rng = streams.child("strata").at(0)
    resamples = np.concatenate([s[rng.integers(len(s), size=(RESAMPLES, len(s)))] for s in samples], axis=1)
    return Interval(float(statistic(np.concatenate(samples))), *_percentiles(statistic(resamples)))


def success_rate(successes: int, runs: int) -> Interval:
    """Share of runs that succeeded, with Wilson's 95 % score interval."""
    from scipy.stats import binomtest

    ci = binomtest(successes, runs).proportion_ci(0.95, method="wilson")
    return Interval(successes / runs, float(ci.low), float(ci.high))


def summarise(values: ArrayLike) -> Summary:
    """Median and quartiles; a quartile that falls on a non-finite value is infinite."""
    ordered = np.sort(nan_to_inf(values))
    low, middle, high = (_quantile(ordered, q) for q in (0.25, 0.5, 0.75))
    return Summary(middle, low, high, len(ordered), int(np.isinf(ordered).sum()))


def ecdf(costs: ArrayLike, total: int) -> tuple[Sample, Sample]:
    """Empirical distribution of runtimes: sorted finite runtimes, and the share of all `total` attempts up to each."""
    x = np.sort(np.asarray(costs, np.float64))
    x = x[np.isfinite(x)]
    return x, np.arange(1, len(x) + 1) / max(total, 1)


def signed_rank(a: ArrayLike, b: ArrayLike) -> tuple[float, int]:
    """Wilcoxon's paired signed-rank test, two-sided: p, and which sample is lower (-1 `a`, 1 `b`, 0 neither).

    Two failed runs are a tie, which is left out; a failed run differs from a finite one by more than any two finite
    ones. The test is exact, also with ties: it convolves the distribution of rank sums over all signs. scipy, with
    which it agrees, enumerates the 2ⁿ signs (13 pairs: 1 s).
    """
    from scipy.stats import rankdata

    a, b = _inf_to_finite(a, b)
    difference = (a - b)[a != b]
    ranks = np.rint(2 * rankdata(np.abs(difference))).astype(int)  # doubled: tied ranks are halves
    chance = np.ones(1)  # probability of each sum of the positive differences' ranks
    for rank in ranks:
        chance = (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0))) / 2
    above, below = ranks[difference > 0].sum(), ranks[difference < 0].sum()
    return min(1.0, 2 * float(chance[: min(above, below) + 1].sum())), int(np.sign(above - below))


def rank_sum(a: ArrayLike, b: ArrayLike) -> tuple[float, int]:
    """Mann–Whitney's unpaired test, two-sided: p, and which sample is lower (-1 `a`, 1 `b`, 0 neither)."""
    from scipy.stats import mannwhitneyu

    a, b = nan_to_inf(a), nan_to_inf(b)
    result = mannwhitneyu(a, b)
    return min(1.0, float(result.pvalue)), int(np.sign(result.statistic - len(a) * len(b) / 2))


def min_p_value(a: int, b: int | None = None) -> float:
    """The smallest two-sided p that any data can give: with `a` pairs, or with `a` and `b` unpaired runs."""
    return 1.0 if a == 0 or b == 0 else min(1.0, 2 / (2**a if b is None else comb(a + b, a)))


def min_pairs(comparisons: int, alpha: float = 0.05) -> int:
    """Fewest paired seeds with which one of so many comparisons can be significant after Holm's correction."""
    return next(n for n in range(1, 100) if min_p_value(n) * comparisons < alpha)


def nan_to_inf(values: ArrayLike) -> Sample:
    """Values as float64, with NaN and minus infinity, which no valid loss can be, as plus infinity."""
    array = np.asarray(values, np.float64)
    return np.where(np.isfinite(array), array, np.inf)


def _inf_to_finite(a: ArrayLike, b: ArrayLike) -> tuple[Sample, Sample]:
    """Replace infinite losses by one finite value, so large that differences to it rank above all others."""
    both = nan_to_inf(np.stack([np.asarray(a, np.float64), np.asarray(b, np.float64)]))
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    both[np.isinf(both)] = high + 2 * (high - low) + 1
    return both[0], both[1]


def _bootstrap_times(cost: ArrayLike, reached: ArrayLike, streams: Streams) -> Sample:
    """ERT of runs drawn with replacement [RESAMPLES]."""
    cost, hit = np.asarray(cost, np.float64), np.asarray(reached, bool)
    rows = streams.at(0).integers(len(cost), size=(RESAMPLES, len(cost)))
    wins = hit[rows].sum(axis=1)
    return np.where(wins > 0, cost[rows].sum(axis=1) / np.maximum(wins, 1), np.inf)


def _percentiles(values: Sample) -> tuple[float, float]:
    ordered = np.sort(values)
    return _quantile(ordered, 0.025), _quantile(ordered, 0.975)


def _quantile(ordered: Sample, q: float) -> float:
    """Linear between neighbours, like numpy's; but between two infinities it is infinite instead of NaN."""
    if not len(ordered):
        return float("nan")
    position = q * (len(ordered) - 1)
    below, share = int(position), position - int(position)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    return low if share == 0 or low == high else low + share * (high - low)
