"""A covariance of a few directions: O(n log n) memory, and O(n log n) time per point."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
from numpy.typing import NDArray

from evornn.trainers.core.covariance.constants import Constants, constants
from evornn.trainers.core.covariance.form import Selection, Steps
from evornn.trainers.core.trainer import State

Vector = NDArray[np.float64]


class LimitedMemoryCovariance:
    """LM-MA-ES (Loshchilov, Glasmachers & Beyer 2018, "Large scale black-box optimization by limited-memory matrix
    adaptation"): A is a product of m = 4 + ⌊3 ln n⌋ factors Fⱼ = (1 − c_d,j) I + c_d,j mⱼ mⱼᵀ, j = 0 … m − 1, where mⱼ
    is an evolution path of the z with a memory of 1 / c_c,j generations.

    The paper's rates c_σ = 2 P / n, c_c,j = P / (4ʲ n) and c_d,j = 1 / (1.5ʲ n) are meant for many parameters and few
    points; here none exceeds 1/2. The state is the `paths` [m, n] and `known`, the number of factors in use: one more
    per generation, as in the paper.
    """

    dtype = np.float32

    def constants(self, n: int, population: int) -> Constants:
        # The damping of eq. 55 contains c_σ, which is another one here.
        c = constants(n, population)
        c_sigma = min(0.5, 2 * population / n)
        return replace(c, c_sigma=c_sigma, d_sigma=c.d_sigma - c.c_sigma + c_sigma)

    def identity(self, n: int) -> State:
        return {"paths": np.zeros((4 + int(3 * log(n)), n)), "known": 0}

    def steps(self, state: State, z: Steps) -> Steps:
        rates, paths = _factors(state)
        return _apply_factors(z, paths, 1 - rates, rates)

    def whiten(self, state: State, y: Steps) -> Steps:
        # The inverse factors in reverse order. By Sherman & Morrison, with c = c_d,j and s = 1 − c,
        # (s I + c m mᵀ)⁻¹ = I / s − (c / s) / (s + c mᵀm) m mᵀ.
        rates, paths = (values[::-1] for values in _factors(state))
        squares = np.einsum("jn,jn->j", paths, paths)
        return _apply_factors(y, paths, 1 / (1 - rates), -rates / (1 - rates) / (1 - rates + rates * squares))

    def update(self, state: State, c: Constants, selected: Selection) -> State:
        # mⱼ ← (1 − c_c,j) mⱼ + √(µ_eff c_c,j (2 − c_c,j)) z_w, for all j at once.
        paths = state["paths"]
        rates = np.minimum(0.5, len(selected.z) / (4.0 ** np.arange(len(paths)) * paths.shape[1]))[:, None]
        grown = (1 - rates) * paths + np.sqrt(c.mu_eff * rates * (2 - rates)) * selected.z_w
        return {"paths": grown, "known": min(state["known"] + 1, len(paths))}

    def condition(self, state: State) -> None:
        return None


def _factors(state: State) -> tuple[Vector, Vector]:
    """c_d,j [k] and mⱼ [k, n] of the k factors in use."""
    paths = state["paths"]
    rates = np.minimum(0.5, 1 / (1.5 ** np.arange(len(paths)) * paths.shape[1]))
    return rates[: state["known"]], paths[: state["known"]]


def _apply_factors(z: Steps, paths: Vector, scales: Vector, gains: Vector) -> Steps:
    """[P, n] z after d ← sⱼ d + gⱼ mⱼ (mⱼᵀ d) for the k paths one after the other.

    The result is a combination of z and the paths, d = scale · z + weights · paths, so two products with all the paths
    are enough, and the loop runs over the weights [P, k] alone.
    """
    narrow = paths.astype(z.dtype)
    # mⱼᵀ z [P, k] and mᵢᵀ mⱼ [k, k]: all inner products that the loop needs.
    along, gram = (z @ narrow.T).astype(np.float64), paths @ paths.T
    weights, scale = np.zeros_like(along), 1.0
    for j, (s, g) in enumerate(zip(scales, gains, strict=True)):
        inner = scale * along[:, j] + weights @ gram[:, j]  # mⱼᵀ d
        weights, scale = s * weights, s * scale
        weights[:, j] += g * inner
    combined: Steps = weights.astype(z.dtype) @ narrow
    combined += z.dtype.type(scale) * z
    return combined
