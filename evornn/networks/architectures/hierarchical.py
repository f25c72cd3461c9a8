"""Hierarchical recurrent network (El Hihi & Bengio 1995):

hᵏₜ = f(Wᵏ hᵏ⁻¹ₜ₋₁ + Uᵏ hᵏₜ₋₁ + bᵏ) where Tₖ divides t, else hᵏₜ₋₁;
level 0 sees xₜ instead of a level below; yₜ = V hₜ + c.
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
class Hierarchical(Cell):
    """Levels of equal size, the upper ones slower: level k is updated every Tₖ = `periods[k]` steps (all at t = 0) and
    sees itself and the level below. Only level 0 sees the input; the read-out sees all levels. Initial weights U[−1/√H,
    1/√H]."""

    periods: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (1, 2, 4, 8)
    activation: Activation = "tanh"

    def step(self, w: Weights, x: Node, t: Node, h: Node) -> Node:
        return where(every(constant(self.period), t), ACTIVATIONS[self.activation](w.h(x, h)), h)

    def levels(self, sizes: Sizes) -> NDArray[np.int64]:
        """[H] the level of each unit."""
        return groups(sizes["units"], [1] * len(self.periods))

    def period(self, sizes: Sizes) -> NDArray[np.float64]:
        """[H] the period of each unit's level."""
        return np.array(self.periods, float)[self.levels(sizes)]

    def mask(self, name: str, source: int, sizes: Sizes) -> NDArray[np.bool_]:
        level = self.levels(sizes)
        if source == 0:
            return np.tile((level == 0)[:, None], sizes["inputs"])
        return np.isin(level[:, None] - level[None, :], (0, 1))
