"""Gated recurrent unit in PyTorch's form (Cho et al. 2014; reset gate after the product):

z, r = σ(W xₜ + U hₜ₋₁ + b), h̃ = tanh(W xₜ + b + r⊙(U hₜ₋₁ + b′)), hₜ = (1−z)⊙h̃ + z⊙hₜ₋₁, yₜ = V hₜ + b.
"""

from evornn.cell import Cell, Weights
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class GRU(Cell):
    """Gated recurrent unit; equals torch.nn.GRU. Initial weights U[−1/√H, 1/√H]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        z, r = sigmoid(w.z(x, h)), sigmoid(w.r(x, h))
        return (1 - z) * tanh(w.n(x) + r * w.m(h)) + z * h
