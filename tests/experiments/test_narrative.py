"""A comparison in plain words: sentences that stay readable with many trainers."""

from collections.abc import Iterable
from itertools import combinations

from evornn.experiments.analysis import narrative
from evornn.experiments.analysis.comparison import Pair, PairwiseTests

OPEN = [Pair(a, b, a_lower=0.5, count=10, p=0.5, corrected=1.0) for a, b in combinations("vwxyz", 2)]
CLEAR = Pair("best", "worst", a_lower=1.0, count=10, p=0.001, corrected=0.011, better="best")


def describe(pairs: Iterable[Pair]) -> str:
    return narrative.describe_tests(PairwiseTests("all networks", (), tuple(pairs), test="Wilcoxon"), alpha=0.05)


def test_many_pairs_without_a_difference_are_counted():
    assert describe(OPEN) == "No difference could be shown in any of the 10 pairs (all p ≥ 0.05; Wilcoxon)."
    clear, rest = describe([CLEAR, *OPEN]).split("; no ")
    assert clear.startswith("Test losses are lower for best than for worst (p ≤ 0.011")
    assert rest == "difference could be shown in the other 10 pairs."


def test_few_pairs_without_a_difference_are_named():
    assert "between v and w, v and x and v and y (all p" in describe(OPEN[:3])
    assert "no difference could be shown between v and w." in describe([CLEAR, OPEN[0]])
