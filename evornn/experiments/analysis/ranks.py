"""Comparisons over several tasks: Friedman's test on ranks and Nemenyi's critical difference (Demšar 2006).

Losses are [N, k]: a row per task, a column per contestant; lower is better. Only their order within a task counts, so
tasks may have any scale; a non-finite loss is the worst. Rank 1 is the best, ties share their mean rank.
"""

from __future__ import annotations

from itertools import count
from math import factorial, inf, sqrt

import numpy as np
from numpy.typing import ArrayLike

from evornn.arrays import Streams
from evornn.experiments.analysis.statistics import Sample, nan_to_inf

SHUFFLES = 9999
MIN_TASKS = 3


def ranks(losses: ArrayLike) -> Sample:
    """Ranks within each task [N, k]."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(nan_to_inf(losses), axis=-1), np.float64)


def friedman(losses: ArrayLike, streams: Streams) -> tuple[float, float]:
    """Friedman's χ² with k − 1 degrees of freedom, corrected for ties, and its p (Demšar 2006, §3.2.2).

    p is the share of 9999 permutations of the ranks within tasks whose χ² is at least as large, the data included
    (Phipson & Smyth 2010). The tails of χ² and F are far off for few tasks: if three tasks agree on the order of three
    contestants, p is 1/36, but χ² gives 0.0498 and F (Iman & Davenport 1980) gives 0.
    """
    rank_matrix = ranks(losses)
    middle = (rank_matrix.shape[1] + 1) / 2
    if not (within := float(((rank_matrix - middle) ** 2).sum())):
        return 0.0, 1.0
    between = ((rank_matrix.sum(axis=0) - len(rank_matrix) * middle) ** 2).sum()
    copies = np.broadcast_to(rank_matrix, (SHUFFLES, *rank_matrix.shape))
    sums = streams.child("friedman").at(0).permuted(copies, axis=2).sum(axis=1)
    as_large = ((sums - len(rank_matrix) * middle) ** 2).sum(axis=1) >= between  # halves: their squares are exact
    return float((rank_matrix.shape[1] - 1) * between / within), float((1 + as_large.sum()) / (1 + SHUFFLES))


def critical_difference(contestants: int, tasks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference: mean ranks further apart differ, all pairs tested together (Demšar 2006, §3.2.2).

    CD = q √(k (k + 1) / 6 N), where q is the quantile of the studentised range for k means and infinite degrees of
    freedom, divided by √2.

    Args:
        contestants: k.
        tasks: N.
        alpha: Significance level.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, contestants, inf)) / sqrt(2)
    return q * sqrt(contestants * (contestants + 1) / (6 * tasks))


def find_cliques(mean_ranks: ArrayLike, critical: float) -> list[tuple[int, int]]:
    """First and last index of each largest group whose mean ranks (in ascending order) are closer than `critical`."""
    means = np.asarray(mean_ranks, np.float64)
    cliques: list[tuple[int, int]] = []
    for first, lowest in enumerate(means):
        last = int(np.searchsorted(means, lowest + critical)) - 1
        if last > first and (not cliques or last > cliques[-1][1]):
            cliques.append((first, last))
    return cliques


def min_tasks(contestants: int, alpha: float = 0.05) -> int:
    """Fewest tasks on which three or more contestants could differ significantly; at least three.

    Friedman's p is smallest where all N tasks agree on one order: 1 / (k!)ᴺ⁻¹.
    """
    return next(n for n in count(MIN_TASKS) if alpha * factorial(contestants) ** (n - 1) > 1)
