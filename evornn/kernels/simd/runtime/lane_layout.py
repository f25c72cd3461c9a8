"""Which sequence and member is in which lane of a row [vectors, 16]: into lanes, and out of them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Batch, Floats
from evornn.errors import EvornnError
from evornn.kernels.simd.interpreter.vector import LANES

VECTORS = 2  # in a row: two computations hide each other's latencies, and weights are read once for both
SMALL_BATCH = 7  # up to so many sequences, lanes run across the members
MANY_OUTPUTS = 512  # from so many on a row is one vector: so two threads can share the sequences of one member


@dataclass(frozen=True, eq=False)  # one for each shape (`of`), so that it is its own key
class LaneLayout:
    """Lanes run across the batch, 16 sequences of a member, or (`wide`) across 16 members with one sequence: such a
    vector is a block. Further vectors of a row hold further blocks of the same members (`apart`), or other members
    where there is one block only. All that follows from a network's shape and the number of sequences alone, not from
    how many members there are."""

    wide: bool
    blocks: int
    apart: bool
    vectors: int

    @staticmethod
    @cache
    def of(batch: int, outputs: int = 1) -> LaneLayout:
        wide, vectors = batch <= SMALL_BATCH, 1 if outputs >= MANY_OUTPUTS else VECTORS
        blocks = batch if wide else -(-batch // LANES)
        apart = blocks > 1 or vectors == 1
        return LaneLayout(wide, -(-blocks // vectors) * vectors if apart else blocks, apart, vectors)

    @property
    def sequences(self) -> int:
        """Places for sequences; those of a small batch's last vector may stay empty."""
        return self.blocks * (1 if self.wide else LANES)

    @property
    def members(self) -> int:
        """Members that are computed together."""
        return (LANES if self.wide else 1) * (1 if self.apart else self.vectors)

    @property
    def rounds(self) -> int:
        return self.blocks // self.vectors if self.apart else self.blocks

    @property
    def row(self) -> int:
        """Floats."""
        return self.vectors * LANES

    def shape(self, population: int) -> tuple[int, int]:
        """(groups of members, rounds of blocks)."""
        return -(-population // self.members), self.rounds

    def out(self, values: Floats, population: int, batch: int) -> Floats:
        """[groups, rounds, …, vectors, lanes] → [P, B, …]."""
        rest = values.shape[2:-2]
        moved = values.transpose(self._order(values.ndim)).reshape(-1, self.sequences, *rest)
        return np.ascontiguousarray(moved[:population, :batch])

    def into(self, values: Floats, repeat: bool = True) -> Floats:
        """[P, B, …, size] → [groups, rounds, …, size, vectors, lanes]; the last member and sequence fill what is left,
        or zeros."""
        population, batch = values.shape[:2]
        groups, rounds = self.shape(population)
        if repeat:
            members = np.minimum(np.arange(groups * self.members), population - 1)
            full = values[members][:, np.minimum(np.arange(self.sequences), batch - 1)]
        else:
            full = np.zeros((groups * self.members, self.sequences, *values.shape[2:]), np.float32)
            full[:population, :batch] = values
        shape = (groups, rounds, *values.shape[2:], self.vectors, LANES)
        order = self._order(len(shape))
        seated: Floats = full.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
        return seated

    def _order(self, axes: int) -> list[int]:
        """The axes of members, of sequences, and the others."""
        members, sequences = [0], [1]
        (sequences if self.apart else members).append(axes - 2)
        (members if self.wide else sequences).append(axes - 1)
        return [*members, *sequences, *range(2, axes - 2)]


@dataclass(frozen=True)
class LaneExamples:
    """Examples as the kernels want them: `joined` [B, T, I + O + 1] holds inputs (one number, where they are classes),
    targets (likewise) and 1 where a step counts, so that a mini-batch is one selection of rows. NaN, which no function
    swallows, stands for ±∞ in the inputs."""

    joined: Floats
    width: int  # numbers of an input
    looked_up: bool  # inputs are class numbers
    classes: bool  # targets are class numbers

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor, mask: Tensor) -> Self:
        """[B, T, I] or classes [B, T]; [B, T, O] or classes [B, T]; [B, T]. What doesn't count may be anything."""
        x, y, m = (v.numpy()[..., None] if v.ndim == 2 else v.numpy() for v in (inputs, targets, mask))
        joined = np.empty((*m.shape[:2], x.shape[2] + y.shape[2] + 1), np.float32)
        joined[..., : x.shape[2]], joined[..., x.shape[2] : -1], joined[..., -1:] = x, y, m
        found = joined[..., : x.shape[2]]
        if not np.isfinite(found).all():
            found[~np.isfinite(found)] = np.nan
        joined[..., x.shape[2] : -1][~m[..., 0]] = 0
        return cls(joined, x.shape[2], inputs.ndim == 2, targets.ndim == 2)

    def __len__(self) -> int:
        return len(self.joined)

    @property
    def inputs(self) -> Any:
        x = self.joined[..., : self.width]
        return x[..., 0].astype(np.int64) if self.looked_up else x

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and mask."""
        y = self.joined[..., self.width : -1]
        y = y[..., 0].astype(np.int64) if self.classes else np.ascontiguousarray(y)
        x, m = np.ascontiguousarray(self.inputs), self.joined[..., -1] > 0
        return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(m)

    @cached_property
    def count(self) -> int:
        """Steps that count."""
        return int(np.count_nonzero(self.joined[..., -1]))

    def take(self, rows: Batch) -> Self:
        """Some of the sequences. Raises EvornnError where none of their steps counts."""
        found = self._with(self.joined[rows])
        if not found.count:
            raise EvornnError("no step of a batch counts: take larger batches, or sequences without such an empty mask")
        return found

    def during(self, steps: slice) -> Self:
        """Some of the time steps."""
        return self._with(self.joined[:, steps])

    def _with(self, joined: Floats) -> Self:
        return type(self)(joined, self.width, self.looked_up, self.classes)

    def dense(self, outputs: int) -> LaneExamples:
        """The same with targets [B, T, O], one-hot for class numbers."""
        if not self.classes:
            return self
        x, y, m = self.tensors
        return LaneExamples.of(x, torch.nn.functional.one_hot(y, outputs), m)

    def data(self, outputs: int) -> Data:
        """All of them in their lanes; the last sequence fills those that are left, without counting."""
        return self._data if outputs < MANY_OUTPUTS else self._data_in_single_vectors

    @cached_property
    def _data(self) -> Data:
        return self._laid_out(LaneLayout.of(len(self)))

    @cached_property
    def _data_in_single_vectors(self) -> Data:
        return self._laid_out(LaneLayout.of(len(self), MANY_OUTPUTS))

    def _laid_out(self, lanes: LaneLayout) -> Data:
        numbers, (batch, steps, size) = self.joined, self.joined.shape
        if lanes.sequences > batch:
            numbers = numbers[np.minimum(np.arange(lanes.sequences), batch - 1)]
            numbers[batch:, :, -1] = 0
        if not lanes.wide:
            numbers = numbers.reshape(lanes.blocks, LANES, steps, size).transpose(0, 2, 3, 1)
        return Data(np.ascontiguousarray(numbers), lanes, steps, size, float(self.count), self.classes, self.looked_up)


@dataclass(frozen=True)
class Data:
    """Examples in their lanes: `numbers` [blocks, T, I + O + 1, lanes]. Across the members a block is one sequence,
    without lanes."""

    numbers: Floats
    lanes: LaneLayout
    steps: int
    size: int  # numbers of a step
    count: float  # steps that count
    classes: bool
    looked_up: bool

    @cached_property
    def address(self) -> int:
        return address_of(self.numbers)


def address_of(array: Any) -> int:
    """Where a contiguous numpy array's numbers are; numpy itself takes four times as long to say so."""
    if array.flags.writeable and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    place: int = array.__array_interface__["data"][0]
    return place
