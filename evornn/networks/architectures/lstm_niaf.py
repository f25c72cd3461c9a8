"""LSTM without input activation function, NIAF (Greff et al. 2015):

i, f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = W xₜ + U hₜ₋₁ + b, cₜ = f⊙cₜ₋₁ + i⊙z,
o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.
"""

from evornn.cell import Cell, Uniform, Weights
from evornn.ops import Node, Sizes, sigmoid, tanh
from evornn.settings import settings


@settings
class LSTMNoInputActivation(Cell):
    """`lstm_peephole` with z not squashed. Initial weights U[−1/√H, 1/√H]; the forget gate's bias is shifted by
    `forget_bias`."""

    state = ("h", "c")
    forget_bias: float = 1.0

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i, f = sigmoid(w.i(x, h) + w.pi * c), sigmoid(w.f(x, h) + w.pf * c)
        c = f * c + i * w.z(x, h)
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        usual = super().initial(name, part, sizes)
        return usual.shift(self.forget_bias) if (name, part) == ("f", "bias") else usual
