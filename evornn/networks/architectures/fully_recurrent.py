"""Fully recurrent network (Williams & Zipser 1989): hₜ = f(W xₜ + U hₜ₋₁ + b); the outputs are the first O units."""

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node
from evornn.settings import settings


@settings
class FullyRecurrent(Cell):
    """Every unit feeds every unit, O of them are the output, there is no read-out layer: with tanh, outputs lie in (−1,
    1). Initial weights U[−1/√H, 1/√H]. `biased: false` leaves out b, as pole balancers do: at rest
    their answer is no force."""

    readout = False
    activation: Activation = "tanh"
    biased: bool = True

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return ACTIVATIONS[self.activation](w.h(x, h, bias=self.biased))
