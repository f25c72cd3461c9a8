"""Pairwise tests of test losses, paired by seed and corrected together; none if there are too few seeds.

Over several tasks the pairs are tasks instead of seeds (see `overall.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from evornn.experiments.analysis import statistics
from evornn.experiments.analysis.comparison import Pair, PairwiseTests
from evornn.experiments.analysis.narrative import plural
from evornn.experiments.analysis.statistics import Sample

if TYPE_CHECKING:
    from pandas import DataFrame

SIGNED_RANK, RANK_SUM = "Wilcoxon signed-rank, paired by {}", "Mann–Whitney U, {}s not paired"


def compare_pairs(name: str, losses: DataFrame, alpha: float, unit: str = "seed") -> PairwiseTests:
    """Compare all pairs of contestants.

    Args:
        name: The question: a network, "all networks", "families" or "all tasks".
        losses: Test losses, a row per seed (or other `unit`), a column per contestant. NaN: not run; infinite: failed.
        alpha: Significance level.
        unit: What a row is, in words.

    Returns:
        Effect sizes of all pairs, and tests if there are enough rows.
    """
    columns = [str(column) for column in losses.columns]
    samples = [_sample(losses, a, b) for a, b in combinations(losses.columns, 2)]
    names = list(combinations(columns, 2))
    effects = [_effect(a, b, *sample) for (a, b), sample in zip(names, samples, strict=True)]
    if not samples:
        return PairwiseTests(name, tuple(columns), (), note="nothing to compare: only one contestant.")
    if note := _too_few_reason(samples, alpha, unit):
        return PairwiseTests(name, tuple(columns), tuple(effects), note=note)
    return PairwiseTests(name, tuple(columns), tuple(_run_tests(effects, samples, alpha)), _method(samples, unit))


def losses_by_seed(runs: DataFrame, by: str) -> DataFrame:
    """Test losses, a row per seed and a column per `by` (trainer or family): the median over the runs that share both.

    A seed whose runs are incomplete is left out of its column, because its median would be over other networks.
    """
    groups = runs.groupby(["seed", by], sort=False)["test_loss"].agg(["median", "size"]).reset_index()
    full = groups["size"] == groups.groupby(by)["size"].transform("max")
    table = groups[full].pivot(index="seed", columns=by, values="median")
    return table[[column for column in dict.fromkeys(runs[by]) if column in table.columns]]


def _run_tests(effects: Sequence[Pair], samples: Sequence[tuple[Sample, Sample, bool]], alpha: float) -> list[Pair]:
    results = [statistics.signed_rank(a, b) if paired else statistics.rank_sum(a, b) for a, b, paired in samples]
    corrected = statistics.holm([p for p, _ in results])
    return [
        replace(e, p=p, corrected=float(c), better={-1: e.a, 1: e.b}.get(lower) if c < alpha else None)
        for e, (p, lower), c in zip(effects, results, corrected, strict=True)
    ]


def _effect(a: str, b: str, x: Sample, y: Sample, paired: bool) -> Pair:
    wins = (int((x < y).sum()), int((y < x).sum())) if paired else (None, None)
    return Pair(a, b, 1 - statistics.a12(x, y), _count(x, y), a_wins=wins[0], b_wins=wins[1])


def _sample(losses: DataFrame, a: str, b: str) -> tuple[Sample, Sample, bool]:
    """The two columns, paired if at least half of the smaller one's seeds are in both."""
    x, y = losses[a].dropna(), losses[b].dropna()
    common = x.index.intersection(y.index)
    if paired := 2 * len(common) >= min(len(x), len(y)) and len(common) > 0:
        x, y = x.loc[common], y.loc[common]
    return x.to_numpy(float), y.to_numpy(float), paired


def _too_few_reason(samples: Sequence[tuple[Sample, Sample, bool]], alpha: float, unit: str) -> str:
    """Why there is no test: not even the clearest data could give a p below alpha after correction. Empty otherwise."""
    smallest_p = [
        statistics.min_p_value(len(a)) if paired else statistics.min_p_value(len(a), len(b)) for a, b, paired in samples
    ]
    if statistics.holm(smallest_p).min() < alpha:
        return ""
    sample_size = plural(min(_count(a, b) for a, b, _ in samples), unit)
    return (
        f"too few {unit}s for a test: with {sample_size} and {plural(len(samples), 'comparison')} no result could be "
        f"significant at {alpha:g}; {statistics.min_pairs(len(samples), alpha)} {unit}s would be enough."
    )


def _count(a: Sample, b: Sample) -> int:
    return min(len(a), len(b))


def _method(samples: Sequence[tuple[Sample, Sample, bool]], unit: str) -> str:
    kinds = dict.fromkeys((SIGNED_RANK if paired else RANK_SUM).format(unit) for *_, paired in samples)
    return "; ".join(kinds) + "; Holm's correction"
