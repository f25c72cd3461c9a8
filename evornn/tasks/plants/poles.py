"""Cart with one or two poles (Wieland 1991), in the form of Gomez, Schmidhuber & Miikkulainen (2008), JMLR 9, appendix:

ẍ = (F − μc sgn ẋ + Σ F̃ᵢ) / (M + Σ m̃ᵢ),  θ̈ᵢ = −¾ (ẍ cos θᵢ + φᵢ) / lᵢ  with φᵢ = μp θ̇ᵢ / (mᵢlᵢ) + g sin θᵢ,
F̃ᵢ = mᵢlᵢθ̇ᵢ² sin θᵢ + ¾ mᵢ cos θᵢ φᵢ,  m̃ᵢ = mᵢ (1 − ¾ cos² θᵢ);  l is half a pole's length, g = −9.8.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt

from evornn.arrays import Floats
from evornn.ops import Node, Value, absolute, clip, cos, greater, logical_or, sign, sin
from evornn.plant import Plant, Values, rk4
from evornn.settings import settings

CART, MASSES, HALF_LENGTHS = 1.0, (0.1, 0.01), (0.5, 0.05)  # kg, kg, m
CART_FRICTION, POLE_FRICTION, GRAVITY = 5e-4, 2e-6, -9.8  # –, N m s, m/s²
TRACK, FORCE = 2.4, 10.0  # half its length in m; the largest force, N
RANGES = 2.16, 1.35, 0.0628, 0.150  # ± x, ẋ, θ₁, θ̇₁ of the starts: m, m/s, rad, rad/s
FRACTIONS = 0.05, 0.25, 0.5, 0.75, 0.95  # of each range


@settings
class Poles(Plant):
    """Balance one pole or two by pushing the cart, every 0.02 s, with a force of 10 N times the action clipped to ±1.

    The episode fails beyond ±2.4 m, or when a pole leans more than `fail_angle` degrees (by default 12 for one pole, 36
    for two). Inputs: x/4.8, θᵢ/0.52, with `velocities` also ẋ/2, θ̇ᵢ/2 (the scaling of Shark; the paper prints none),
    in the order x, ẋ, θ₁, θ̇₁, θ₂, θ̇₂. The long pole starts at `start_angle` degrees, all else at rest. Solved:
    100,000 steps.
    """

    poles: Literal[1, 2] = 2
    velocities: bool = False
    start_angle: float = 4.0
    fail_angle: Annotated[float, Gt(0)] | None = None
    dt: Annotated[float, Gt(0)] = 0.01  # s
    substeps: Annotated[int, Gt(0)] = 2
    sway: bool = False  # a step is worth |x| + |ẋ| + |θ₁| + |θ̇₁| at its end, not 1
    window: Annotated[int, Ge(0)] = 0

    @property
    def state(self) -> tuple[str, ...]:  # type: ignore[override]
        """x, ẋ, then θ, θ̇ of each pole: m, m/s, rad, rad/s."""
        return ("x", "v", "angle1", "speed1", "angle2", "speed2")[: 2 + 2 * self.poles]

    def initial_states(self) -> Floats:
        return np.array([[0, 0, math.radians(self.start_angle), 0, 0, 0][: len(self.state)]], np.float32)

    def step(self, s: Values, a: Values) -> Values:
        return rk4(self.motion, s, (FORCE * clip(a[0], -1.0, 1.0),), self.dt)

    def motion(self, s: Values, a: Values) -> tuple[Value, ...]:
        """The time derivatives of the states, by the equations above; the action is the force in N."""
        v, force = s[1], a[0]
        poles: list[Any] = []
        pull: Any = 0.0
        mass: Any = CART
        for m, l, angle, speed in zip(MASSES, HALF_LENGTHS, s[2::2], s[3::2], strict=False):  # noqa: E741
            cosine, sine = cos(angle), sin(angle)
            moment = POLE_FRICTION / (m * l) * speed + GRAVITY * sine  # φ
            pull = pull + (m * l * speed * speed * sine + 0.75 * m * cosine * moment)  # ΣF̃
            mass = mass + m * (1.0 - 0.75 * cosine * cosine)  # M + Σm̃
            poles.append((l, speed, cosine, moment))
        acceleration = (force - CART_FRICTION * sign(v) + pull) * (1.0 / mass)
        turns = [(speed, -0.75 / l * (acceleration * cosine + moment)) for l, speed, cosine, moment in poles]  # noqa: E741
        return (v, acceleration, *(slope for pair in turns for slope in pair))

    def observe(self, s: Values) -> Values:
        scaled = [s[0] / 4.8, s[1] / 2.0, *(value / by for value, by in zip(s[2:], (0.52, 2.0) * 2, strict=False))]
        return tuple(scaled if self.velocities else scaled[::2])

    def is_terminal(self, s: Values) -> Node:
        limit = math.radians(self.fail_angle or (12.0 if self.poles == 1 else 36.0))
        outside = greater(absolute(s[0]), TRACK)
        for angle in s[2::2]:
            outside = logical_or(outside, greater(absolute(angle), limit))
        return outside

    def reward(self, s: Values, a: Values) -> Value:
        if not self.sway:
            return 1.0
        return absolute(s[0]) + absolute(s[1]) + absolute(s[2]) + absolute(s[3])


@settings
class ScatteredPoles(Poles):
    """Two poles from 625 starts (Gruau, Whitley & Pyeatt 1996): every combination of five values of x, ẋ, θ₁ and θ̇₁,
    with the short pole upright and at rest."""

    poles: Literal[2] = 2

    def initial_states(self) -> Floats:
        grid = [[(2 * fraction - 1) * limit for fraction in FRACTIONS] for limit in RANGES]
        return np.array([[*start, 0, 0] for start in product(*grid)], np.float32)
