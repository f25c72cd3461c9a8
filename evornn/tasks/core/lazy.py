"""Arrays of sequences that are made when they are asked for, so that a few of them are in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int64]
PORTION = 2**22  # numbers that are made at a time: 16 MiB in single precision


def portions(count: int, numbers: int) -> Iterator[slice]:
    """Slices of a number of sequences, each of which takes so many numbers, in order."""
    size = max(1, PORTION // max(numbers, 1))
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))


@dataclass(frozen=True)
class Lazy:
    """An array [B, T, …] of which nothing is kept. An index gives an array of what it names, as numpy's does, and makes
    only the sequences that it needs; `numpy.asarray` makes all.

    >>> squares = Lazy((4, 2), np.dtype(float), lambda rows: np.stack([rows, rows**2], axis=1) * 1.0)
    >>> squares[2:, 1]
    array([4., 9.])
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    make: Callable[[Rows], NDArray[Any]]  # numbers of sequences [K] → [K, T, …]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that all of it would take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.make(np.arange(len(self))).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis:
            first, rest = slice(None), [slice(None)] * (self.ndim - 1 - len(rest)) + rest
        if isinstance(first, Lazy) or np.ndim(first) > 1:  # a mask [B, T]
            return self._join(np.arange(len(self)), lambda part, rows: part[first[rows]])
        rows = self._numbers(first)
        if not rows.ndim:
            return self.make(rows[None])[(0, *rest)]
        if any(isinstance(index, np.ndarray) for index in rest):  # pairs of a sequence and a step
            made, places = np.unique(rows, return_inverse=True)
            return self.make(made)[(places, *rest)]
        return self._join(rows, lambda part, _: part[(slice(None), *rest)])

    def _numbers(self, index: Any) -> Rows:
        """The sequences that an index names; where they are many, not all are counted for a few."""
        if isinstance(index, np.ndarray) and index.dtype.kind == "i":
            return np.asarray(np.where(index < 0, index + len(self), index), np.int64)
        if isinstance(index, slice):
            return np.arange(*index.indices(len(self)))
        return np.asarray(np.arange(len(self))[index], np.int64)

    def _join(self, rows: Rows, choose: Callable[[NDArray[Any], Rows], Any]) -> NDArray[Any]:
        """What is chosen of sequences that are made portion by portion."""
        cuts = list(portions(len(rows), math.prod(self.shape[1:]))) or [slice(0, 0)]
        return np.concatenate([choose(self.make(rows[cut]), rows[cut]) for cut in cuts])


def in_portions(values: NDArray[Any] | Lazy) -> Iterator[NDArray[Any]]:
    """All sequences in order, so many at a time as memory bears; an array is one portion."""
    if isinstance(values, np.ndarray):
        yield values
        return
    for cut in portions(len(values), math.prod(values.shape[1:])):
        yield values[cut]
