"""A few steps of networks of the catalog, worked out by hand from the paper's equation.

Each function is one worked example in plain numbers: the weights by the paper's letters, the steps one after the other,
and which block of the genome each weight is. Nothing of evornn computes here. `y` is a read-out V h + c unless the cell
has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, sqrt, tanh
from typing import Any

import numpy as np
import pytest
from cells_notation import step_by_hand

from evornn.networks import CELLS
from evornn.networks.network import Network


@dataclass(frozen=True)
class Worked:
    """An example: inputs [T, I], outputs [T, O], and the numbers of each block of the genome."""

    inputs: list[Any]
    outputs: list[Any]
    blocks: dict[str, Any]
    units: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


EXAMPLES: dict[str, Callable[[], Worked]] = {}


def example(f: Callable[[], Worked]) -> Callable[[], Worked]:
    EXAMPLES[f.__name__] = f
    return f


def σ(v: float) -> float:
    return 1 / (1 + exp(-v))


V, c = 2.0, -0.3  # of the read-out, where there is one unit
READOUT = {"readout.weight": V, "readout.bias": c}


# ---- without gates --------------------------------------------------------------------------------------------------


@example
def feed_forward() -> Worked:
    w, b = 0.5, 0.1
    outputs = [V * tanh(0.5 * 1 + 0.1) + c, V * tanh(0.5 * -2 + 0.1) + c]
    return Worked([1, -2], outputs, {"0.h.x": w, "0.h.bias": b, **READOUT})


@example
def fully_recurrent() -> Worked:
    """Two units; the first one is the output."""
    first = tanh(0.5 * 1 + 0.1)
    second = tanh(-0.3 * 1 - 0.2)
    first_later = tanh(0.5 * -2 + 0.2 * first - 0.4 * second + 0.1)
    blocks = {"0.h.x": [0.5, -0.3], "0.h.h": [[0.2, -0.4], [0.6, 0.7]], "0.h.bias": [0.1, -0.2]}
    return Worked([1, -2], [first, first_later], blocks, units=2)


@example
def elman() -> Worked:
    """Two units."""
    h1, g1 = tanh(0.5 * 1 + 0.1), tanh(-0.3 * 1 - 0.2)
    h2, g2 = tanh(0.5 * -2 + 0.2 * h1 - 0.4 * g1 + 0.1), tanh(-0.3 * -2 + 0.6 * h1 + 0.7 * g1 - 0.2)
    blocks = {"0.h.x": [0.5, -0.3], "0.h.h": [[0.2, -0.4], [0.6, 0.7]], "0.h.bias": [0.1, -0.2]}
    readout = {"readout.weight": [2.0, -1.0], "readout.bias": 0.3}
    return Worked([1, -2], [2 * h1 - g1 + 0.3, 2 * h2 - g2 + 0.3], {**blocks, **readout}, units=2)


@example
def jordan() -> Worked:
    """sₜ = α sₜ₋₁ + yₜ₋₁, from s₀ = y₀ = 0."""
    w, u, b = 0.5, -0.4, 0.1
    y1 = V * tanh(w * 1 + b) + c
    s2 = y1
    y2 = V * tanh(w * -2 + u * s2 + b) + c
    s3 = 0.25 * s2 + y2
    y3 = V * tanh(w * 0.5 + u * s3 + b) + c
    blocks = {"0.h.x": w, "0.h.add1": u, "0.h.bias": b, **READOUT}
    return Worked([1, -2, 0.5], [y1, y2, y3], blocks, settings={"alpha": 0.25})


@example
def recurrent_multilayer_perceptron() -> Worked:
    """Two layers: the second sees what the first has just computed."""
    a1 = tanh(0.5 * 1 + 0.1)
    b1 = tanh(0.8 * a1 - 0.2)
    a2 = tanh(0.5 * -2 - 0.4 * a1 + 0.1)
    b2 = tanh(0.8 * a2 + 0.6 * b1 - 0.2)
    first = {"0.h.x": 0.5, "0.h.h": -0.4, "0.h.bias": 0.1}
    second = {"1.h.x": 0.8, "1.h.h": 0.6, "1.h.bias": -0.2}
    return Worked([1, -2], [V * b1 + c, V * b2 + c], {**first, **second, **READOUT})


@example
def second_order() -> Worked:
    """Two units, two inputs: hⱼ = σ(Σᵢₗ Wⱼᵢₗ hᵢ xₗ + bⱼ), W in the order W₁₁₁ W₁₁₂ W₁₂₁ W₁₂₂, W₂…; h₀ = 0."""
    h1, g1 = σ(0.1), σ(-0.2)
    h2 = σ(0.5 * h1 * 2 - 0.4 * h1 * -1 + 0.3 * g1 * 2 + 0.2 * g1 * -1 + 0.1)
    g2 = σ(0.6 * h1 * 2 + 0.7 * h1 * -1 - 0.8 * g1 * 2 + 0.9 * g1 * -1 - 0.2)
    blocks = {"0.h.outer0": [[0.5, -0.4, 0.3, 0.2], [0.6, 0.7, -0.8, 0.9]], "0.h.bias": [0.1, -0.2]}
    readout = {"readout.weight": [2.0, -1.0], "readout.bias": 0.3}
    return Worked([[1, 0], [2, -1]], [2 * h1 - g1 + 0.3, 2 * h2 - g2 + 0.3], {**blocks, **readout}, units=2)


@example
def cascaded() -> Worked:
    """One unit z: the context network turns z into the function network's weights of x and of 1."""
    z0 = 0.0
    y1 = σ((0.5 * z0 - 0.4) * 1 + (0.3 * z0 + 0.2))
    z1 = σ((0.6 * z0 + 0.7) * 1 + (-0.8 * z0 + 0.9))
    y2 = σ((0.5 * z1 - 0.4) * -2 + (0.3 * z1 + 0.2))
    of_y = {"0.y_.outer0": 0.5, "0.y_.x": -0.4, "0.y_.z": 0.3, "0.y_.bias": 0.2}
    of_z = {"0.z.outer0": 0.6, "0.z.x": 0.7, "0.z.z": -0.8, "0.z.bias": 0.9}
    return Worked([1, -2], [y1, y2], {**of_y, **of_z})


