"""Feed-forward layer (Rumelhart, Hinton & Williams 1986): hₜ = f(W xₜ + b), yₜ = V hₜ + c."""

import math

from evornn.cell import Cell, Uniform, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node, Sizes
from evornn.settings import settings


@settings
class FeedForward(Cell):
    """A network without memory: the control that answers whether recurrence helps. Initial weights U[−1/√I, 1/√I].
    `biased: false` omits b and c, as in pole balancers, whose answer at rest is no force."""

    activation: Activation = "tanh"
    biased: bool = True

    @property
    def readout_bias(self) -> bool:
        return self.biased

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return ACTIVATIONS[self.activation](w.h(x, bias=self.biased))

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        bound = 1 / math.sqrt(sizes["inputs"])
        return Uniform(-bound, bound)
