"""Any environment of gymnasium as a world: numbers in, numbers out (Towers et al. 2024, arXiv:2407.17032)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Streams
from evornn.errors import EvornnError, UnknownName
from evornn.tasks.world import Environment, World

INSTALL = "pip install 'evornn[gym]'"


class GymnasiumWorld(World):
    """The environment that is registered as `name`, for example "CartPole-v1".

    What it shows is flattened to R numbers, one-hot where it is a choice; a network sees those at `observed` (None:
    all), less `centre` and over `scale` [R]. Where an action is a choice among k, k outputs decide it: the largest, the
    first of equals. Where it is a number in bounds, tanh of an output is stretched to them; else it is the output.

    Raises UnknownName for an environment that is not registered, EvornnError for what can't be run."""

    def __init__(self, name: str, observed: Sequence[int] | None = None) -> None:
        self.name = name
        made = self._make()
        self.space, choice = made.observation_space, made.action_space
        if not self.space.is_np_flattenable:
            raise EvornnError(f"environment {name}: {self.space} has no fixed length: take another environment")
        self.outputs, self._act = _actor(name, choice)
        self.threshold: float | None = made.spec.reward_threshold
        self.raw = _gymnasium().spaces.flatdim(self.space)
        self.observed = np.arange(self.raw) if observed is None else np.array(observed)
        if not self.observed.size or not set(self.observed.tolist()) <= set(range(self.raw)):
            raise EvornnError(
                f"observed: {name} shows the numbers 0 … {self.raw - 1}: list some of them, got {observed}"
            )
        self.inputs = len(self.observed)
        self.centre, self.scale = np.zeros(self.raw, np.float32), np.ones(self.raw, np.float32)
        made.close()

    def open(self) -> Environment:
        return Opened(self, self._make())

    def seen(self, observations: Floats) -> Floats:
        found: Floats = ((observations - self.centre) / self.scale)[..., self.observed]
        return found

    def actions(self, outputs: Floats) -> Any:
        return self._act(outputs)

    def random(self, seeds: Sequence[int], steps: int, streams: Streams) -> Iterator[tuple[Floats, float]]:
        """Of one episode after the other under random actions: what was shown [T + 1, R], and its return."""
        environment = Opened(self, self._make())
        for seed in seeds:
            shown, total, over = [environment.begin(seed)], 0.0, False
            environment.made.action_space.seed(streams.integer(seed))
            while not over and len(shown) <= steps:
                now, reward, over = environment.step(environment.made.action_space.sample())
                shown.append(now)
                total += reward
            yield np.stack(shown), total

    def measure(self, shown: Sequence[Floats]) -> None:
        """Take mean and standard deviation of episodes [T + 1, R]; what never changes keeps its unit."""
        everything = np.concatenate(shown).astype(np.float64)
        centre, scale = everything.mean(axis=0), everything.std(axis=0)
        known = np.isfinite(centre) & np.isfinite(scale) & (scale > 1e-6)
        self.centre[known], self.scale[known] = centre[known], scale[known]

    def _make(self) -> Any:
        gymnasium = _gymnasium()
        with _explained(self.name):
            module, _, name = self.name.rpartition(":")
            _register(module or ("popgym" if name.startswith("popgym-") else ""))
            if name not in gymnasium.registry:
                raise UnknownName("environment", name, gymnasium.registry)
            return gymnasium.make(name, disable_env_checker=True)


class Opened:
    """An environment whose observations are flattened."""

    def __init__(self, world: GymnasiumWorld, made: Any) -> None:
        self.world, self.made, spaces = world, made, _gymnasium().spaces
        self._flat: Callable[[Any], Any] = (
            np.ravel if isinstance(world.space, spaces.Box) else lambda shown: spaces.flatten(world.space, shown)
        )

    def begin(self, seed: int) -> Floats:
        try:
            return np.asarray(self._flat(self.made.reset(seed=seed)[0]), np.float32)
        except Exception as error:
            raise _failed(self.world.name, error) from error

    def step(self, action: Any) -> tuple[Floats, float, bool]:
        try:
            shown, reward, terminated, truncated, _ = self.made.step(action)
            return np.asarray(self._flat(shown), np.float32), float(reward), bool(terminated or truncated)
        except Exception as error:  # somebody else's program may raise anything
            raise _failed(self.world.name, error) from error


def _actor(name: str, space: Any) -> tuple[int, Callable[[Floats], Any]]:
    """How many outputs it takes to act in a space, and what they mean."""
    spaces = _gymnasium().spaces
    if isinstance(space, spaces.Discrete):
        return int(space.n), Choice(int(space.start))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return int(space.nvec.sum()), Choices(space.nvec, space.start)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return int(np.prod(space.shape)), Stretched(space.low, space.high)
    raise EvornnError(f"environment {name}: actions must be Discrete, MultiDiscrete or a Box of numbers, not {space}")


class Choice:
    """One of several actions, the first of which has the number `start`."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __call__(self, outputs: Floats) -> Any:
        return (outputs.argmax(axis=-1) + self.start).tolist()


class Choices:
    """Several choices at once, each with its own number of actions and its first."""

    def __init__(self, counts: NDArray[Any], starts: NDArray[Any]) -> None:
        self.edges, self.starts = np.cumsum(counts)[:-1], starts

    def __call__(self, outputs: Floats) -> Any:
        parts = np.split(outputs, self.edges, axis=-1)
        return np.stack([part.argmax(axis=-1) for part in parts], axis=-1) + self.starts


class Stretched:
    """Numbers within bounds, or without any where one of them is infinite."""

    def __init__(self, low: NDArray[Any], high: NDArray[Any]) -> None:
        self.low, self.high = low, high
        self.bounded = np.isfinite(low) & np.isfinite(high)

    def __call__(self, outputs: Floats) -> Any:
        outputs = outputs.reshape(*outputs.shape[:-1], *self.low.shape)
        low, high = (np.where(self.bounded, bound, 0) for bound in (self.low, self.high))
        stretched = low + (np.tanh(outputs) + 1) / 2 * (high - low)
        return np.clip(np.where(self.bounded, stretched, outputs), self.low, self.high).astype(self.low.dtype)


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError:
        raise EvornnError(
            f"the task gymnasium wants the package gymnasium, which is not installed: {INSTALL}"
        ) from None
    return gymnasium


def _register(module: str) -> None:
    """Import the package whose environments are wanted."""
    try:
        if module:
            import_module(module)
    except ImportError as error:
        how = INSTALL if module == "popgym" else "install its package, or put its folder into PYTHONPATH"
        raise EvornnError(f"environment: {module} can't be imported, {error}: {how}") from None


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Errors of making an environment, in one line; its warnings (of older versions, of precision) are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except EvornnError:
        raise
    except Exception as error:
        raise _failed(name, error) from error


def _failed(name: str, error: Exception) -> EvornnError:
    said = " ".join(str(error).split())
    return EvornnError(f"environment {name}: {type(error).__name__}: {said}: mend it, or take another environment")