# ---- with clocks and time constants ---------------------------------------------------------------------------------


@example
def hierarchical() -> Worked:
    """Two levels of one unit, of periods 1 and 2; level 1 sees level 0 as it was."""
    low0, high0 = tanh(0.5 * 1 + 0.1), tanh(-0.2)
    low1, high1 = tanh(0.5 * -2 - 0.4 * low0 + 0.1), high0
    low2, high2 = tanh(0.5 * 3 - 0.4 * low1 + 0.1), tanh(0.6 * low1 + 0.7 * high1 - 0.2)
    outputs = [2 * low - high + 0.3 for low, high in ((low0, high0), (low1, high1), (low2, high2))]
    blocks = {"0.h.x": [0.5], "0.h.h": [-0.4, 0.6, 0.7], "0.h.bias": [0.1, -0.2]}
    readout = {"readout.weight": [2.0, -1.0], "readout.bias": 0.3}
    return Worked([1, -2, 3], outputs, {**blocks, **readout}, units=2, settings={"periods": [1, 2]})


@example
def clockwork() -> Worked:
    """Two modules of one unit, of periods 1 and 2; the fast one sees both, the slow one itself."""
    fast0, slow0 = tanh(0.5 * 1 + 0.1), tanh(-0.3 * 1 - 0.2)
    fast1, slow1 = tanh(0.5 * -2 - 0.4 * fast0 + 0.6 * slow0 + 0.1), slow0
    fast2, slow2 = tanh(0.5 * 3 - 0.4 * fast1 + 0.6 * slow1 + 0.1), tanh(-0.3 * 3 + 0.7 * slow1 - 0.2)
    outputs = [2 * fast - slow + 0.3 for fast, slow in ((fast0, slow0), (fast1, slow1), (fast2, slow2))]
    blocks = {"0.h.x": [0.5, -0.3], "0.h.h": [-0.4, 0.6, 0.7], "0.h.bias": [0.1, -0.2]}
    readout = {"readout.weight": [2.0, -1.0], "readout.bias": 0.3}
    return Worked([1, -2, 3], outputs, {**blocks, **readout}, units=2, settings={"periods": [1, 2]})


