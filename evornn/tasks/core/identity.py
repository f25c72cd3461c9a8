"""The identity of a task's data: a digest of what networks see and are judged by.

A spec names its data (a file, an environment, code of your own), it doesn't contain it. Two runs belong together only
where the digests are equal, whatever the names say.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from evornn.settings import as_dict
from evornn.tasks.core.task import ControlEpisodes, Data, Sequences, Split
from evornn.tasks.core.world import World

DIGEST_BYTES = 16


def data_digest(data: Data) -> str:
    """32 hexadecimal digits: the three splits, as networks see them, the loss and the task's own score."""
    hash = blake2b(digest_size=DIGEST_BYTES)
    for split in data.splits:
        for part in _parts(split):
            _update(hash, part)
    for part in (data.loss, data.score and data.score.name, data.score and data.score.threshold):
        _update(hash, part)
    return hash.hexdigest()


def _parts(split: Split) -> list[Any]:
    """What decides losses on a split."""
    if isinstance(split, Sequences):
        return [split.inputs, split.targets, split.mask]
    if isinstance(split, ControlEpisodes):
        plant = split.plant
        constants = as_dict(plant) if is_dataclass(plant) else repr(plant)
        numbers = [getattr(split, field.name) for field in fields(split) if field.name not in ("plant", "fitness")]
        return [type(plant).__qualname__, constants, plant.initial_states(), split.fitness.__qualname__, *numbers]
    return [_world_parts(split.world), split.seeds, split.steps, split.default_batch_size]


def _world_parts(world: World) -> list[Any]:
    """Its class and its plain values; what it shows is scaled by arrays that random episodes have given it."""
    values = sorted((name, value) for name, value in vars(world).items() if _is_plain(value))
    return [type(world).__qualname__, *values]


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | dict | list | tuple | np.ndarray | None)


def _update(hash: Any, part: Any) -> None:
    """Arrays by shape, type and bytes; the rest by its text."""
    if isinstance(part, list | tuple):
        hash.update(b"[%d" % len(part))
        for one in part:
            _update(hash, one)
    elif isinstance(part, np.ndarray):
        array = np.ascontiguousarray(part)
        hash.update(f"{array.dtype.str}{array.shape}".encode())
        hash.update(array.data if array.size else b"")
    else:
        hash.update(f"{type(part).__name__}:{part!r};".encode())
