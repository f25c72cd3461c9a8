"""LSTM with peepholes (Gers & Schmidhuber 2000):

i, f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z,
o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.
"""

from evornn.cell import Weights
from evornn.networks.forget_bias import ForgetBias
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class LSTMPeephole(ForgetBias):
    """The gates also see the cell of their own unit, the output gate the new one. The “vanilla LSTM” of Greff et al.
    2015, of which lstm_nig, …, lstm_fgr leave out or change one thing each. Initial weights U[−1/√H, 1/√H]; the forget
    gate's bias is shifted by `forget_bias`."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i, f = sigmoid(w.i(x, h) + w.pi * c), sigmoid(w.f(x, h) + w.pf * c)
        c = f * c + i * tanh(w.z(x, h))
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c