@example
def ctrnn() -> Worked:
    """τ u̇ = −u + w σ(u + θ) + w′ x by Euler, dt = 0.5; p = 0 is the geometric mean of the range 1 … 4: τ = 2."""
    w, w_x, theta, tau = 0.8, 0.5, 0.2, 2.0
    h0 = σ(0 + theta)
    u1 = 0 + 0.5 / tau * (-0 + w * h0 + w_x * 1)
    h1 = σ(u1 + theta)
    u2 = u1 + 0.5 / tau * (-u1 + w * h1 + w_x * -2)
    h2 = σ(u2 + theta)
    blocks = {"0.u.x": w_x, "0.u.sigmoid1": w, "0.tau": 0.0, "0.theta": theta, **READOUT}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], blocks, settings={"dt": 0.5, "tau_high": 4.0})


@example
def ctrnn_exponential() -> Worked:
    """The same with u(t + dt) = target + (u − target) e^(−dt/τ), dt = 3, and a gain of √(1 · 9) = 3."""
    w, w_x, theta, tau, g = 0.8, 0.5, 0.2, 2.0, 3.0
    target = w * σ(g * theta) + w_x * 1
    u1 = target + (0 - target) * exp(-3 / tau)
    h1 = σ(g * (u1 + theta))
    target = w * h1 + w_x * -2
    u2 = target + (u1 - target) * exp(-3 / tau)
    h2 = σ(g * (u2 + theta))
    blocks = {"0.u.x": w_x, "0.u.sigmoid1": w, "0.tau": 0.0, "0.theta": theta, "0.gain": 0.0, **READOUT}
    settings = {"kind": "ctrnn", "method": "exponential", "dt": 3.0, "tau_high": 4.0, "gain_high": 9.0}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], blocks, settings=settings)


@example
def ctrnn_neat() -> Worked:
    """τ ḣ = −h + f(w′ x + w h + b), dt = 1; p = 0 is τ = √(1 · 20)."""
    w, w_x, b, tau = 0.8, 0.5, 0.1, sqrt(20)
    h1 = 0 + 1 / tau * (-0 + tanh(w_x * 1 + w * 0 + b))
    h2 = h1 + 1 / tau * (-h1 + tanh(w_x * -2 + w * h1 + b))
    blocks = {"0.h.x": w_x, "0.h.h": w, "0.h.bias": b, "0.tau": 0.0, **READOUT}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], blocks)


@example
def mtrnn() -> Worked:
    """One unit of each group, τ = 2, 5, 70: io sees x, io and fast; fast sees all three; slow sees fast and slow."""
    io = 1 / 2 * (0.5 * 1 + 0.1)
    fast = 1 / 5 * -0.2
    slow = 1 / 70 * 0.3
    y1 = 2 * tanh(io) - tanh(fast) + 3 * tanh(slow) + 0.3
    io_, fast_, slow_ = tanh(io), tanh(fast), tanh(slow)
    io = (1 - 1 / 2) * io + 1 / 2 * (0.4 * io_ - 0.6 * fast_ + 0.5 * -2 + 0.1)
    fast = (1 - 1 / 5) * fast + 1 / 5 * (0.7 * io_ + 0.8 * fast_ - 0.9 * slow_ - 0.2)
    slow = (1 - 1 / 70) * slow + 1 / 70 * (1.1 * fast_ + 1.2 * slow_ + 0.3)
    y2 = 2 * tanh(io) - tanh(fast) + 3 * tanh(slow) + 0.3
    among = [0.4, -0.6, 0.7, 0.8, -0.9, 1.1, 1.2]
    blocks = {"0.u.x": [0.5], "0.u.tanh1": among, "0.u.bias": [0.1, -0.2, 0.3]}
    readout = {"readout.weight": [2.0, -1.0, 3.0], "readout.bias": 0.3}
    return Worked([1, -2], [y1, y2], {**blocks, **readout}, units=3)


