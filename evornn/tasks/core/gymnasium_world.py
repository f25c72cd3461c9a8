"""Any environment of gymnasium as a world: numbers in, numbers out (Towers et al. 2024, arXiv:2407.17032)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Streams
from evornn.errors import EvornnError, UnknownName, require, short_repr
from evornn.tasks.core.checked_environment import CheckedEnvironment, is_boolean
from evornn.tasks.core.gymnasium_spaces import flatten
from evornn.tasks.core.world import Environment, World

LIMIT = "max_episode_steps"  # gymnasium's own argument: an episode of any environment is truncated after so many steps
FAILURES = Exception, SystemExit  # an environment may raise anything, and end the process, which is not its own


class GymnasiumWorld(World):
    """The environment registered as `name`, for example "CartPole-v1", made with these `arguments`.

    Observations are flattened to R numbers, one-hot where they are a choice; a network sees those at `observed` (None:
    all), less `centre` and over `scale` [R]. A choice among k actions is decided by k outputs: the largest wins, the
    first of equals. An action that is a number in bounds is tanh of an output, scaled to the bounds; without bounds it
    is the output.

    Raises UnknownName for an environment that is not registered or an argument that it doesn't have, EvornnError for an
    environment that can't be run.
    """

    def __init__(
        self, name: str, observed: Sequence[int] | None = None, arguments: Mapping[str, Any] | None = None
    ) -> None:
        self.name, self.arguments = name, dict(arguments or {})
        env = self._make()
        self.space, choice = env.observation_space, env.action_space
        if not self.space.is_np_flattenable:
            raise EvornnError(f"environment {name}: {self.space} has no fixed length: take another environment")
        self.outputs, self._decode = _action_decoder(name, choice)
        self.threshold: float | None = env.spec.reward_threshold
        self.observation_size = _gymnasium().spaces.flatdim(self.space)
        self.observed = np.arange(self.observation_size) if observed is None else np.array(observed)
        # a wrong number would only fail in the first episode
        if not self.observed.size or not set(self.observed.tolist()) <= set(range(self.observation_size)):
            raise EvornnError(
                f"observed: {name} shows the numbers 0 … {self.observation_size - 1}: list some of them, got {observed}"
            )
        self.inputs = len(self.observed)
        self.centre, self.scale = (
            np.zeros(self.observation_size, np.float32),
            np.ones(self.observation_size, np.float32),
        )
        env.close()

    @property
    def full_name(self) -> str:
        """Its name and its arguments."""
        text = ", ".join(f"{key}={short_repr(value)}" for key, value in self.arguments.items())
        return f"{self.name} with {text}" if text else self.name

    def failure(self, error: BaseException) -> EvornnError:
        """The environment's own exception, as an error of one line."""
        return self.refuse(f"{type(error).__name__}: {' '.join(str(error).split())}")

    def refuse(self, problem: str) -> EvornnError:
        advice = "change its arguments" if self.arguments else "mend it"
        return EvornnError(f"environment {self.full_name}: {problem}: {advice}, or take another environment")

    def open(self) -> Environment:
        return FlatEnvironment(self, self._make())

    def observe(self, observations: Floats) -> Floats:
        values: Floats = ((observations - self.centre) / self.scale)[..., self.observed]
        return values

    def actions(self, outputs: Floats) -> Any:
        return self._decode(outputs)

    def random_episodes(self, seeds: Sequence[int], steps: int, streams: Streams) -> Iterator[tuple[Floats, float]]:
        """Run episodes under random actions.

        Args:
            seeds: one per episode.
            steps: of an episode, at most.
            streams: draw the actions.

        Returns:
            Of one episode after the other, its observations [T + 1, R] and its return.
        """
        flat = FlatEnvironment(self, self._make())
        environment, action_space = CheckedEnvironment(self, flat), flat.env.action_space
        for seed in seeds:
            observations, total, done = [environment.reset(seed)], 0.0, False
            action_space.seed(streams.integer(seed))
            while not done and len(observations) <= steps:
                observation, reward, done = environment.step(action_space.sample())
                observations.append(observation)
                total += reward
            yield np.stack(observations), total

    def fit_scaling(self, episodes: Sequence[Floats]) -> None:
        """Set `centre` and `scale` to mean and standard deviation of episodes [T + 1, R]; constant numbers keep
        their unit."""
        observations = np.concatenate(episodes).astype(np.float64)
        centre, scale = observations.mean(axis=0), observations.std(axis=0)
        varies = np.isfinite(centre) & np.isfinite(scale) & (scale > 1e-6)
        self.centre[varies], self.scale[varies] = centre[varies], scale[varies]

    def _make(self) -> Any:
        gymnasium = _gymnasium()
        with self._translate_errors():
            module, _, name = self.name.rpartition(":")
            _register(module or ("popgym" if name.startswith("popgym-") else ""))
            if name not in gymnasium.registry:
                raise UnknownName("environment", name, gymnasium.registry)
            _check_arguments(name, gymnasium.registry[name].entry_point, self.arguments)
            return gymnasium.make(name, disable_env_checker=True, **deepcopy(self.arguments))

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Errors of construction become one line; its warnings (of older versions, of precision) are not shown."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except EvornnError:
            raise
        except FAILURES as error:
            raise self.failure(error) from error


