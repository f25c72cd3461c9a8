"""What is controlled but is a program of its own: the form of such a world, and episodes in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats


class Environment(Protocol):
    """One running environment."""

    def reset(self, seed: int) -> Floats:
        """A new episode; the first observation [R]."""

    def step(self, action: Any) -> tuple[Floats, float, bool]:
        """The next observation [R], what the step is worth, and whether the episode has ended with it."""


class World(ABC):
    """A kind of environment that is a program of its own, not equations. A network sees I numbers of the R that it
    shows, and its O outputs say what it does. A world travels between processes; what is open does not."""

    inputs: int
    outputs: int
    observation_size: int  # R

    @abstractmethod
    def open(self) -> Environment:
        """One more of these environments."""

    @abstractmethod
    def observe(self, observations: Floats) -> Floats:
        """[P, E, R] what environments show → [P, E, I] what networks see of it."""

    @abstractmethod
    def actions(self, outputs: Floats) -> Any:
        """[P, E, O], all finite, → what is done: `actions[p][e]` is an action for `Environment.step`."""


RETURN = "return"  # the loss of a task with a world: minus the mean sum of an episode's rewards


@dataclass(frozen=True)
class Rollouts:
    """Episodes in a world, as many as there are seeds; the loss is minus their mean return."""

    world: World
    seeds: NDArray[np.int64]
    steps: int  # of an episode, at most
    default_batch_size: int | None = (
        None  # episodes of an evaluation, others for each generation; None: all of them, every time
    )

    @property
    def sizes(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.world.inputs, self.world.outputs
