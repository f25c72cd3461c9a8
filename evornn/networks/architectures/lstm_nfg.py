"""LSTM without forget gate, NFG (Greff et al. 2015):

i = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = cₜ₋₁ + i⊙z,
o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.
"""

from evornn.cell import Cell, Weights
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class LSTMNoForgetGate(Cell):
    """`lstm_peephole` with f = 1. Initial weights U[−1/√H, 1/√H]."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i = sigmoid(w.i(x, h) + w.pi * c)
        c = c + i * tanh(w.z(x, h))
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c
