"""LSTM with full gate recurrence, FGR (Greff et al. 2015):

i, f = σ(W xₜ + U hₜ₋₁ + Rᵢ iₜ₋₁ + R_f fₜ₋₁ + Rₒ oₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z,
o = σ(W xₜ + U hₜ₋₁ + Rᵢ iₜ₋₁ + R_f fₜ₋₁ + Rₒ oₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.
"""

from evornn.cell import Cell, Uniform, Weights
from evornn.ops import Node, Sizes, sigmoid, tanh
from evornn.settings import settings


@settings
class LSTMFullGateRecurrence(Cell):
    """`lstm_peephole` whose gates also see all gates of the last step: nine more matrices. Initial weights U[−1/√H,
    1/√H]; the forget gate's bias is shifted by `forget_bias`."""

    state = ("h", "c", "i", "f", "o")
    forget_bias: float = 1.0

    def step(self, w: Weights, x: Node, h: Node, c: Node, i: Node, f: Node, o: Node) -> tuple[Node, ...]:
        gates = (i, f, o)
        i, f = sigmoid(w.i(x, h, *gates) + w.pi * c), sigmoid(w.f(x, h, *gates) + w.pf * c)
        c = f * c + i * tanh(w.z(x, h))
        o = sigmoid(w.o(x, h, *gates) + w.po * c)
        return o * tanh(c), c, i, f, o

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        usual = super().initial(name, part, sizes)
        return usual.shift(self.forget_bias) if (name, part) == ("f", "bias") else usual
