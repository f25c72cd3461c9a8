"""Which sequence and member is in which lane of a row [vectors, 16]: into lanes, and out of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Batch, Floats, Series
from evornn.errors import EvornnError
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.streaming import Streamed

VECTORS = 2  # in a row: two computations hide each other's latencies, and weights are read once for both
SMALL_BATCH = 7  # the most sequences for which lanes run across the members
STREAMED_NUMBERS = 2**23  # in the rounds that are laid out at a time, where not all are: 32 MiB
MANY_OUTPUTS = 512  # from here on a row is one vector, so that two threads can share the sequences of one member


@dataclass(frozen=True, eq=False)  # one for each shape (`of`), so that it is its own key
class LaneLayout:
    """Lanes run across the batch (16 sequences of a member), or (`wide`) across 16 members with one sequence: such a
    vector is a block. Further vectors of a row hold further blocks of the same members (`same_members`), or other
    members where there is only one block. This follows from the network's shape and the number of sequences alone, not
    from the number of members.

    With two vectors, one letter per member and a number per sequence, 40 sequences: 3 blocks, filled up to 4, in 2
    rounds

        round 0   vector 0: a0 … a15    vector 1: a16 … a31
        round 1   vector 0: a32 … a47   vector 1: a48 … a63

    and 10 sequences, one block: vector 0: a0 … a15, vector 1: b0 … b15. Wide, 3 sequences: 3 blocks, filled up to 4

        round 0   vector 0: a0 b0 … p0   vector 1: a1 b1 … p1
        round 1   vector 0: a2 b2 … p2   vector 1: a3 b3 … p3
    """

    wide: bool
    blocks: int
    same_members: bool
    vectors: int

    @staticmethod
    @cache
    def for_batch(batch: int, outputs: int = 1) -> LaneLayout:
        """The layout for a number of sequences (B) and outputs (O)."""
        wide, vectors = batch <= SMALL_BATCH, 1 if outputs >= MANY_OUTPUTS else VECTORS
        blocks = batch if wide else -(-batch // LANES)
        same_members = blocks > 1 or vectors == 1
        # same members: as many blocks as fill whole rows, the last ones with copies of the last sequence
        return LaneLayout(wide, -(-blocks // vectors) * vectors if same_members else blocks, same_members, vectors)

    @cached_property
    def sequences(self) -> int:
        """Places for sequences; those after the last sequence repeat it."""
        return self.blocks * (1 if self.wide else LANES)

    @cached_property
    def members(self) -> int:
        """Members that are computed together: a group."""
        return (LANES if self.wide else 1) * (1 if self.same_members else self.vectors)

    @cached_property
    def rounds(self) -> int:
        """Rows that it takes for all sequences of a group."""
        return self.blocks // self.vectors if self.same_members else self.blocks

    @cached_property
    def row(self) -> int:
        """Floats of a row."""
        return self.vectors * LANES

    def shape(self, population: int) -> tuple[int, int]:
        """(groups of members, rounds of blocks)."""
        return -(-population // self.members), self.rounds

    def from_lanes(self, values: Floats, population: int, batch: int) -> Floats:
        """Values out of their lanes.

        Args:
            values: [groups, rounds, …, vectors, lanes].
            population: P.
            batch: B.

        Returns:
            [P, B, …].
        """
        rest = values.shape[2:-2]
        flat = values.transpose(self._order(values.ndim)).reshape(-1, self.sequences, *rest)
        return np.ascontiguousarray(flat[:population, :batch])

    def to_lanes(self, values: Floats, repeat: bool = True) -> Floats:
        """[P, B, …, size] → [groups, rounds, …, size, vectors, lanes]. Lanes that are left repeat the last member and
        sequence, or are 0."""
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
        lanes: Floats = full.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
        return lanes

    def _order(self, axes: int) -> list[int]:
        """The axes of lanes' arrays in the order members, sequences, others: [groups, rounds, …, vectors, lanes]."""
        members, sequences = [0], [1]
        # vectors hold further sequences or members, lanes likewise
        (sequences if self.same_members else members).append(axes - 2)
        (members if self.wide else sequences).append(axes - 1)
        return [*members, *sequences, *range(2, axes - 2)]


