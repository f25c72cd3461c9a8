"""A comparison in plain words: sentences that stay readable with many trainers."""

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

from evornn.experiments.analysis import narrative
from evornn.experiments.analysis.comparison import Pair, PairwiseTests, ResultCell, TaskComparison
from evornn.experiments.analysis.statistics import Summary

OPEN = [Pair(a, b, a_lower=0.5, count=10, p=0.5, corrected=1.0) for a, b in combinations("vwxyz", 2)]
CLEAR = Pair("best", "worst", a_lower=1.0, count=10, p=0.001, corrected=0.011, better="best")


def spread(median: float) -> Summary:
    return Summary(median, median, median, 10, 0)


NOTHING = PairwiseTests("families", (), ())
CELL = ResultCell("gru", "adam", "gradient", 10, 1, 0, spread(1.0), spread(1.0), (), 1.0, 1.0, 1, None)
TASK = TaskComparison("sines", {}, 10, 1.0, (CELL,), (), None, None, (), NOTHING, ())


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


def test_the_answer_says_by_how_much_and_in_how_many_seeds() -> None:
    families = (("hybrid", spread(0.2)), ("gradient", spread(0.25)), ("guessing", spread(float("inf"))))
    pairs = (Pair("gradient", "hybrid", 0.1, 10, a_wins=2, b_wins=8), Pair("hybrid", "guessing", 1.0, 9))
    task = replace(TASK, families=families, contest_of_families=PairwiseTests("families", (), pairs))
    assert narrative.families(task, 0.05)[0] == (
        "Hybrid is ahead with a median test loss of 0.2000: 20.0 % lower than 0.2500 of gradient (in 8 of 10 seeds) "
        "and lower than ∞ of guessing."
    )


def test_rows_are_in_the_order_of_their_results() -> None:
    losses = {"a": 3.0, "b": math.nan, "c": 1.0}
    cells = tuple(replace(CELL, trainer=name, test=spread(loss)) for name, loss in losses.items())
    assert [cell.trainer for cell in narrative.by_result(replace(TASK, cells=cells))] == ["c", "a", "b"]
