"""Continuous-time recurrent network (Beer 1995), Euler step dt:

τᵢ u̇ᵢ = −uᵢ + Σⱼ wᵢⱼ σ(uⱼ + θⱼ) + Σₗ wᵢₗ xₗ, h = σ(u + θ).
"""

import math
from typing import Annotated

from annotated_types import Gt

from evornn.cell import Cell, Uniform, Weights
from evornn.errors import EvornnError
from evornn.ops import Node, Sizes, exp, sigmoid
from evornn.settings import settings


@settings
class CTRNN(Cell):
    """Beer's CTRNN with evolvable, differentiable time constants and biases.

    Time is in units of one input sample. τ = tau_low·(tau_high/tau_low)^σ(p) keeps each time constant in its range for
    any parameter p. Initial weights U[−1/√H, 1/√H], θ likewise, p in U[−2, 2]: τ spread over most of its range.
    """

    state = ("u",)
    dt: Annotated[float, Gt(0)] = 1.0
    tau_low: Annotated[float, Gt(0)] = 1.0
    tau_high: Annotated[float, Gt(0)] = 20.0

    def __post_init__(self) -> None:
        if not self.dt <= self.tau_low <= self.tau_high:
            got = f"{self.dt}, {self.tau_low}, {self.tau_high}"
            raise EvornnError(f"ctrnn wants dt ≤ tau_low ≤ tau_high (Euler's method diverges otherwise), got {got}")

    def output(self, w: Weights, u: Node) -> Node:
        return sigmoid(u + w.theta)

    def step(self, w: Weights, x: Node, u: Node) -> Node:
        tau = self.tau_low * exp(math.log(self.tau_high / self.tau_low) * sigmoid(w.tau))
        return u + self.dt / tau * (w.u(x, self.output(w, u), bias=False) - u)

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        return Uniform(-2.0, 2.0) if (name, part) == ("tau", "vector") else super().initial(name, part, sizes)
