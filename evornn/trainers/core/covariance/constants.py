"""Weights and learning rates of CMA-ES: Hansen 2016, "The CMA evolution strategy: a tutorial" (arXiv 1604.00772v2),
whose numbers of equations are used here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Constants:
    """Weights and learning rates of a search over n parameters with a population P."""

    weights: NDArray[np.float64]  # [P] by rank, best first; the positive ones sum to 1, the others are negative
    mu_eff: float  # variance effective selection mass of the positive weights
    c_sigma: float  # learning rate of the step-size path
    d_sigma: float  # damping of the step size
    c_c: float  # learning rate of the covariance path
    c_1: float  # learning rate of the rank-one update
    c_mu: float  # learning rate of the rank-µ update
    length: float  # expected length of N(0, I)


def default_population(n: int) -> int:
    """P = 4 + ⌊3 ln n⌋."""
    return 4 + int(3 * log(n))  # eq. 48


@lru_cache(maxsize=64)
def constants(n: int, population: int, speed_up: float = 1.0) -> Constants:
    """The constants of a search.

    Args:
        n: Number of parameters.
        population: P.
        speed_up: Factor of the learning rates of the covariance, for one that has fewer degrees of freedom.
    """
    raw = log((population + 1) / 2) - np.log(np.arange(1, population + 1))  # eq. 49
    mu_eff, mu_eff_minus = _mass(raw[: population // 2]), _mass(raw[population // 2 :])
    c_1 = min(1.0, speed_up * 2 / ((n + 1.3) ** 2 + mu_eff))  # eq. 57
    rank_mu = 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff)  # eq. 58, with its α_cov = 2
    c_mu = min(1 - c_1, speed_up * rank_mu)
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)  # eq. 55
    return Constants(
        weights=_weights(raw, n, c_1, c_mu, mu_eff, mu_eff_minus),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=1 + 2 * max(0.0, sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma,  # eq. 55
        c_c=(4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),  # eq. 56
        c_1=c_1,
        c_mu=c_mu,
        length=sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)),
    )


def _mass(weights: NDArray[np.float64]) -> float:
    """(Σ w)² / Σ w², 0 without weights."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _weights(
    raw: NDArray[np.float64], n: int, c_1: float, c_mu: float, mu_eff: float, mu_eff_minus: float
) -> NDArray[np.float64]:
    """[P] the positive weights sum to 1, the negative ones to minus the smallest of three bounds (eqs. 50–53)."""
    limits = [1 + 2 * mu_eff_minus / (mu_eff + 2)]  # eq. 51
    if c_mu:
        limits += [1 + c_1 / c_mu, (1 - c_1 - c_mu) / (n * c_mu)]  # eqs. 50 and 52
    positive, negative = raw[raw > 0].sum(), -raw[raw < 0].sum()
    weights: NDArray[np.float64] = np.where(raw > 0, raw / positive, max(0.0, min(limits)) * raw / negative)  # eq. 53
    weights.flags.writeable = False  # the cache returns the same array to all callers
    return weights