class FlatEnvironment:
    """An environment whose observations are flattened. Its reset and step must answer as gymnasium's do."""

    def __init__(self, world: GymnasiumWorld, env: Any) -> None:
        self.world, self.env = world, env

    def reset(self, seed: int) -> Any:
        try:
            answer = self.env.reset(seed=seed)
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise self.world.refuse("reset did not return (observation, info)")
            return flatten(self.world.space, answer[0])
        except EvornnError:
            raise
        except FAILURES as error:
            raise self.world.failure(error) from error

    def step(self, action: Any) -> Any:
        try:
            answer = self.env.step(action)
            if not isinstance(answer, tuple) or len(answer) != 5:
                raise self.world.refuse("step did not return (observation, reward, terminated, truncated, info)")
            observation, reward, terminated, truncated, _ = answer
            return flatten(self.world.space, observation), reward, _either(terminated, truncated)
        except EvornnError:
            raise
        except FAILURES as error:
            raise self.world.failure(error) from error


def _either(terminated: Any, truncated: Any) -> Any:
    """Whether an episode has ended; the one of the two that is neither true nor false, to be refused."""
    for end in (terminated, truncated):
        if not is_boolean(end):
            return end
    return bool(terminated) or bool(truncated)


def _action_decoder(name: str, space: Any) -> tuple[int, Callable[[Floats], Any]]:
    """The number of outputs that an action space needs, and the function from outputs to actions."""
    spaces = _gymnasium().spaces
    if isinstance(space, spaces.Discrete):
        return int(space.n), DiscreteActions(int(space.start))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return int(space.nvec.sum()), MultiDiscreteActions(space.nvec, space.start)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return int(np.prod(space.shape)), BoxActions(space.low, space.high)
    raise EvornnError(f"environment {name}: actions must be Discrete, MultiDiscrete or a Box of numbers, not {space}")


class DiscreteActions:
    """One of several actions, numbered from `start`."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __call__(self, outputs: Floats) -> Any:
        return (outputs.argmax(axis=-1) + self.start).tolist()


class MultiDiscreteActions:
    """Several choices at once, each with its own number of actions and its own first number."""

    def __init__(self, counts: NDArray[Any], starts: NDArray[Any]) -> None:
        self.edges, self.starts = np.cumsum(counts)[:-1], starts

    def __call__(self, outputs: Floats) -> Any:
        parts = np.split(outputs, self.edges, axis=-1)
        return np.stack([part.argmax(axis=-1) for part in parts], axis=-1) + self.starts


class BoxActions:
    """Numbers within bounds; unbounded where a bound is infinite."""

    def __init__(self, low: NDArray[Any], high: NDArray[Any]) -> None:
        self.low, self.high = low, high
        self.is_bounded = np.isfinite(low) & np.isfinite(high)

    def __call__(self, outputs: Floats) -> Any:
        outputs = outputs.reshape(*outputs.shape[:-1], *self.low.shape)
        low, high = (np.where(self.is_bounded, bound, 0) for bound in (self.low, self.high))
        bounded = low + (np.tanh(outputs) + 1) / 2 * (high - low)
        return np.clip(np.where(self.is_bounded, bounded, outputs), self.low, self.high).astype(self.low.dtype)


def _gymnasium() -> Any:
    with require("gym", "the task gymnasium"):
        import gymnasium
    return gymnasium


def _register(module: str) -> None:
    """Import the package that registers the environments."""
    try:
        with require("gym", "an environment of popgym") if module == "popgym" else nullcontext():
            if module:
                import_module(module)
    except ImportError as error:
        advice = "install its package, or put its folder into PYTHONPATH"
        raise EvornnError(f"environment: {module} can't be imported, {error}: {advice}") from None


def _check_arguments(name: str, entry: Any, arguments: Mapping[str, Any]) -> None:
    """Raises UnknownName for an argument that the constructor at `entry` doesn't take. A constructor that takes any
    argument checks them itself."""
    if not arguments:
        return
    from gymnasium.envs.registration import load_env_creator

    parameters = inspect.signature(load_env_creator(entry) if isinstance(entry, str) else entry).parameters.values()
    names = [one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    accepts_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    for argument in arguments:
        if argument not in (*names, LIMIT) and (not accepts_any or argument in ("id", "disable_env_checker")):
            raise UnknownName(f"argument of {name}", argument, [*names, LIMIT])