# ---- long short-term memory: one unit, x = 1 and then −2, h₀ = c₀ = 0 -----------------------------------------------

I = {"0.i.x": 0.5, "0.i.h": -0.4, "0.i.bias": 0.1}  # noqa: E741
F = {"0.f.x": 0.3, "0.f.h": 0.6, "0.f.bias": 0.8}
Z = {"0.z.x": 0.7, "0.z.h": -0.9, "0.z.bias": 0.2}
O = {"0.o.x": -0.6, "0.o.h": 0.4, "0.o.bias": -0.1}  # noqa: E741
PI, PF, PO = {"0.pi": 1.5}, {"0.pf": -0.5}, {"0.po": 2.5}


@example
def lstm() -> Worked:
    c1 = σ(0.5 * 1 + 0.1) * tanh(0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 - 0.1) * tanh(c1)
    i, f = σ(0.5 * -2 - 0.4 * h1 + 0.1), σ(0.3 * -2 + 0.6 * h1 + 0.8)
    c2 = f * c1 + i * tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 - 0.1) * tanh(c2)
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **F, **Z, **O, **READOUT})


@example
def lstm_peephole() -> Worked:
    """i and f see the last cell, o the new one."""
    c1 = σ(0.5 * 1 + 0.1) * tanh(0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1) * tanh(c1)
    i, f = σ(0.5 * -2 - 0.4 * h1 + 1.5 * c1 + 0.1), σ(0.3 * -2 + 0.6 * h1 - 0.5 * c1 + 0.8)
    c2 = f * c1 + i * tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 2.5 * c2 - 0.1) * tanh(c2)
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **F, **Z, **O, **PI, **PF, **PO, **READOUT})


@example
def lstm_nig() -> Worked:
    """i = 1."""
    c1 = tanh(0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1) * tanh(c1)
    c2 = σ(0.3 * -2 + 0.6 * h1 - 0.5 * c1 + 0.8) * c1 + tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 2.5 * c2 - 0.1) * tanh(c2)
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**F, **Z, **O, **PF, **PO, **READOUT})


@example
def lstm_nfg() -> Worked:
    """f = 1."""
    c1 = σ(0.5 * 1 + 0.1) * tanh(0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1) * tanh(c1)
    c2 = c1 + σ(0.5 * -2 - 0.4 * h1 + 1.5 * c1 + 0.1) * tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 2.5 * c2 - 0.1) * tanh(c2)
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **Z, **O, **PI, **PO, **READOUT})


@example
def lstm_nog() -> Worked:
    """o = 1."""
    c1 = σ(0.5 * 1 + 0.1) * tanh(0.7 * 1 + 0.2)
    h1 = tanh(c1)
    i, f = σ(0.5 * -2 - 0.4 * h1 + 1.5 * c1 + 0.1), σ(0.3 * -2 + 0.6 * h1 - 0.5 * c1 + 0.8)
    h2 = tanh(f * c1 + i * tanh(0.7 * -2 - 0.9 * h1 + 0.2))
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **F, **Z, **PI, **PF, **READOUT})


@example
def lstm_niaf() -> Worked:
    """The block's input is not squashed."""
    c1 = σ(0.5 * 1 + 0.1) * (0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1) * tanh(c1)
    i, f = σ(0.5 * -2 - 0.4 * h1 + 1.5 * c1 + 0.1), σ(0.3 * -2 + 0.6 * h1 - 0.5 * c1 + 0.8)
    c2 = f * c1 + i * (0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 2.5 * c2 - 0.1) * tanh(c2)
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **F, **Z, **O, **PI, **PF, **PO, **READOUT})


@example
def lstm_noaf() -> Worked:
    """The cell is not squashed."""
    c1 = σ(0.5 * 1 + 0.1) * tanh(0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1) * c1
    i, f = σ(0.5 * -2 - 0.4 * h1 + 1.5 * c1 + 0.1), σ(0.3 * -2 + 0.6 * h1 - 0.5 * c1 + 0.8)
    c2 = f * c1 + i * tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 2.5 * c2 - 0.1) * c2
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **F, **Z, **O, **PI, **PF, **PO, **READOUT})


