"""Observations of gymnasium's spaces as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evornn.tasks.core.checked_environment import quote


def flatten(space: Any, observation: Any) -> Any:
    """An observation as one array [R], one-hot where it is a choice. A part that is not in its space, and isn't simply
    beyond its bounds, is refused: gymnasium would flatten the choice -1 like the last one, and any three numbers like
    the three that were promised.

    Raises ValueError where an observation is not of its space.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return _box_numbers(space, observation)
    if isinstance(space, spaces.Dict):
        _check_part(isinstance(observation, Mapping) and set(observation) == set(space.spaces), space, observation)
        return np.concatenate([np.asarray(flatten(part, observation[key])) for key, part in space.spaces.items()])
    if isinstance(space, spaces.Tuple):
        _check_part(isinstance(observation, (tuple, list)) and len(observation) == len(space), space, observation)
        return np.concatenate([np.asarray(flatten(*pair)) for pair in zip(space.spaces, observation, strict=True)])
    _check_part(space.contains(_plain(observation)), space, observation)
    return spaces.flatten(space, _plain(observation))


def _box_numbers(space: Any, observation: Any) -> Any:
    """[R] numbers in whatever shape of as many axes longer than 1; anything else as it is, which is refused later."""
    numbers = np.asarray(observation)
    _check_part(np.squeeze(numbers).shape == tuple(n for n in space.shape if n != 1), space, observation)
    return numbers.ravel()


def _plain(observation: Any) -> Any:
    """A choice as gymnasium wants it: some environments show an array of one number."""
    numbers = np.asarray(observation)
    return (
        numbers.reshape(()).astype(np.int64)[()] if numbers.size == 1 and numbers.dtype.kind in "bui" else observation
    )


def _check_part(condition: bool, space: Any, observation: Any) -> None:
    if not condition:
        raise ValueError(f"{quote(observation)} is not of the space {space}")
