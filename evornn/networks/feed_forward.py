"""Feed-forward layer: hₜ = tanh(W xₜ + b). The control that answers whether recurrence helps."""

import math

from evornn.cell import Cell, Uniform, Weights
from evornn.ops import Node, Sizes, tanh
from evornn.settings import settings


@settings
class FeedForward(Cell):
    """One hidden layer without memory, with a linear read-out; initial weights U[−1/√I, 1/√I]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return tanh(w.h(x))

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        bound = 1 / math.sqrt(sizes["inputs"])
        return Uniform(-bound, bound)
