"""The form of a controlled plant: equations of motion, written once and traced once into a small graph.

class Pendulum(Plant):
    state = ("angle", "speed")

    def step(self, s, a):                                    # one integration step: state, actions → new state
        angle, speed = s
        speed = clip(speed + self.dt * (15 * sin(angle) + 6 * clip(a[0], -1, 1)), -8, 8)
        return angle + self.dt * speed, speed
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import numpy as np

from evornn.arrays import Floats
from evornn.ops import Node, Value, walk

Values: TypeAlias = tuple[Node, ...]
Motion: TypeAlias = Callable[[Values, Values], tuple[Value, ...]]  # state, actions → time derivatives


class Plant(ABC):
    """What a network controls. Its fields (see `evornn.settings`) are its constants, its methods its equations.

    `step`, `observe`, `failed` and `reward` take symbols, one per state or action, so that any kernel can run them.
    In a control step the network sees `observe(s)`, its outputs are the actions (not bounded: a plant clips them), and
    the plant takes `substeps` integration steps with them. The episode ends when `failed`, or when a state is no longer
    finite: that step counts neither as survived nor in the reward.
    """

    state: ClassVar[tuple[str, ...]]
    actions: ClassVar[int] = 1
    substeps: int = 1  # integration steps per control step
    window: int = 0  # only the last so many steps survived are rewarded; 0: all

    @abstractmethod
    def initial_states(self) -> Floats:
        """[E, states] where the E episodes of an evaluation begin: the same for all members."""

    @abstractmethod
    def step(self, s: Values, a: Values) -> tuple[Value, ...]:
        """The state after one integration step."""

    def observe(self, s: Values) -> tuple[Value, ...]:
        """The network's inputs, scaled. By default the state."""
        return s

    def is_terminal(self, s: Values) -> Value:
        """1 where the episode ends, else 0. By default never before its last step."""
        return 0.0

    def reward(self, s: Values, a: Values) -> Value:
        """What a control step that ends in `s` is worth; an episode's is their sum. By default 1: steps survived."""
        return 1.0

    def trace(self) -> PlantTrace:
        """Run the equations once on symbols."""
        return PlantTrace(self)


class PlantTrace:
    """A plant's equations as graphs over the leaves `s` and `a`."""

    def __init__(self, plant: Plant) -> None:
        self.plant, self.substeps, self.window = plant, plant.substeps, plant.window
        self.s: Values = tuple(Node("leaf", (), "one", name) for name in plant.state)
        self.a: Values = tuple(Node("leaf", (), "one", f"action{k}") for k in range(plant.actions))
        self.new_state = plant.step(self.s, self.a)
        self.observations, self.is_terminal = plant.observe(self.s), plant.is_terminal(self.s)
        self.reward = plant.reward(self.s, self.a)
        self.initial_states = np.ascontiguousarray(plant.initial_states(), dtype=np.float32)
        self._check()

    def _check(self) -> None:
        kind, states = type(self.plant).__name__, len(self.s)
        if len(self.new_state) != states:
            raise TypeError(f"{kind}.step returns {len(self.new_state)} values for the states {self.plant.state}")
        if self.initial_states.ndim != 2 or self.initial_states.shape[1] != states or not len(self.initial_states):
            raise TypeError(f"{kind}.starts must be [episodes, {states}], got {list(self.initial_states.shape)}")
        known = {*self.s, *self.a}
        for node in walk(*self.new_state, *self.observations, self.is_terminal, self.reward):
            if node.size != "one" or (node.op == "leaf" and node not in known):
                raise TypeError(f"{kind}: a plant's equations have single numbers only, not {node.op} {node.name!r}")


def rk4(motion: Motion, s: Values, a: Values, dt: float) -> Values:
    """The classical Runge–Kutta step of fourth order; the actions are held."""
    k1 = motion(s, a)
    k2 = motion(_euler_step(s, k1, dt / 2), a)
    k3 = motion(_euler_step(s, k2, dt / 2), a)
    k4 = motion(_euler_step(s, k3, dt), a)
    slopes = [a + 2 * (b + c) + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
    return _euler_step(s, slopes, dt / 6)


def _euler_step(s: Values, slopes: tuple[Value, ...] | list[Value], dt: float) -> Values:
    return tuple(value + dt * slope for value, slope in zip(s, slopes, strict=True))
