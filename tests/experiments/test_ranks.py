"""Ranks over tasks against Demšar's worked example (2006, table 6), scipy and full enumeration."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from evornn.arrays import Streams
from evornn.experiments.analysis import ranks as r

# C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets: the ranks of their areas under the ROC curve
DEMSAR = np.array([
    [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5], [3, 2, 4, 1],
    [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2],
])  # fmt: skip
# Table 5 of the same paper: q of the Nemenyi test for 2, 3, … contestants
CRITICAL = {
    0.05: (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164),
    0.10: (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920),
}
UNTIMED = settings(deadline=None, max_examples=50)


@st.composite
def tables(draw):
    """Losses of two to six tasks and three to five contestants, with many ties."""
    size = draw(st.integers(2, 6)), draw(st.integers(3, 5))
    return np.array(
        draw(st.lists(st.integers(0, 5), min_size=size[0] * size[1], max_size=size[0] * size[1])), float
    ).reshape(size)


def test_demsars_example():
    means = r.ranks(DEMSAR).mean(axis=0)
    assert means == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    statistic, p = r.friedman(DEMSAR, Streams(0))
    without_ties = statistic * (1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * 4 * 15))  # his χ² is not corrected for them
    assert without_ties == pytest.approx(9.28, abs=5e-3)
    assert 13 * without_ties / (14 * 3 - without_ties) == pytest.approx(3.69, abs=5e-3)
    assert p == pytest.approx(stats.f.sf(3.69, 3, 39), abs=0.01)  # he: below 0.05
    ordered = np.sort(means)
    strict, lenient = r.critical_difference(4, 14), r.critical_difference(4, 14, 0.1)
    assert (strict, lenient) == (pytest.approx(1.25, abs=5e-3), pytest.approx(1.12, abs=5e-3))
    assert r.find_cliques(ordered, strict) == [(0, 3)]  # he: not even the best and the worst
    assert r.find_cliques(ordered, lenient) == [
        (0, 2),
        (2, 3),
    ]  # he: C4.5 is worse than both with m, cf belongs to either


@pytest.mark.parametrize("alpha", CRITICAL)
def test_critical_differences_are_demsars(alpha):
    for k, q in enumerate(CRITICAL[alpha], start=2):
        assert r.critical_difference(k, 10, alpha) / np.sqrt(k * (k + 1) / 60) == pytest.approx(q, abs=1e-3)


@UNTIMED
@given(tables())
def test_friedmans_statistic_is_scipys(losses):
    assume((losses != losses[:, :1]).any())
    assert r.friedman(losses, Streams(0))[0] == pytest.approx(stats.friedmanchisquare(*losses.T).statistic)


@UNTIMED
@given(tables(), st.permutations(range(5)))
def test_only_the_order_within_a_task_counts(losses, order):
    scaled = np.exp(losses) * np.arange(1, len(losses) + 1)[:, None]
    assert r.friedman(scaled, Streams(0)) == r.friedman(losses, Streams(0))
    columns = [k for k in order if k < losses.shape[1]]
    assert (r.ranks(losses[:, columns]) == r.ranks(losses)[:, columns]).all()
    assert r.friedman(losses[:, columns], Streams(0))[0] == pytest.approx(r.friedman(losses, Streams(0))[0])
    assert r.ranks(losses).sum(axis=1) == pytest.approx(losses.shape[1] * (losses.shape[1] + 1) / 2)


@pytest.mark.parametrize(
    "losses", [[[1, 2, 3]] * 3, [[1, 2, 3], [1, 3, 2], [1, 2, 3]], [[1, 1, 2], [3, 1, 2], [2, 2, 5]]]
)
def test_p_is_that_of_all_orders(losses):
    shuffled = product(*(list(permutations(row)) for row in r.ranks(losses)))
    spread = np.array([np.var(np.sum(rows, axis=0)) for rows in shuffled])
    exact = (spread >= np.var(r.ranks(losses).sum(axis=0)) - 1e-9).mean()
    assert r.friedman(losses, Streams(0))[1] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / r.SHUFFLES))


def test_no_difference_is_found_where_there_is_none_more_often_than_said():
    rng = np.random.default_rng(0)
    found = [r.friedman(rng.random((4, 3)), Streams(k))[1] for k in range(200)]
    assert np.mean(np.array(found) < 0.05) <= 0.09  # 5 % nominal; more than 18 of 200 would happen once in 200
    assert r.friedman(np.ones((4, 3)), Streams(0)) == (0, 1)


def test_a_failed_run_has_the_worst_rank():
    assert r.ranks([[np.nan, 2, 1], [np.inf, -np.inf, 1]]).tolist() == [[3, 2, 1], [2.5, 2.5, 1]]


@UNTIMED
@given(st.lists(st.floats(1, 9), min_size=1, max_size=9).map(sorted), st.floats(0.01, 9))
def test_groups_hold_just_the_pairs_that_are_closer(means, critical):
    groups = r.find_cliques(means, critical)
    together = {(a, b) for first, last in groups for a in range(first, last + 1) for b in range(a + 1, last + 1)}
    pairs = {(a, b) for b in range(len(means)) for a in range(b)}
    assert together == {(a, b) for a, b in pairs if means[b] < means[a] + critical}
    assert not any(a[0] >= b[0] and a[1] <= b[1] for a in groups for b in groups if a != b)  # none inside another


@pytest.mark.parametrize(("contestants", "alpha", "tasks"), [(3, 0.05, 3), (3, 0.01, 4), (5, 0.05, 3), (3, 0.001, 5)])
def test_fewer_tasks_could_never_tell(contestants, alpha, tasks):
    assert r.min_tasks(contestants, alpha) == tasks
    agreed = [list(range(contestants))] * tasks
    assert r.friedman(agreed, Streams(0))[1] < alpha
    if tasks > r.MIN_TASKS:
        assert r.friedman(agreed[1:], Streams(0))[1] > alpha