@example
def lstm_cifg() -> Worked:
    """f = 1 − i."""
    c1 = σ(0.5 * 1 + 0.1) * tanh(0.7 * 1 + 0.2)
    h1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1) * tanh(c1)
    i = σ(0.5 * -2 - 0.4 * h1 + 1.5 * c1 + 0.1)
    c2 = (1 - i) * c1 + i * tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 2.5 * c2 - 0.1) * tanh(c2)
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**I, **Z, **O, **PI, **PO, **READOUT})


@example
def lstm_fgr() -> Worked:
    """Each gate also sees i, f and o of the last step, which at the start are 0."""
    i1, f1 = σ(0.5 * 1 + 0.1), σ(0.3 * 1 + 0.8)
    c1 = i1 * tanh(0.7 * 1 + 0.2)
    o1 = σ(-0.6 * 1 + 2.5 * c1 - 0.1)
    h1 = o1 * tanh(c1)
    i2 = σ(0.5 * -2 - 0.4 * h1 + 0.11 * i1 + 0.12 * f1 + 0.13 * o1 + 1.5 * c1 + 0.1)
    f2 = σ(0.3 * -2 + 0.6 * h1 + 0.21 * i1 + 0.22 * f1 + 0.23 * o1 - 0.5 * c1 + 0.8)
    c2 = f2 * c1 + i2 * tanh(0.7 * -2 - 0.9 * h1 + 0.2)
    h2 = σ(-0.6 * -2 + 0.4 * h1 + 0.31 * i1 + 0.32 * f1 + 0.33 * o1 + 2.5 * c2 - 0.1) * tanh(c2)
    to_i = {"0.i.i": 0.11, "0.i.f": 0.12, "0.i.o": 0.13}
    to_f = {"0.f.i": 0.21, "0.f.f": 0.22, "0.f.o": 0.23}
    to_o = {"0.o.i": 0.31, "0.o.f": 0.32, "0.o.o": 0.33}
    gates = {**I, **F, **Z, **O, **PI, **PF, **PO, **to_i, **to_f, **to_o}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**gates, **READOUT})


@example
def lstm_1997() -> Worked:
    """One block of two cells; gates and cells see x, both cells' outputs and both gates' activations of the last step.
    g(v) = 4σ(v) − 2 squashes what goes in, h(v) = 2σ(v) − 1 what goes out."""
    i1, o1 = σ(0.5 * 1 + 0.1), σ(-0.6 * 1 - 0.1)
    a1, b1 = i1 * (4 * σ(0.7 * 1 + 0.2) - 2), i1 * (4 * σ(-0.8 * 1 + 0.3) - 2)
    ya1, yb1 = o1 * (2 * σ(a1) - 1), o1 * (2 * σ(b1) - 1)
    i2 = σ(0.5 * -2 + 0.11 * ya1 + 0.12 * yb1 + 0.13 * i1 + 0.14 * o1 + 0.1)
    o2 = σ(-0.6 * -2 + 0.21 * ya1 + 0.22 * yb1 + 0.23 * i1 + 0.24 * o1 - 0.1)
    za2 = 0.7 * -2 + 0.31 * ya1 + 0.32 * yb1 + 0.33 * i1 + 0.34 * o1 + 0.2
    zb2 = -0.8 * -2 + 0.41 * ya1 + 0.42 * yb1 + 0.43 * i1 + 0.44 * o1 + 0.3
    a2, b2 = a1 + i2 * (4 * σ(za2) - 2), b1 + i2 * (4 * σ(zb2) - 2)
    ya2, yb2 = o2 * (2 * σ(a2) - 1), o2 * (2 * σ(b2) - 1)
    of_i = {"0.i.x": 0.5, "0.i.stop1": [0.11, 0.12], "0.i.stop2": 0.13, "0.i.stop3": 0.14, "0.i.bias": 0.1}
    of_o = {"0.o.x": -0.6, "0.o.stop1": [0.21, 0.22], "0.o.stop2": 0.23, "0.o.stop3": 0.24, "0.o.bias": -0.1}
    among = {"0.z.stop1": [[0.31, 0.32], [0.41, 0.42]], "0.z.stop2": [0.33, 0.43], "0.z.stop3": [0.34, 0.44]}
    of_z = {"0.z.x": [0.7, -0.8], **among, "0.z.bias": [0.2, 0.3]}
    readout = {"readout.weight": [2.0, -1.0], "readout.bias": 0.3}
    outputs = [2 * ya1 - yb1 + 0.3, 2 * ya2 - yb2 + 0.3]
    return Worked([1, -2], outputs, {**of_i, **of_o, **of_z, **readout}, units=2, settings={"block_size": 2})


