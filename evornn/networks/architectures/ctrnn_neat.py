"""Continuous-time recurrent network (neat-python's form):

τᵢ ḣᵢ = −hᵢ + f(Σₗ wᵢₗ xₗ + Σⱼ wᵢⱼ hⱼ + bᵢ), yₜ = V hₜ + c.
"""

from typing import Annotated

from annotated_types import Gt

from evornn.cell import Cell, Uniform, Weights
from evornn.errors import EvornnError
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.networks.ranges import map_to_range
from evornn.ops import Node, Sizes
from evornn.settings import settings


@settings
class CTRNNNeat(Cell):
    """The activation is applied outside of the sum, a unit's output is its state, and h starts at 0; Euler's step is
    dt. The topology is fixed: all units are connected. τ = tau_low·(tau_high/tau_low)^σ(p), as in `ctrnn`. Initial
    weights U[−1/√H, 1/√H], p in U[−2, 2]."""

    dt: Annotated[float, Gt(0)] = 1.0
    tau_low: Annotated[float, Gt(0)] = 1.0
    tau_high: Annotated[float, Gt(0)] = 20.0
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        if not self.dt <= self.tau_low <= self.tau_high:
            got = f"{self.dt}, {self.tau_low}, {self.tau_high}"
            raise EvornnError(f"ctrnn_neat needs dt ≤ tau_low ≤ tau_high (else Euler diverges), got {got}")

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        rate = self.dt / map_to_range(w.tau, self.tau_low, self.tau_high)
        return h + rate * (ACTIVATIONS[self.activation](w.h(x, h)) - h)

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        return Uniform(-2.0, 2.0) if part == "vector" else super().initial(name, part, sizes)
