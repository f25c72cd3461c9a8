"""Elman network (Elman 1990): hₜ = f(W xₜ + U hₜ₋₁ + b), yₜ = V hₜ + c."""

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node
from evornn.settings import settings


@settings
class Elman(Cell):
    """Simple recurrent network with a linear read-out; equals torch.nn.RNN (f tanh or relu). Initial weights
    U[−1/√H, 1/√H]."""

    activation: Activation = "tanh"

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return ACTIVATIONS[self.activation](w.h(x, h))
