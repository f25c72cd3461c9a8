"""Worlds: what is controlled but is a program of its own, not equations; and episodes in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats
from evornn.errors import EvornnError


class Environment(Protocol):
    """One running environment."""

    def reset(self, seed: int) -> Floats:
        """Begin an episode; returns the first observation [R]."""

    def step(self, action: Any) -> tuple[Floats, float, bool]:
        """Returns the next observation [R], the reward, and whether the episode has ended."""


class World(ABC):
    """A kind of environment that is a program of its own. It shows R numbers, of which a network sees I; the network's
    O outputs choose the action. A world is sent between processes; its open environments are not."""

    inputs: int
    outputs: int
    observation_size: int  # R

    @property
    def full_name(self) -> str:
        """What errors call it."""
        return type(self).__name__

    def refuse(self, problem: str) -> EvornnError:
        """The error that an environment gives what no network can be trained on."""
        return EvornnError(f"environment {self.full_name}: {problem}: mend it, or take another environment")

    @abstractmethod
    def open(self) -> Environment:
        """A new environment. What it answers is checked wherever it is used."""

    @abstractmethod
    def observe(self, observations: Floats) -> Floats:
        """[P, E, R] observations → [P, E, I] network inputs."""

    @abstractmethod
    def actions(self, outputs: Floats) -> Any:
        """[P, E, O] finite outputs → actions: `actions[p][e]` is an argument of `Environment.step`."""


RETURN = "return"  # the loss of a task with a world: minus the mean sum of an episode's rewards


@dataclass(frozen=True)
class Rollouts:
    """Episodes in a world, as many as there are seeds; the loss is minus their mean return."""

    world: World
    seeds: NDArray[np.int64]
    steps: int  # of an episode, at most
    default_batch_size: int | None = None  # episodes of an evaluation, others in each generation; None: always all

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of inputs and outputs."""
        return self.world.inputs, self.world.outputs
