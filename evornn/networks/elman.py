"""Elman network (Elman 1990, Finding structure in time): hₜ = tanh(W xₜ + U hₜ₋₁ + b), yₜ = V hₜ + c."""

from evornn.cell import Cell, Weights
from evornn.ops import Node, tanh
from evornn.settings import settings


@settings
class Elman(Cell):
    """Simple recurrent network with a linear read-out; equals torch.nn.RNN. Initial weights U[−1/√H, 1/√H]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return tanh(w.h(x, h))
