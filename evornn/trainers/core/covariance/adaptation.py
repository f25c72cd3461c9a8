"""The full covariance without an eigendecomposition: matrix adaptation."""

from __future__ import annotations

import numpy as np

from evornn.trainers.core.covariance.constants import Constants, constants
from evornn.trainers.core.covariance.form import Selection, Steps
from evornn.trainers.core.trainer import State


class MatrixAdaptation:
    """MA-ES (Beyer & Sendhoff 2017, "Simplify your covariance matrix adaptation evolution strategy") learns A itself:
    A ← A [I + c_1/2 (p pᵀ − I) + c_µ/2 Σ wᵢ (zᵢ zᵢᵀ − I)] with the step-size path p.

    Since A zᵢ = yᵢ is known, this is one product of [n, P + 1] and [P + 1, n]. Unlike the paper's, the weights are the
    active ones of CMA-ES. Single precision is twice as fast, and enough: A's condition number is the root of C's.
    """

    dtype = np.float32

    def constants(self, n: int, population: int) -> Constants:
        return constants(n, population)

    def identity(self, n: int) -> State:
        return {"A": np.eye(n, dtype=np.float32)}

    def steps(self, state: State, z: Steps) -> Steps:
        y: Steps = z @ state["A"].T
        return y

    def whiten(self, state: State, y: Steps) -> Steps:
        z: Steps = np.ascontiguousarray(np.linalg.solve(state["A"], y.T).T)
        return z

    def update(self, state: State, c: Constants, selected: Selection) -> State:
        # A ← kept A + c_1/2 (A p) pᵀ + c_µ/2 Σ wᵢ yᵢ zᵢᵀ, both sums in one product.
        A, p = state["A"], selected.p_sigma.astype(np.float32)
        kept = 1 - c.c_1 / 2 - c.c_mu / 2 * c.weights.sum()
        weights = np.concatenate([[c.c_1 / 2], c.c_mu / 2 * selected.weights]).astype(np.float32)
        left, right = np.vstack([A @ p, selected.y]), np.vstack([p, selected.z])
        left *= weights[:, None]
        new: Steps = left.T @ right
        new += np.float32(kept) * A
        return {"A": new}

    def condition(self, state: State) -> None:
        return None