# ---- other gates: one unit, x = 1 and then −2, h₀ = 0 ---------------------------------------------------------------


@example
def gru() -> Worked:
    """PyTorch's: h̃ = tanh(W x + b + r (U h + b′))."""
    z, r = σ(0.5 * 1 + 0.1), σ(0.3 * 1 + 0.8)
    h1 = (1 - z) * tanh(0.7 * 1 + 0.2 + r * 0.4)
    z, r = σ(0.5 * -2 - 0.4 * h1 + 0.1), σ(0.3 * -2 + 0.6 * h1 + 0.8)
    h2 = (1 - z) * tanh(0.7 * -2 + 0.2 + r * (-0.9 * h1 + 0.4)) + z * h1
    gates = {"0.z.x": 0.5, "0.z.h": -0.4, "0.z.bias": 0.1, "0.r.x": 0.3, "0.r.h": 0.6, "0.r.bias": 0.8}
    new = {"0.n.x": 0.7, "0.n.bias": 0.2, "0.m.h": -0.9, "0.m.bias": 0.4}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**gates, **new, **READOUT})


@example
def gru_cho() -> Worked:
    """Cho's: h̃ = tanh(W x + U (r h) + b), h = z h₋₁ + (1 − z) h̃."""
    z = σ(0.5 * 1 + 0.1)
    h1 = (1 - z) * tanh(0.7 * 1 + 0.2)
    z, r = σ(0.5 * -2 - 0.4 * h1 + 0.1), σ(0.3 * -2 + 0.6 * h1 + 0.8)
    h2 = z * h1 + (1 - z) * tanh(0.7 * -2 - 0.9 * (r * h1) + 0.2)
    gates = {"0.z.x": 0.5, "0.z.h": -0.4, "0.z.bias": 0.1, "0.r.x": 0.3, "0.r.h": 0.6, "0.r.bias": 0.8}
    new = {"0.n.x": 0.7, "0.n.mul1": -0.9, "0.n.bias": 0.2}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**gates, **new, **READOUT})


@example
def mut1() -> Worked:
    """e = 1.5 x for x; z = σ(W e + b), r = σ(W e + U h + b), h̃ = tanh(U (r h) + tanh e + b), h = z h̃ + (1 − z) h₋₁."""
    h1 = σ(0.5 * 1.5 + 0.1) * tanh(tanh(1.5) + 0.2)
    z, r = σ(0.5 * -3 + 0.1), σ(0.3 * -3 + 0.6 * h1 + 0.8)
    h2 = z * tanh(-0.9 * (r * h1) + tanh(-3) + 0.2) + (1 - z) * h1
    gates = {"0.e.x": 1.5, "0.z.e": 0.5, "0.z.bias": 0.1, "0.r.e": 0.3, "0.r.h": 0.6, "0.r.bias": 0.8}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**gates, "0.n.mul0": -0.9, "0.n.bias": 0.2, **READOUT})


