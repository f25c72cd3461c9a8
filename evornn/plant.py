"""Plants: what a network controls, as equations of motion that are written once and traced once into a small graph."""

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

    To write one, name its states and write `initial_states` and `step`; `observe`, `is_terminal` and `reward` have
    defaults. All but `initial_states` take symbols, one per state or action, so that any kernel can run them.

    >>> from evornn.ops import clip, sin
    >>> from evornn.settings import settings
    >>> from evornn.tasks.core.task import ControlEpisodes
    >>> @settings
    ... class Pendulum(Plant):
    ...     dt: float = 0.05
    ...     state = ("angle", "speed")
    ...     def initial_states(self):                            # [E, states]: one episode
    ...         return np.array([[3.1, 0.0]], np.float32)
    ...     def step(self, s, a):                                # one integration step
    ...         angle, speed = s
    ...         speed = clip(speed + self.dt * (15 * sin(angle) + 6 * clip(a[0], -1, 1)), -8, 8)
    ...         return angle + self.dt * speed, speed
    ...     def reward(self, s, a):
    ...         return -s[0] * s[0]
    >>> ControlEpisodes(Pendulum(), steps=200, fitness=lambda lengths, rewards: -rewards).sizes   # inputs, outputs
    (2, 1)

    In a control step the network sees `observe(s)` and its outputs are the actions (unbounded: a plant clips them); the
    plant then takes `substeps` integration steps with them. The episode ends when `is_terminal` is 1 or a state is no
    longer finite. That last step counts neither as survived nor in the reward.
    """

    state: ClassVar[tuple[str, ...]]
    actions: ClassVar[int] = 1
    substeps: int = 1  # integration steps per control step
    window: int = 0  # only this many last steps survived are rewarded; 0: all

    @abstractmethod
    def initial_states(self) -> Floats:
        """[E, states] where the E episodes of an evaluation begin, the same for all members."""

    @abstractmethod
    def step(self, s: Values, a: Values) -> tuple[Value, ...]:
        """The state after one integration step."""

    def observe(self, s: Values) -> tuple[Value, ...]:
        """The network's inputs, scaled. The default is the state."""
        return s

    def is_terminal(self, s: Values) -> Value:
        """1 where the episode ends, else 0. By default it ends only after the last step."""
        return 0.0

    def reward(self, s: Values, a: Values) -> Value:
        """The reward of a control step that ends in `s`. The default, 1, makes an episode's sum the steps survived."""
        return 1.0

    def trace(self) -> PlantTrace:
        """Run the equations once on symbols."""
        return PlantTrace(self)


class PlantTrace:
    """A plant's equations as graphs over the leaves `s` (states) and `a` (actions)."""

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
            raise TypeError(
                f"{kind}.initial_states must be [episodes, {states}], got {list(self.initial_states.shape)}"
            )
        leaves = {*self.s, *self.a}
        for node in walk(*self.new_state, *self.observations, self.is_terminal, self.reward):
            if node.size != "one" or (node.op == "leaf" and node not in leaves):
                raise TypeError(f"{kind}: the equations of a plant hold scalars only, not {node.op} {node.name!r}")


def rk4(motion: Motion, s: Values, a: Values, dt: float) -> Values:
    """One classical Runge–Kutta step of fourth order; the actions are held constant.

    Args:
        motion: (states, actions) → time derivatives of the states.
        s: the states.
        a: the actions.
        dt: the step, in the time unit of the derivatives.

    Returns:
        The states after the step.
    """
    k1 = motion(s, a)
    k2 = motion(_euler_step(s, k1, dt / 2), a)
    k3 = motion(_euler_step(s, k2, dt / 2), a)
    k4 = motion(_euler_step(s, k3, dt), a)
    slopes = [a + 2 * (b + c) + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
    return _euler_step(s, slopes, dt / 6)


def _euler_step(s: Values, slopes: tuple[Value, ...] | list[Value], dt: float) -> Values:
    return tuple(value + dt * slope for value, slope in zip(s, slopes, strict=True))
