"""Fully recurrent network (Williams & Zipser 1989): hₜ = f(W xₜ + U hₜ₋₁ + b); the outputs are the first O units."""

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node
from evornn.settings import settings


@settings
class FullyRecurrent(Cell):
    """Every unit feeds every unit and O of them are the output; there is no read-out layer. With tanh, outputs lie in
    (−1, 1). Initial weights U[−1/√H, 1/√H]. `biased: false` omits b, as in pole balancers, whose answer at rest is no
    force."""

    readout = False
    activation: Activation = "tanh"
    biased: bool = True

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return ACTIVATIONS[self.activation](w.h(x, h, bias=self.biased))
