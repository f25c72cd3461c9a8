"""Long short-term memory (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000):

i, f, o = σ(W xₜ + U hₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z, hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.
"""

from evornn.cell import Weights
from evornn.networks.forget_bias import ForgetBias
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class LSTM(ForgetBias):
    """Long short-term memory with forget gate, without peepholes; equals torch.nn.LSTM. Initial weights U[−1/√H, 1/√H];
    the forget gate's bias is shifted by `forget_bias` (1: Jozefowicz et al. 2015; 0: as torch)."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        c = sigmoid(w.f(x, h)) * c + sigmoid(w.i(x, h)) * tanh(w.z(x, h))
        return sigmoid(w.o(x, h)) * tanh(c), c
