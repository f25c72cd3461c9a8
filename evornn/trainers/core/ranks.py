"""Weights from the ranks of losses alone, so that a search doesn't depend on their scale."""

from __future__ import annotations

from functools import lru_cache
from math import log

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]  # [P] or [n]


def utilities(losses: Vector) -> Vector:
    """[P] weights of losses [P] that sum to 0 (Wierstra et al. 2014, "Natural evolution strategies", §3.1).

    Those of the better half fall with the logarithm of the rank, those of the worse half are equal.
    """
    return _assign_by_rank(losses, _log_utilities(len(losses)))


def centred_ranks(losses: Vector) -> Vector:
    """[P] weights of losses [P], evenly spaced from 1/2 for the best to −1/2 for the worst (Salimans et al. 2017)."""
    return _assign_by_rank(losses, np.linspace(0.5, -0.5, len(losses)))


@lru_cache(64)
def _log_utilities(P: int) -> Vector:
    by_rank = np.maximum(0, log(P / 2 + 1) - np.log(np.arange(1, P + 1)))
    weights: Vector = by_rank / by_rank.sum() - 1 / P
    weights.flags.writeable = False  # the cache returns the same array to all callers
    return weights


def _assign_by_rank(losses: Vector, by_rank: Vector) -> Vector:
    """[P] the weight of each member's rank. Members with equal losses get the mean over their ranks, whose order is
    arbitrary."""
    _, member_of, counts = np.unique(losses, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    sums = np.concatenate([[0.0], np.cumsum(by_rank)])
    means: Vector = (sums[ends] - sums[ends - counts]) / counts
    return means[member_of]