@example
def mut2() -> Worked:
    """e = 1.5 x for x; z = σ(W e + U h + b), r = σ(e + U h + b), h̃ = tanh(U (r h) + W e + b)."""
    h1 = σ(0.5 * 1.5 + 0.1) * tanh(0.7 * 1.5 + 0.2)
    z, r = σ(0.5 * -3 - 0.4 * h1 + 0.1), σ(-3 + 0.6 * h1 + 0.8)
    h2 = z * tanh(-0.9 * (r * h1) + 0.7 * -3 + 0.2) + (1 - z) * h1
    gates = {"0.e.x": 1.5, "0.z.e": 0.5, "0.z.h": -0.4, "0.z.bias": 0.1, "0.r.h": 0.6, "0.r.bias": 0.8}
    new = {"0.n.mul0": -0.9, "0.n.e": 0.7, "0.n.bias": 0.2}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**gates, **new, **READOUT})


@example
def mut3() -> Worked:
    """e = 1.5 x for x; z = σ(W e + U tanh h + b), r = σ(W e + U h + b), h̃ = tanh(U (r h) + W e + b)."""
    h1 = σ(0.5 * 1.5 + 0.1) * tanh(0.7 * 1.5 + 0.2)
    z, r = σ(0.5 * -3 - 0.4 * tanh(h1) + 0.1), σ(0.3 * -3 + 0.6 * h1 + 0.8)
    h2 = z * tanh(-0.9 * (r * h1) + 0.7 * -3 + 0.2) + (1 - z) * h1
    gates = {"0.e.x": 1.5, "0.z.e": 0.5, "0.z.tanh1": -0.4, "0.z.bias": 0.1}
    gates |= {"0.r.e": 0.3, "0.r.h": 0.6, "0.r.bias": 0.8}
    new = {"0.n.mul0": -0.9, "0.n.e": 0.7, "0.n.bias": 0.2}
    return Worked([1, -2], [V * h1 + c, V * h2 + c], {**gates, **new, **READOUT})


# ---- with weights that are fixed ------------------------------------------------------------------------------------


@example
def echo_state() -> Worked:
    """Two units and a leak a; y₀ = 0. The weights are what the architecture has drawn."""
    a, settings = 0.3, {"leak": 0.3, "feedback": 0.5, "reservoir": 4}
    drawn = Network("echo_state", inputs=1, units=2, outputs=1, **settings).layout.fixed_weights
    (u,), (v,) = drawn["0.h.x"].astype(float).tolist()
    (w11, w12), (w21, w22) = drawn["0.h.h"].astype(float).tolist()
    (back1,), (back2,) = drawn["0.h.y"].astype(float).tolist()
    h1, g1 = a * tanh(u * 1), a * tanh(v * 1)
    y1 = 2 * h1 - g1 + 0.3
    h2 = (1 - a) * h1 + a * tanh(u * -2 + w11 * h1 + w12 * g1 + back1 * y1)
    g2 = (1 - a) * g1 + a * tanh(v * -2 + w21 * h1 + w22 * g1 + back2 * y1)
    blocks = {"readout.weight": [2.0, -1.0], "readout.bias": 0.3}
    return Worked([1, -2], [y1, 2 * h2 - g2 + 0.3], blocks, units=2, settings=settings)


# ---- the test -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_every_network_has_an_independent_check(name: str) -> None:
    """Here or, for any inputs and weights, in tests/support/cells_notation.py."""
    if name not in EXAMPLES:
        step_by_hand(name, CELLS[name]())


@pytest.mark.parametrize("name", EXAMPLES)
def test_steps_worked_out_by_hand(name: str) -> None:
    worked = EXAMPLES[name]()
    kind, settings = worked.settings.get("kind", name), {k: v for k, v in worked.settings.items() if k != "kind"}
    inputs = np.array(worked.inputs, float).reshape(1, len(worked.inputs), -1)
    sizes = {"inputs": inputs.shape[2], "units": worked.units, "outputs": 1}
    network = Network(kind, **sizes, dtype="float64", **settings)
    assert set(network.layout.blocks) == set(worked.blocks)
    genome = np.zeros(network.n)
    for block, numbers in worked.blocks.items():
        where = network.layout.blocks[block]
        assert np.size(numbers) == where.size, block
        genome[where.slice] = np.ravel(numbers)
    np.testing.assert_allclose(network.predict(genome[None], inputs).ravel(), worked.outputs, rtol=1e-12)
