"""Each statistic against scipy or a case worked by hand, and the laws that hold for any data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evornn.arrays import Streams
from evornn.experiments.analysis import statistics as s

LOSSES = st.lists(st.floats(0, 1e6), min_size=2, max_size=12)
BAD_TOO = st.lists(st.one_of(st.floats(0, 1e6), st.just(math.nan), st.just(math.inf)), min_size=2, max_size=12)
NAN, INF = math.nan, math.inf
UNTIMED = settings(deadline=None)


def test_a12_by_hand():
    assert s.a12([3, 4], [1, 2]) == 1.0
    assert s.a12([1, 2, 3], [2]) == 0.5  # one above, one tied, one below
    assert s.a12([1, 3], [2, 2]) == 0.5
    assert s.a12([NAN], [1e9]) == 1.0  # a failed run is above any other
    assert s.a12([NAN], [INF]) == 0.5


@UNTIMED
@given(BAD_TOO, BAD_TOO)
def test_a12_of_both_directions_adds_to_one(a, b):
    assert s.a12(a, b) + s.a12(b, a) == pytest.approx(1)
    assert 0 <= s.a12(a, b) <= 1


def test_holm_by_hand():
    assert s.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert s.holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert s.holm([0.02]) == pytest.approx([0.02])


@UNTIMED
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_never_lowers_and_is_no_stricter_than_bonferroni(p):
    p, corrected = np.array(p), s.holm(p)
    assert (corrected >= p).all() and (corrected <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()


def test_expected_running_time_by_hand():
    assert s.expected_running_time([10, 20, 100], [True, True, False]) == 65  # (10 + 20 + 100) / 2
    assert s.expected_running_time([10, 20], [True, True]) == 15
    assert s.expected_running_time([100, 100], [False, False]) == INF


@UNTIMED
@given(st.lists(st.tuples(st.floats(1, 1e6), st.booleans()), min_size=1, max_size=10))
def test_running_time_is_at_least_the_fastest_run_and_lies_in_its_interval(runs):
    cost, hit = zip(*runs, strict=True)
    found = s.expected_running_time_interval(cost, hit, Streams(0))
    assert found.value >= min(cost) * (1 - 1e-9)
    assert found.low <= found.high and found.low >= min(cost) * (1 - 1e-9)
    assert (found.value == INF) == (not any(hit))


def test_ratio_of_running_times_covers_what_it_should():
    """Exponential times of means 3 and 2: the interval holds 3/2 in about 95 % of cases; more runs narrow it."""
    rng, held = np.random.default_rng(0), 0
    for k in range(200):
        a, b = (s.Runtimes(mean * rng.exponential(size=60), [True] * 60) for mean in (3.0, 2.0))
        found = s.expected_running_time_ratio(a, b, Streams(k))
        assert found.low <= found.value <= found.high
        held += found.low <= 1.5 <= found.high
    assert 180 <= held <= 198
    more = [s.Runtimes(np.tile(runs.cost, 4), [True] * 240) for runs in (a, b)]
    assert s.expected_running_time_ratio(*more, Streams(0)).high - found.value < 0.7 * (found.high - found.value)


def test_ratio_of_running_times_where_one_never_arrives():
    never, always = s.Runtimes([10, 10], [False, False]), s.Runtimes([5, 5], [True, True])
    assert s.expected_running_time_ratio(never, always, Streams(0)) == s.Interval(INF, INF, INF)
    assert s.expected_running_time_ratio(always, never, Streams(0)) == s.Interval(0, 0, 0)


def test_running_time_interval_covers_what_it_should():
    rng, covered = np.random.default_rng(0), 0
    for k in range(100):  # geometric trials: each run costs 1 and succeeds with probability 0.5, so the truth is 2
        found = s.expected_running_time_interval(np.ones(40), rng.random(40) < 0.5, Streams(k))
        covered += found.low <= 2 <= found.high
    assert covered >= 88  # 95 nominal; 88 or fewer would happen once in a thousand


def test_interquartile_mean():
    assert s.interquartile_mean([1, 2, 3, 4, 5, 6, 7, 100]) == 4.5  # mean of 3, 4, 5, 6
    values = np.random.default_rng(1).normal(size=41)
    assert s.interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert s.interquartile_mean([1, 2, 3, NAN]) == 2.5  # the failed run is in the quarter that is cut
    assert s.interquartile_mean([1, NAN, NAN, NAN]) == INF


def test_stratified_bootstrap_agrees_with_scipy_and_keeps_to_its_strata():
    values = np.random.default_rng(2).normal(5, 1, 60)
    ours = s.stratified_bootstrap([values], Streams(0))
    theirs = stats.bootstrap(
        (values,), s.interquartile_mean, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.05)
    fixed = s.stratified_bootstrap([[1, 1], [9, 9]], Streams(0))  # no spread within a stratum, much between
    assert (fixed.low, fixed.value, fixed.high) == (5, 5, 5)
    assert s.stratified_bootstrap([values], Streams(0)) == ours


def test_success_rate_is_wilsons():
    found, z = s.success_rate(3, 10), stats.norm.ppf(0.975)
    middle, half = (0.3 + z**2 / 20) / (1 + z**2 / 10), z * math.sqrt(0.3 * 0.7 / 10 + z**2 / 400) / (1 + z**2 / 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, middle - half, middle + half))
    assert s.success_rate(0, 5).low == pytest.approx(0, abs=1e-12) and s.success_rate(5, 5).high == pytest.approx(1)


@UNTIMED
@given(LOSSES)
def test_spread_is_numpys_for_finite_losses(values):
    found = s.summarise(values)
    assert (found.q25, found.median, found.q75) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))
    assert found.bad == 0


def test_spread_with_failed_runs():
    found = s.summarise([1, 2, 3, NAN, -INF])
    assert (found.q25, found.median, found.q75, found.count, found.bad) == (2, 3, INF, 5, 2)
    assert s.summarise([1, NAN]).median == INF


def test_ecdf_counts_those_that_never_arrive():
    x, share = s.ecdf([5, 3, INF], 4)
    assert x.tolist() == [3, 5] and share.tolist() == [0.25, 0.5]


@settings(deadline=None, max_examples=30)  # scipy goes through all 2ⁿ signs when there are ties
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=9))
def test_signed_rank_is_scipys_and_symmetric(pairs):
    a, b = np.array(pairs, float).T
    p, lower = s.signed_rank(a, b)
    assert s.signed_rank(b, a) == (pytest.approx(p), -lower)
    if (a != b).any():
        assert p == pytest.approx(stats.wilcoxon(a, b).pvalue)


def test_signed_rank_by_hand_and_with_failed_runs():
    a, b = [1, 2, 3, 4, 5, 6], [2, 4, 6, 8, 10, 12]
    assert s.signed_rank(a, b) == (pytest.approx(2 / 64), -1)  # all six differences the same way
    assert s.signed_rank([1, 2, 3, 4, 5, NAN], b)[1] == -1
    assert s.signed_rank(a, [NAN] * 6) == (pytest.approx(2 / 64), -1)
    assert s.signed_rank([NAN] * 6, [INF] * 6) == (1, 0)
    assert s.signed_rank([3, 3], [3, 3]) == (1, 0)


def test_a_failed_run_outranks_every_finite_difference():
    a, b = np.array([0.0, 1, 2, 3, NAN]), np.array([100.0, 102, 104, 106, 0])
    ranks = stats.wilcoxon([-100, -101, -102, -103, 1e9])
    assert s.signed_rank(a, b)[0] == pytest.approx(ranks.pvalue)


@UNTIMED
@given(BAD_TOO, BAD_TOO)
def test_rank_sum_is_symmetric_and_scipys(a, b):
    p, lower = s.rank_sum(a, b)
    assert s.rank_sum(b, a) == (pytest.approx(p), -lower)
    finite = np.where(np.isfinite(a), a, 1e9), np.where(np.isfinite(b), b, 1e9)
    assert p == pytest.approx(min(1, stats.mannwhitneyu(*finite).pvalue))


@pytest.mark.parametrize("count", range(1, 11))
def test_no_paired_data_can_give_less_than_least_p(count):
    a = np.arange(count, dtype=float)
    assert stats.wilcoxon(-1 - a).pvalue == pytest.approx(s.min_p_value(count))


def test_least_p_of_unpaired_runs_and_least_pairs():
    assert stats.mannwhitneyu([1, 2, 3], [4, 5, 6, 7]).pvalue == pytest.approx(s.min_p_value(3, 4))
    assert s.min_pairs(1) == 6  # 2/2⁵ = 0.0625, 2/2⁶ = 0.031
    assert s.min_pairs(10) == 9
