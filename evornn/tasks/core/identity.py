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
from evornn.tasks.core.lazy import Lazy, in_portions
from evornn.tasks.core.task import ControlEpisodes, Data, GeneralizationTest, Sequences, Split
from evornn.tasks.core.world import World

DIGEST_BYTES = 16
CHART_PARTS = "times", "truth", "history", "unit", "transform", "targets"  # as measured: statistics may differ in a bit
NOT_NUMBERS = "plant", "fitness", "generalization"  # fields of ControlEpisodes that have parts of their own


def data_digest(data: Data) -> str:
    """32 hexadecimal digits: the three splits, as networks see them, the loss, the task's own score, and the measured
    series of a forecast. Series in other units, or of other dates, may be equal once they are scaled."""
    hash = blake2b(digest_size=DIGEST_BYTES)
    for split in data.splits:
        for part in _parts(split):
            _update(hash, part)
    for part in (data.loss, data.score and data.score.name, data.score and data.score.threshold):
        _update(hash, part)
    for part in _chart_parts(data):
        _update(hash, part)
    return hash.hexdigest()


def _chart_parts(data: Data) -> list[Any]:
    """Nothing where there is no chart, so that other tasks keep their digests."""
    return [] if data.chart is None else [*(getattr(data.chart, name) for name in CHART_PARTS), data.labels]


def _parts(split: Split) -> list[Any]:
    """What decides losses on a split."""
    if isinstance(split, Sequences):
        return [split.inputs, split.targets, split.mask]
    if isinstance(split, ControlEpisodes):
        plant = split.plant
        constants = as_dict(plant) if is_dataclass(plant) else repr(plant)
        numbers = [getattr(split, field.name) for field in fields(split) if field.name not in NOT_NUMBERS]
        plant_parts = [type(plant).__qualname__, constants, plant.initial_states()]
        return [*plant_parts, split.fitness.__qualname__, *numbers, *_test_parts(split.generalization)]
    return [_world_parts(split.world), split.seeds, split.steps, split.default_batch_size]


def _test_parts(test: GeneralizationTest | None) -> list[Any]:
    """Nothing where there is no second test, so that other tasks keep their digests."""
    return [] if test is None else [test.required, *_parts(test.episodes)]


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
    elif isinstance(part, np.ndarray | Lazy):
        part = part if isinstance(part, Lazy) else np.ascontiguousarray(part)
        hash.update(f"{part.dtype.str}{part.shape}".encode())
        for array in map(np.ascontiguousarray, in_portions(part)):
            hash.update(array.data if array.size else b"")
    else:
        hash.update(f"{type(part).__name__}:{part!r};".encode())
