"""Gated recurrent unit (Cho et al. 2014):

z, r = σ(W xₜ + U hₜ₋₁ + b), h̃ = tanh(W xₜ + U (r⊙hₜ₋₁) + b), hₜ = (1−z)⊙h̃ + z⊙hₜ₋₁, yₜ = V hₜ + b.
"""

from evornn.cell import Cell, Weights
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class GRUCho(Cell):
    """The gated recurrent unit as published: the reset gate acts before the product. Initial weights U[−1/√H, 1/√H]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        z, r = sigmoid(w.z(x, h)), sigmoid(w.r(x, h))
        return (1 - z) * tanh(w.n(x, r * h)) + z * h
