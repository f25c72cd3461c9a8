"""Who sits where in a kernel's rows [vectors, lanes]: sequences and members into lanes, and out of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Floats
from evornn.kernels.examples import Examples
from evornn.kernels.simd.vector import LANES

Across: TypeAlias = Literal["batch", "members"]
VECTORS = 2  # per row
SMALL_BATCH = 7  # up to so many sequences, lanes run across the members


@dataclass(frozen=True)
class Seats:
    """Lanes run across the batch, 16 sequences of a member, or across 16 members with one sequence: such a vector is a
    block. The second vector of a row holds another block of the same members (`apart`), or other members where there is
    one block only. All that follows from the number of sequences alone, not from how many members there are."""

    across: Across
    blocks: int
    apart: bool

    @staticmethod
    @cache
    def of(batch: int) -> Seats:
        across: Across = "members" if batch <= SMALL_BATCH else "batch"
        blocks = batch if across == "members" else -(-batch // LANES)
        apart = blocks > 1
        return Seats(across, -(-blocks // VECTORS) * VECTORS if apart else blocks, apart)

    @property
    def sequences(self) -> int:
        """Seats for sequences; those of a small batch's last vector may stay empty."""
        return self.blocks * (LANES if self.across == "batch" else 1)

    @property
    def width(self) -> int:
        """Members in a vector."""
        return LANES if self.across == "members" else 1

    @property
    def members(self) -> int:
        """Members that are computed together."""
        return self.width * (1 if self.apart else VECTORS)

    def shape(self, population: int) -> tuple[int, int]:
        """(groups of members, rounds of blocks)."""
        return -(-population // self.members), self.blocks // (VECTORS if self.apart else 1)

    def out(self, values: Floats, population: int, batch: int) -> Floats:
        """[groups, rounds, …, vectors, lanes] → [P, B, …]."""
        rest = values.shape[2:-2]
        moved = values.transpose(self._order(values.ndim)).reshape(-1, self.sequences, *rest)
        return np.ascontiguousarray(moved[:population, :batch])

    def into(self, values: Floats) -> Floats:
        """[P, B, size] → [groups, rounds, size, vectors, lanes]; the last member and sequence fill what is left."""
        population, batch, size = values.shape
        groups, rounds = self.shape(population)
        members = np.minimum(np.arange(groups * self.members), population - 1)
        full = values[members][:, np.minimum(np.arange(self.sequences), batch - 1)]
        order, shape = self._order(5), (groups, rounds, size, VECTORS, LANES)
        seated: Floats = full.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
        return seated

    def _order(self, axes: int) -> list[int]:
        """The axes of members, of sequences, and the others."""
        members, sequences = [0], [1]
        (sequences if self.apart else members).append(axes - 2)
        (members if self.across == "members" else sequences).append(axes - 1)
        return [*members, *sequences, *range(2, axes - 2)]


class Seated(Examples):
    """Examples as the kernels want them: numpy's arrays, and NaN, which no function swallows, for ±∞ in the inputs."""

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor, mask: Tensor) -> Self:
        x, y, m = inputs.numpy(), targets.numpy(), mask.numpy()
        finite = np.isfinite(x)
        x, y = x if finite.all() else np.where(finite, x, np.float32(np.nan)), np.where(m[..., None], y, np.float32(0))
        return cls(x, y, m)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        x, y, m = (torch.from_numpy(values) for values in self.arrays)
        return x, y, m

    @cached_property
    def data(self) -> Data:
        """All of them in their seats; the last sequence fills those that are left, without counting."""
        seats, batch = Seats.of(len(self)), len(self)
        x, y, m = self.arrays
        weights = m[..., None].astype(np.float32)
        if seats.sequences > batch:
            rows = np.minimum(np.arange(seats.sequences), batch - 1)
            x, y, weights = x[rows], y[rows], weights[rows]
            weights[batch:] = 0
        flat = np.ravel if seats.across == "members" else in_lanes
        return Data(flat(x), flat(y), flat(weights), seats, x.shape[1], float(self.count))


@dataclass(frozen=True)
class Data:
    """Examples in their seats: X [blocks, T, I, lanes], Y [blocks, T, O, lanes], M [blocks, T, lanes], flat. Across the
    members a block is one sequence, without lanes."""

    X: Floats
    Y: Floats
    M: Floats
    seats: Seats
    steps: int
    count: float  # steps that count


def in_lanes(values: Floats) -> Floats:
    """[blocks·16, T, size] → [blocks, T, size, 16], flat."""
    rows, steps, size = values.shape
    return np.ascontiguousarray(values.reshape(rows // LANES, LANES, steps, size).transpose(0, 2, 3, 1)).ravel()
