"""An environment whose answers are checked: it is foreign code, and results rely on its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from evornn.arrays import Floats
from evornn.errors import EvornnError, short_repr
from evornn.tasks.core.world import Environment, World

MAX_REWARD = float(np.finfo(np.float32).max)  # beyond, a loss has no number


class CheckedEnvironment:
    """An environment that refuses what is no observation [R], no reward or no end of an episode.

    Args:
        world: whose environment it is.
        environment: what is checked.
    """

    def __init__(self, world: World, environment: Environment) -> None:
        self.world, self.environment = world, environment
        self._step = 0

    def reset(self, seed: int) -> Floats:
        self._step = 0
        return self._observation(self.environment.reset(seed))

    def step(self, action: Any) -> tuple[Floats, float, bool]:
        answer = self.environment.step(action)
        self._step += 1
        if not isinstance(answer, tuple) or len(answer) != 3:
            raise self._error(f"step returned {quote(answer)}, not (observation, reward, end of the episode)")
        observation, reward, end = answer
        return self._observation(observation), self._reward(reward), self._end(end)

    def _observation(self, value: Any) -> Floats:
        """[R] float32."""
        observation, size = _numbers(value), self.world.observation_size
        if observation is None:
            raise self._error(f"observation {quote(value)}, which is not numbers")
        if observation.shape != (size,):
            raise self._error(f"observation of shape {list(observation.shape)}, not [{size}]")
        with np.errstate(over="ignore"):
            floats: Floats = observation.astype(np.float32)
        if not np.isfinite(floats).all():
            k = int(np.flatnonzero(~np.isfinite(floats))[0])
            raise self._error(f"number {k} of the observation {observation[k]}")
        return floats

    def _reward(self, value: Any) -> float:
        reward = _numbers(value)
        if reward is None or reward.size != 1:
            raise self._error(f"reward {quote(value)}, which is not a number")
        number = float(reward.item())
        if not abs(number) <= MAX_REWARD:
            raise self._error(f"reward {number}")
        return number

    def _end(self, value: Any) -> bool:
        if not is_boolean(value):
            raise self._error(f"end of the episode {quote(value)}, neither true nor false")
        return bool(value)

    def _error(self, problem: str) -> EvornnError:
        return self.world.refuse(f"{problem} at {f'step {self._step}' if self._step else 'reset'}")


def is_boolean(value: Any) -> bool:
    """Whether a value is true or false: a boolean or 0 or 1, also as an array of one number."""
    numbers = _numbers(value)
    return numbers is not None and numbers.size == 1 and numbers.item() in (0, 1)


def _numbers(value: Any) -> Any:
    """An array of real numbers or booleans; None where a value is anything else, say text or None."""
    try:
        numbers = np.asarray(value)
    except ValueError:  # a ragged list
        return None
    return numbers if numbers.dtype.kind in "biuf" else None


def quote(value: Any) -> str:
    """A value as an error shows it, in one line."""
    return " ".join(short_repr(value).split())
