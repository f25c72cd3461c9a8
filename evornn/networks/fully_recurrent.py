"""Fully recurrent network (Williams & Zipser 1989): hₜ = tanh(W xₜ + U hₜ₋₁ + b); the outputs are the first O units."""

from evornn.cell import Cell, Weights
from evornn.ops import Node, tanh
from evornn.settings import settings


@settings
class FullyRecurrent(Cell):
    """Every unit feeds every unit, O of them are the output, there is no read-out layer: outputs lie in (−1, 1).
    Initial weights U[−1/√H, 1/√H]."""

    readout = False

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return tanh(w.h(x, h))
