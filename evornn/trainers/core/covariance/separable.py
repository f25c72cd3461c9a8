"""A diagonal covariance: O(n) memory and time instead of O(n²)."""

from __future__ import annotations

import numpy as np

from evornn.trainers.core.covariance.constants import Constants, constants
from evornn.trainers.core.covariance.form import Selection, Steps
from evornn.trainers.core.trainer import State


class SeparableCovariance:
    """sep-CMA-ES (Ros & Hansen 2008, "A simple modification in CMA-ES achieving linear time and space complexity"):
    only the variances are learned, with (n + 2) / 3 times the learning rates of the full covariance."""

    dtype = np.float32

    def constants(self, n: int, population: int) -> Constants:
        return constants(n, population, (n + 2) / 3)

    def identity(self, n: int) -> State:
        return {"variances": np.ones(n)}

    def steps(self, state: State, z: Steps) -> Steps:
        y: Steps = z * np.sqrt(state["variances"]).astype(z.dtype)
        return y

    def whiten(self, state: State, y: Steps) -> Steps:
        z: Steps = y / np.sqrt(state["variances"]).astype(y.dtype)
        return z

    def update(self, state: State, c: Constants, selected: Selection) -> State:
        # The diagonal of eq. 47.
        kept = 1 + c.c_1 * selected.stalled - c.c_1 - c.c_mu * c.weights.sum()
        rank_mu = np.einsum("p,pn,pn->n", selected.weights, selected.y, selected.y)
        return {"variances": kept * state["variances"] + c.c_1 * np.square(selected.p_c) + c.c_mu * rank_mu}

    def condition(self, state: State) -> float:
        return float(state["variances"].max() / state["variances"].min())
