"""Multiple timescales recurrent network (Yamashita & Tani 2008):

uᵢ ← (1−1/τᵢ) uᵢ + 1/τᵢ (Σⱼ wᵢⱼ hⱼ + Σₗ wᵢₗ xₗ + bᵢ), h = f(u), yₜ = V hₜ + c.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Len
from numpy.typing import NDArray

from evornn.cell import Cell, Weights
from evornn.errors import EvornnError
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.networks.groups import groups
from evornn.ops import Node, Sizes, constant
from evornn.settings import settings

Group = Annotated[int, Ge(0)]


@settings
class MTRNN(Cell):
    """Groups of units with a fixed time constant each, in steps: input–output, fast and slow ones. Group k sees the
    groups `sees[k]`, the input reaches the groups `inputs_to`; by default, as in the paper, input–output and slow units
    don't see each other. `shares` divides the H units. All units have the same f, without the paper's softmax over
    input–output units. Initial weights U[−1/√H, 1/√H]."""

    state = ("u",)
    taus: Annotated[tuple[Annotated[float, Ge(1)], ...], Len(1)] = (2.0, 5.0, 70.0)
    shares: tuple[Annotated[float, Gt(0)], ...] = (2.0, 1.0, 1.0)
    sees: tuple[tuple[Group, ...], ...] = ((0, 1), (0, 1, 2), (1, 2))
    inputs_to: tuple[Group, ...] = (0,)
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        count, numbers = len(self.taus), {*self.inputs_to, *(k for seen in self.sees for k in seen)}
        if len(self.shares) != count or len(self.sees) != count or not numbers <= set(range(count)):
            raise EvornnError(f"mtrnn has {count} taus: give {count} shares and sees, of groups 0 to {count - 1}")

    def output(self, w: Weights, u: Node) -> Node:
        return ACTIVATIONS[self.activation](u)

    def step(self, w: Weights, x: Node, u: Node) -> Node:
        rate = constant(self.rates)
        return (1 - rate) * u + rate * w.u(x, self.output(w, u))

    def rates(self, sizes: Sizes) -> NDArray[np.float64]:
        """[H] 1/τ of each unit."""
        return 1 / np.array(self.taus)[groups(sizes["units"], self.shares)]

    def mask(self, name: str, source: int, sizes: Sizes) -> NDArray[np.bool_]:
        group = groups(sizes["units"], self.shares)
        if source == 0:
            return np.tile(np.isin(group, self.inputs_to)[:, None], sizes["inputs"])
        return np.array([np.isin(group, self.sees[k]) for k in group])
