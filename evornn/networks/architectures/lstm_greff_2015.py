"""Seven variants of the LSTM with peepholes (Greff et al. 2015), each of which leaves out or changes one thing.

What they vary, `lstm_peephole`:

i, f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z,
o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.
"""

from evornn.cell import Cell, Weights
from evornn.networks.forget_bias import ForgetBias
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class LSTMNoInputGate(ForgetBias):
    """LSTM without input gate, NIG (Greff et al. 2015):

    f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + z,
    o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.

    `lstm_peephole` with i = 1. Initial weights U[−1/√H, 1/√H]; the forget gate's bias is shifted by `forget_bias`."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        f = sigmoid(w.f(x, h) + w.pf * c)
        c = f * c + tanh(w.z(x, h))
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c


@settings
class LSTMNoForgetGate(Cell):
    """LSTM without forget gate, NFG (Greff et al. 2015):

    i = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = cₜ₋₁ + i⊙z,
    o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.

    `lstm_peephole` with f = 1. Initial weights U[−1/√H, 1/√H]."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i = sigmoid(w.i(x, h) + w.pi * c)
        c = c + i * tanh(w.z(x, h))
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c


@settings
class LSTMNoOutputGate(ForgetBias):
    """LSTM without output gate, NOG (Greff et al. 2015):

    i, f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z,
    hₜ = tanh cₜ, yₜ = V hₜ + b.

    `lstm_peephole` with o = 1. Initial weights U[−1/√H, 1/√H]; the forget gate's bias is shifted by `forget_bias`."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i, f = sigmoid(w.i(x, h) + w.pi * c), sigmoid(w.f(x, h) + w.pf * c)
        c = f * c + i * tanh(w.z(x, h))
        return tanh(c), c


@settings
class LSTMNoInputActivation(ForgetBias):
    """LSTM without input activation function, NIAF (Greff et al. 2015):

    i, f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = W xₜ + U hₜ₋₁ + b, cₜ = f⊙cₜ₋₁ + i⊙z,
    o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.

    `lstm_peephole` with z not squashed. Initial weights U[−1/√H, 1/√H]; the forget gate's bias is shifted by
    `forget_bias`."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i, f = sigmoid(w.i(x, h) + w.pi * c), sigmoid(w.f(x, h) + w.pf * c)
        c = f * c + i * w.z(x, h)
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c


@settings
class LSTMNoOutputActivation(ForgetBias):
    """LSTM without output activation function, NOAF (Greff et al. 2015):

    i, f = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z,
    o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙cₜ, yₜ = V hₜ + b.

    `lstm_peephole` with the cell not squashed, so that h is not bounded. Initial weights U[−1/√H, 1/√H]; the forget
    gate's bias is shifted by `forget_bias`."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i, f = sigmoid(w.i(x, h) + w.pi * c), sigmoid(w.f(x, h) + w.pf * c)
        c = f * c + i * tanh(w.z(x, h))
        return sigmoid(w.o(x, h) + w.po * c) * c, c


@settings
class LSTMCoupledGates(Cell):
    """LSTM with coupled input and forget gate, CIFG (Greff et al. 2015):

    i = σ(W xₜ + U hₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = (1−i)⊙cₜ₋₁ + i⊙z,
    o = σ(W xₜ + U hₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.

    `lstm_peephole` with f = 1 − i: it forgets what it overwrites. Initial weights U[−1/√H, 1/√H]."""

    state = ("h", "c")

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i = sigmoid(w.i(x, h) + w.pi * c)
        c = (1 - i) * c + i * tanh(w.z(x, h))
        return sigmoid(w.o(x, h) + w.po * c) * tanh(c), c


@settings
class LSTMFullGateRecurrence(ForgetBias):
    """LSTM with full gate recurrence, FGR (Greff et al. 2015):

    i, f = σ(W xₜ + U hₜ₋₁ + Rᵢ iₜ₋₁ + R_f fₜ₋₁ + Rₒ oₜ₋₁ + p⊙cₜ₋₁ + b), z = tanh(W xₜ + U hₜ₋₁ + b), cₜ = f⊙cₜ₋₁ + i⊙z,
    o = σ(W xₜ + U hₜ₋₁ + Rᵢ iₜ₋₁ + R_f fₜ₋₁ + Rₒ oₜ₋₁ + p⊙cₜ + b), hₜ = o⊙tanh cₜ, yₜ = V hₜ + b.

    `lstm_peephole` whose gates also see all gates of the last step: nine more matrices. Initial weights U[−1/√H,
    1/√H]; the forget gate's bias is shifted by `forget_bias`."""

    state = ("h", "c", "i", "f", "o")

    def step(self, w: Weights, x: Node, h: Node, c: Node, i: Node, f: Node, o: Node) -> tuple[Node, ...]:
        gates = (i, f, o)
        i, f = sigmoid(w.i(x, h, *gates) + w.pi * c), sigmoid(w.f(x, h, *gates) + w.pf * c)
        c = f * c + i * tanh(w.z(x, h))
        o = sigmoid(w.o(x, h, *gates) + w.po * c)
        return o * tanh(c), c, i, f, o
