"""A body with one leg (Beer & Gallagher 1992, "Evolving dynamical neural networks for adaptive behavior"):

foot down: v̇ = f within the swing's limits, ẋ = v, the foot stays where it is and the leg turns about it;
foot up: v = 0, ω̇ = T (b − f′) with |ω| ≤ 1, α̇ = ω within the limits; f = f′ − b, the forces forwards and backwards.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from evornn.arrays import Floats
from evornn.ops import Node, Value, absolute, clip, cos, greater, maximum, minimum, sin, where
from evornn.plant import Plant, Values
from evornn.settings import settings

LENGTH, REACH = 15.0, 20.0  # of the leg; the farthest distance from its foot at which it carries the body
FORCE, TORQUE = 0.05, 0.5  # the largest force; angular acceleration per force
SWING, SPIN = float(np.float32(np.pi / 6)), 1.0  # largest angle either way, rad (as any kernel holds it), and its speed
TANGENT = float(np.tan(SWING))
ARCTAN = (-0.3333314528, 0.1999355085, -0.1420889944, 0.1065626393, -0.0752896400, 0.0429096138, -0.0161657367,
          0.0028662257)  # fmt: skip  # of x³, x⁵, …, for |x| ≤ 1 to 2e-8 (Abramowitz & Stegun 1964, 4.4.49)


@settings
class Walker(Plant):
    """Walk forwards. Outputs, clipped to 0 … 1: whether the foot is down (above 0.5), force forwards, force backwards,
    in units of 0.05; with two `outputs` the first is both the foot and the force forwards. A force backwards swings a
    raised leg forwards. The input is the leg's angle, from −1 to 1 within the limits, or with `sensor: false` always 0.

    Beyond the limits a standing leg pushes only back towards them; the body stops where the foot is more than 20 behind
    or ahead of it. At the start the leg is raised and as far ahead as it goes. Lengths and time have no unit.

    Within a step forces are constant and motion is exact. A leg pushes only if it would still be within its limits at
    the end of the step, so crossing a limit within a step gains nothing and no steady gait is faster than the ideal
    one.
    """

    outputs: Literal[2, 3] = 3
    sensor: bool = False
    dt: Annotated[float, Gt(0)] = 0.1

    state = ("x", "v", "angle", "spin", "ahead", "height")  # of the body; of the leg; from the hip to the foot
    window = 1  # an episode is rewarded for the place where it ends

    @property
    def actions(self) -> int:  # type: ignore[override]
        return self.outputs

    def initial_states(self) -> Floats:
        return np.array([[0, 0, SWING, 0, LENGTH * np.sin(SWING), LENGTH * np.cos(SWING)]], np.float32)

    def step(self, s: Values, a: Values) -> tuple[Value, ...]:
        x, v, angle, spin, ahead, height = s
        down, forward, backward = greater(a[0], 0.5), clip(a[-2], 0.0, 1.0), clip(a[-1], 0.0, 1.0)
        # a standing leg is turned by the moving body
        coast_ahead = ahead - self.dt * v
        speed_gain = self.dt * FORCE * _inwards(coast_ahead, height * TANGENT, forward - backward)
        foot = coast_ahead - self.dt / 2 * speed_gain
        left = clip(foot, -REACH, REACH)
        stance_angle = _arctan(left / height)
        speed = where(greater(absolute(foot), REACH), 0.0, v + speed_gain)
        stance_state: tuple[Value, ...] = (
            x + (ahead - left),
            speed,
            stance_angle,
            (stance_angle - angle) * (1 / self.dt),
            left,
            height,
        )
        # a raised leg swings, up to its limits
        swing_spin = clip(spin + self.dt * TORQUE * FORCE * (backward - forward), -SPIN, SPIN)
        unlimited_angle = angle + self.dt / 2 * (spin + swing_spin)
        swing_angle = clip(unlimited_angle, -SWING, SWING)
        swing_spin = where(greater(absolute(unlimited_angle), SWING), 0.0, swing_spin)
        swing_state: tuple[Value, ...] = (
            x,
            0.0,
            swing_angle,
            swing_spin,
            LENGTH * sin(swing_angle),
            LENGTH * cos(swing_angle),
        )
        return tuple(where(down, one, other) for one, other in zip(stance_state, swing_state, strict=True))

    def observe(self, s: Values) -> tuple[Value, ...]:
        return (s[2] / SWING if self.sensor else 0.0,)

    def reward(self, s: Values, a: Values) -> Value:
        """The place of the body."""
        return s[0]


def _inwards(ahead: Node, limit: Node, force: Node) -> Node:
    """The force that a leg can exert with its foot this far ahead."""
    force = where(greater(ahead, limit), maximum(force, 0.0), force)
    return where(greater(-ahead, limit), minimum(force, 0.0), force)


def _arctan(x: Node) -> Node:
    """arctan x, clipped to ±π/4: from beyond that, no raised leg gets back within its limits in a step."""
    x = clip(x, -1.0, 1.0)
    square: Node = x * x
    series: Value = 0.0
    for coefficient in reversed(ARCTAN):
        series = square * (coefficient + series)
    return x * (1.0 + series)
