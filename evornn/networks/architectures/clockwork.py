"""Clockwork network (Koutník et al. 2014):

hᵏₜ = f(Wᵏ xₜ + Σⱼ≥ₖ Uᵏʲ hʲₜ₋₁ + bᵏ) where Tₖ divides t, else hᵏₜ₋₁; yₜ = V hₜ + c.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Len
from numpy.typing import NDArray

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.networks.groups import groups
from evornn.ops import Node, Sizes, constant, every, where
from evornn.settings import settings


@settings
class Clockwork(Cell):
    """Modules of equal size, each with its clock: module k is updated every Tₖ = `periods[k]` steps (all at t = 0) and
    sees the input and the modules that are at least as slow. Initial weights U[−1/√H, 1/√H]."""

    periods: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (1, 2, 4, 8)
    activation: Activation = "tanh"

    def step(self, w: Weights, x: Node, t: Node, h: Node) -> Node:
        return where(every(constant(self.period), t), ACTIVATIONS[self.activation](w.h(x, h)), h)

    def period(self, sizes: Sizes) -> NDArray[np.float64]:
        """[H] the period of each unit's module."""
        return np.array(self.periods, float)[groups(sizes["units"], [1] * len(self.periods))]

    def mask(self, name: str, source: int, sizes: Sizes) -> NDArray[np.bool_] | None:
        period = self.period(sizes)
        return None if source == 0 else period[None, :] >= period[:, None]
