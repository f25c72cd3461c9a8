"""Jordan network (Jordan 1986): sₜ = α sₜ₋₁ + yₜ₋₁, hₜ = f(W xₜ + U sₜ + b), yₜ = V hₜ + c."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node
from evornn.settings import settings


@settings
class Jordan(Cell):
    """The context s is fed by the network's outputs, not by its hidden units, and decays by α per step (0: only the
    last output). In several layers, each has a context of its own. Initial weights U[−1/√H, 1/√H]."""

    state = ("h", "s")
    sizes: ClassVar[Mapping[str, str]] = {"s": "outputs"}
    alpha: Annotated[float, Ge(0), Lt(1)] = 0.5
    activation: Activation = "tanh"

    def step(self, w: Weights, x: Node, y: Node, s: Node) -> tuple[Node, Node]:
        s = self.alpha * s + y
        return ACTIVATIONS[self.activation](w.h(x, s)), s
