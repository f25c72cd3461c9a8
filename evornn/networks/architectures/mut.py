"""Three gated units that a search over architectures found (Jozefowicz, Zaremba & Sutskever 2015): MUT1, MUT2, MUT3.

All take e = E xₜ for the input, share hₜ = z⊙h̃ + (1−z)⊙hₜ₋₁, and differ in the gates z and r and in h̃.
"""

from evornn.cell import Cell, Weights
from evornn.ops import Node, sigmoid, tanh
from evornn.settings import settings


@settings
class MUT1(Cell):
    """MUT1 (Jozefowicz, Zaremba & Sutskever 2015): with e = E xₜ,

    z = σ(W e + b), r = σ(W e + U hₜ₋₁ + b), h̃ = tanh(U (r⊙hₜ₋₁) + tanh e + b),
    hₜ = z⊙h̃ + (1−z)⊙hₜ₋₁, yₜ = V hₜ + b.

    Found by a search over architectures; best of the three on arithmetic. The paper adds the bare input to states,
    so it must be as wide as they: one linear map E stands for it everywhere. Initial weights U[−1/√H, 1/√H]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        e = w.e(x, bias=False)
        z, r = sigmoid(w.z(e)), sigmoid(w.r(e, h))
        return z * tanh(w.n(r * h) + tanh(e)) + (1 - z) * h


@settings
class MUT2(Cell):
    """MUT2 (Jozefowicz, Zaremba & Sutskever 2015): with e = E xₜ,

    z = σ(W e + U hₜ₋₁ + b), r = σ(e + U hₜ₋₁ + b), h̃ = tanh(U (r⊙hₜ₋₁) + W e + b),
    hₜ = z⊙h̃ + (1−z)⊙hₜ₋₁, yₜ = V hₜ + b.

    Found by a search over architectures. The paper adds the bare input to states, so it must be as wide as they: one
    linear map E stands for it everywhere. Initial weights U[−1/√H, 1/√H]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        e = w.e(x, bias=False)
        z, r = sigmoid(w.z(e, h)), sigmoid(e + w.r(h))
        return z * tanh(w.n(r * h, e)) + (1 - z) * h


@settings
class MUT3(Cell):
    """MUT3 (Jozefowicz, Zaremba & Sutskever 2015): with e = E xₜ,

    z = σ(W e + U tanh hₜ₋₁ + b), r = σ(W e + U hₜ₋₁ + b), h̃ = tanh(U (r⊙hₜ₋₁) + W e + b),
    hₜ = z⊙h̃ + (1−z)⊙hₜ₋₁, yₜ = V hₜ + b.

    Found by a search over architectures. The paper adds the bare input to states, so it must be as wide as they: one
    linear map E stands for it everywhere. Initial weights U[−1/√H, 1/√H]."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        e = w.e(x, bias=False)
        z, r = sigmoid(w.z(e, tanh(h))), sigmoid(w.r(e, h))
        return z * tanh(w.n(r * h, e)) + (1 - z) * h
