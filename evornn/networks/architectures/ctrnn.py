"""Continuous-time recurrent network (Beer 1995):

τᵢ u̇ᵢ = −uᵢ + Σⱼ wᵢⱼ hⱼ + Σₗ wᵢₗ xₗ, hᵢ = σ(gᵢ(uᵢ + θᵢ)), yₜ = V hₜ + c.
"""

from typing import Annotated, Literal

from annotated_types import Gt

from evornn.cell import Cell, Uniform, Weights
from evornn.errors import EvornnError
from evornn.networks.ranges import map_to_range
from evornn.ops import Node, Sizes, exp, sigmoid
from evornn.settings import settings


@settings
class CTRNN(Cell):
    """Beer's CTRNN with evolvable, differentiable time constants, biases θ and, where their range is more than a point,
    gains g. The step of `dt` is Euler's, u + dt/τ·(target − u), or the exponential one, target + (u −
    target)·e^(−dt/τ), which is exact for a constant target and bounds no dt.

    Time is in units of one input sample. τ = tau_low·(tau_high/tau_low)^σ(p) keeps each time constant in its range for
    any parameter p, g likewise. At the start u = 0, so h = σ(gθ). Initial weights U[−1/√H, 1/√H], or within
    ±`weight_range`, θ likewise, p in U[−2, 2]: most of its range. Without a `readout` the outputs are the hᵢ of the
    first units, as where Beer's units drive muscles.
    """

    state = ("u",)
    dt: Annotated[float, Gt(0)] = 1.0
    method: Literal["euler", "exponential"] = "euler"
    tau_low: Annotated[float, Gt(0)] = 1.0
    tau_high: Annotated[float, Gt(0)] = 20.0
    gain_low: Annotated[float, Gt(0)] = 1.0
    gain_high: Annotated[float, Gt(0)] = 1.0
    weight_range: Annotated[float, Gt(0)] | None = None
    readout: bool = True  # type: ignore[misc]  # a setting here, a constant of other cells

    def __post_init__(self) -> None:
        if self.tau_high < self.tau_low or self.gain_high < self.gain_low:
            raise EvornnError("ctrnn needs tau_low ≤ tau_high and gain_low ≤ gain_high: exchange them")
        if self.method == "euler" and self.dt > self.tau_low:
            got = f"{self.dt}, {self.tau_low}, {self.tau_high}"
            raise EvornnError(f"ctrnn needs dt ≤ tau_low ≤ tau_high, or the method exponential, got {got}")

    def output(self, w: Weights, u: Node) -> Node:
        if self.gain_low == self.gain_high:
            return sigmoid(self.gain_low * (u + w.theta))
        return sigmoid(map_to_range(w.gain, self.gain_low, self.gain_high) * (u + w.theta))

    def step(self, w: Weights, x: Node, u: Node) -> Node:
        target, tau = w.u(x, self.output(w, u), bias=False), map_to_range(w.tau, self.tau_low, self.tau_high)
        if self.method == "euler":
            return u + self.dt / tau * (target - u)
        return target + (u - target) * exp(-self.dt / tau)

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        if part == "vector" and name != "theta":
            return Uniform(-2.0, 2.0)
        return Uniform(-wide, wide) if (wide := self.weight_range) else super().initial(name, part, sizes)
