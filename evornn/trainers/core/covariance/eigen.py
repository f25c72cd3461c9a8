"""The full covariance of CMA-ES (Hansen 2016) by eigendecomposition, for up to about a hundred parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evornn.trainers.core.covariance.constants import Constants, constants
from evornn.trainers.core.covariance.form import Selection, Steps
from evornn.trainers.core.trainer import State


class EigenCovariance:
    """A is the symmetric root of C, so that A⁻¹ is the C^(−1/2) of the step-size path (eq. 43).

    It is recomputed only every 1 / (10 n (c_1 + c_µ)) generations (Hansen 2016, B.2), since C changes slowly. Double
    precision: the eigenvalues may be 14 orders of magnitude apart.
    """

    dtype = np.float64

    def constants(self, n: int, population: int) -> Constants:
        return constants(n, population)

    def identity(self, n: int) -> State:
        return {"C": np.eye(n), "A": np.eye(n), "condition": 1.0}

    def steps(self, state: State, z: Steps) -> Steps:
        y: Steps = z @ state["A"]
        return y

    def whiten(self, state: State, y: Steps) -> Steps:
        z: Steps = np.ascontiguousarray(np.linalg.solve(state["A"], y.T).T)
        return z

    def update(self, state: State, c: Constants, selected: Selection) -> State:
        # C ← kept C + c_1 p_c p_cᵀ + c_µ Σ wᵢ° yᵢ yᵢᵀ, the rank-one and the rank-µ update in one product.
        kept = 1 + c.c_1 * selected.stalled - c.c_1 - c.c_mu * c.weights.sum()
        y = np.vstack([selected.p_c, selected.y])
        weights = np.concatenate([[c.c_1], c.c_mu * selected.weights])
        C = kept * state["C"] + (weights[:, None] * y).T @ y  # eq. 47
        every = max(1, int(1 / (10 * len(C) * (c.c_1 + c.c_mu))))
        return {**state, "C": C} if (selected.generation + 1) % every else _decompose(C)

    def condition(self, state: State) -> float:
        condition: float = state["condition"]
        return condition


def _decompose(C: NDArray[np.float64]) -> State:
    """The state of C and its root; an infinite condition, and no root, if C is no longer positive definite."""
    C = (C + C.T) / 2
    if not np.isfinite(C).all():
        return {"C": C, "A": C, "condition": np.inf}
    values, vectors = np.linalg.eigh(C)
    if values[0] <= 0:
        return {"C": C, "A": C, "condition": np.inf}
    return {"C": C, "A": (vectors * np.sqrt(values)) @ vectors.T, "condition": float(values[-1] / values[0])}