@dataclass(frozen=True)
class LaneExamples:
    """Examples in the form that kernels take: `records` [B, T, I + O + 1] hold inputs (one number for class indices),
    targets (likewise) and 1 where a step counts, so that a mini-batch is one selection of rows. NaN, which no function
    swallows, stands for ±∞ in the inputs."""

    records: Floats
    width: int  # numbers of an input
    class_inputs: bool  # inputs are class indices
    class_targets: bool  # targets are class indices

    @classmethod
    def from_tensors(cls, inputs: Tensor, targets: Tensor, mask: Tensor) -> Self:
        """Targets that don't count may have any value.

        Args:
            inputs: [B, T, I] or class indices [B, T].
            targets: [B, T, O] or class indices [B, T].
            mask: [B, T] True where a step counts.
        """
        x, y, m = (v.numpy()[..., None] if v.ndim == 2 else v.numpy() for v in (inputs, targets, mask))
        records = np.empty((*m.shape[:2], x.shape[2] + y.shape[2] + 1), np.float32)
        records[..., : x.shape[2]], records[..., x.shape[2] : -1], records[..., -1:] = x, y, m
        features = records[..., : x.shape[2]]
        if not np.isfinite(features).all():
            features[~np.isfinite(features)] = np.nan
        records[..., x.shape[2] : -1][~m[..., 0]] = 0
        return cls(records, x.shape[2], inputs.ndim == 2, targets.ndim == 2)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def inputs(self) -> Any:
        """[B, T, I], or class indices [B, T]."""
        x = self.records[..., : self.width]
        return x[..., 0].astype(np.int64) if self.class_inputs else x

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and mask."""
        y = self.records[..., self.width : -1]
        y = y[..., 0].astype(np.int64) if self.class_targets else np.ascontiguousarray(y)
        x, m = np.ascontiguousarray(self.inputs), self.records[..., -1] > 0
        return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(m)

    @cached_property
    def count(self) -> int:
        """The number of steps that count."""
        return int(np.count_nonzero(self.records[..., -1]))

    def take(self, rows: Batch) -> Self:
        """Some of the sequences. Raises EvornnError if none of their steps counts."""
        examples = self._replace(self.records[rows])
        if not examples.count:
            raise EvornnError(
                "no step of a mini-batch counts: use larger batches, or sequences whose mask is not empty"
            )
        return examples

    def slice_time(self, steps: slice) -> Self:
        """Some of the time steps."""
        return self._replace(self.records[:, steps])

    def add_to_inputs(self, values: Series) -> Self:
        """The same with [B, T, I] added to the inputs."""
        records = self.records.copy()
        records[..., : self.width] += values
        return self._replace(records)

    def with_dropout(self, factors: Series, width: int) -> Self:
        """The same with factors [B, T, D] of the outputs of all layers but the last (`Layout.dropout_width`), which
        travel behind the `width` inputs; class indices therefore become one-hot vectors."""
        inputs, rest = np.split(self.records, [self.width], axis=2)
        if self.class_inputs:
            inputs = np.eye(width, dtype=np.float32)[self.inputs]
        records = np.concatenate([inputs, factors, rest], axis=2)
        return type(self)(records, width + factors.shape[2], False, self.class_targets)

    def _replace(self, records: Floats) -> Self:
        return type(self)(records, self.width, self.class_inputs, self.class_targets)

    def to_dense(self, outputs: int) -> LaneExamples:
        """The same with targets [B, T, O], one-hot for class indices."""
        if not self.class_targets:
            return self
        x, y, m = self.tensors
        return LaneExamples.from_tensors(x, torch.nn.functional.one_hot(y, outputs), m)

    def data(self, outputs: int) -> LaneData:
        """All sequences in their lanes; lanes that are left repeat the last one, without counting."""
        return self._data if outputs < MANY_OUTPUTS else self._data_in_single_vectors

    @cached_property
    def _data(self) -> LaneData:
        return self.in_lanes(LaneLayout.for_batch(len(self)))

    @cached_property
    def _data_in_single_vectors(self) -> LaneData:
        return self.in_lanes(LaneLayout.for_batch(len(self), MANY_OUTPUTS))

    def in_lanes(self, lanes: LaneLayout) -> LaneData:
        """All sequences in the lanes of a layout."""
        numbers, (steps, size) = self.lay_out(lanes, lanes.sequences), self.records.shape[1:]
        return LaneData(
            numbers, lanes, steps, size, float(self.count), self.class_targets, self.class_inputs, self.width
        )

    def lay_out(self, lanes: LaneLayout, places: int) -> Floats:
        """[blocks, T, I + O + 1, lanes] the sequences in so many places of a layout; see `LaneData`."""
        numbers, (batch, steps, size) = self.records, self.records.shape
        if places > batch:
            numbers = numbers[np.minimum(np.arange(places), batch - 1)]
            numbers[batch:, :, -1] = 0
        if not lanes.wide:
            numbers = numbers.reshape(places // LANES, LANES, steps, size).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(numbers)


@dataclass(frozen=True)
class LaneData:
    """Examples in their lanes: `numbers` [blocks, T, I + O + 1, lanes]. If lanes run across members, a block is one
    sequence without lanes."""

    numbers: Floats
    lanes: LaneLayout
    steps: int
    size: int  # numbers of a step
    count: float  # steps that count
    class_targets: bool
    class_inputs: bool
    width: int  # numbers of an input; more than the network has: with the factors of dropout

    @cached_property
    def address(self) -> int:
        """The address of the numbers."""
        return address_of(self.numbers)

    @property
    def is_streamed(self) -> bool:
        """Whether rounds are laid out when they are computed."""
        return False

    def portions(self) -> Iterator[tuple[range, int]]:
        """Rounds whose numbers are in memory together, and the address that those of round 0 have, or would have."""
        yield range(self.lanes.rounds), self.address

    @cached_property
    def weight_bits(self) -> int:
        """The bits of 1 / count as a float32: the weight of a step in the mean loss."""
        return int(np.array(1 / self.count, np.float32).view(np.int32))


@dataclass(frozen=True)
class StreamedLanes(Streamed):
    """Streamed examples in the form that kernels take."""

    def data(self, outputs: int) -> LaneData:
        """All sequences in their lanes, laid out when they are computed; few sequences at once."""
        lanes = LaneLayout.for_batch(self.batch, outputs)
        if not lanes.same_members or lanes.wide:  # there is one round, or next to none
            data: LaneData = self.whole().data(outputs)
            return data
        first, nothing = self.make(np.arange(1)), np.zeros(0, np.float32)
        return StreamedLaneData(
            nothing, lanes, self.steps, first.records.shape[2], float(self.count), first.class_targets,
            first.class_inputs, first.width, self.make, self.batch,
        )  # fmt: skip


@dataclass(frozen=True)
class StreamedLaneData(LaneData):
    """Examples in their lanes, of which a few rounds at a time are in memory."""

    make: Callable[[Batch], LaneExamples]
    batch: int

    @property
    def is_streamed(self) -> bool:
        return True

    def whole(self) -> LaneData:
        """All of them, laid out."""
        return self.make(np.arange(self.batch)).in_lanes(self.lanes)

    def portions(self) -> Iterator[tuple[range, int]]:
        places = self.lanes.vectors * LANES  # sequences of a round
        together = max(1, STREAMED_NUMBERS // (places * self.steps * self.size))
        for begin in range(0, self.lanes.rounds, together):
            rounds = range(begin, min(begin + together, self.lanes.rounds))
            examples = self.make(np.arange(begin * places, min(rounds.stop * places, self.batch)))
            numbers = examples.lay_out(self.lanes, len(rounds) * places)
            yield rounds, address_of(numbers) - begin * numbers.nbytes // len(rounds)


def address_of(array: Any) -> int:
    """The address of a contiguous numpy array's numbers; numpy's own way takes four times as long."""
    if array.flags.writeable and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    address: int = array.__array_interface__["data"][0]
    return address
