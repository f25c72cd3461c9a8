"""Sequences that are cut from rows which are kept once: windows of a series, recordings, pieces of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Mask, Series
from evornn.tasks.core.lazy import Lazy, Rows
from evornn.tasks.core.task import Sequences

KEPT_BYTES = 256 * 2**20  # sequences that take less are cut once and kept; others are cut whenever they are asked for


@dataclass(frozen=True)
class Cutter:
    """Where sequences lie in rows. Rows of a sequence follow one another in `order`; what follows its end is padding.

    >>> rows = np.arange(12, dtype=np.float32)[:, None]
    >>> cutter = Cutter(rows, rows, np.ones(12, bool), begins=np.array([0, 4]), lengths=np.array([3, 3]), steps=3)
    >>> cutter.sequences().inputs[1, :, 0]
    array([4., 5., 6.], dtype=float32)
    """

    inputs: NDArray[Any]  # [N, I], or [N] the places of ones
    targets: NDArray[Any]  # [N, O], or [N] the places of ones
    counted: Mask  # [N] whether a row counts in the loss; targets of others may be anything
    begins: Rows  # [B]
    lengths: Rows  # [B]
    steps: int  # T
    order: Rows | None = None  # the rows' numbers in the order of sequences; None: they are in order
    skipped: Rows | int = 0  # [B] first steps of a sequence that don't count
    fresh: Sequence[int] = ()  # inputs that are 0 at the first step of a sequence: they would tell of the row before
    widths: tuple[int, int] = (0, 0)  # I and O where places of ones are given
    is_categorical: bool = False  # see `Sequences`

    def sequences(self, keep: bool = True) -> Sequences:
        """All of them; where they would take more than 256 MiB, or are not to be kept, they are cut when asked for."""
        shape, (inputs, outputs) = (len(self.begins), self.steps), self._widths()
        numbers = np.dtype(np.float32)
        lazy = Sequences(
            Lazy((*shape, inputs), numbers, self.cut_inputs),  # type: ignore[arg-type]  # both are indexed alike
            Lazy((*shape, outputs), numbers, self.cut_targets),  # type: ignore[arg-type]
            Lazy(shape, np.dtype(np.bool_), self.cut_mask),  # type: ignore[arg-type]
            self.is_categorical,
        )
        return lazy if lazy.nbytes > KEPT_BYTES or not keep else lazy.take(np.arange(len(lazy)))

    def cut_inputs(self, numbers: Rows) -> Series:
        """[K, T, I] those of some sequences."""
        rows, inside = self._places(numbers)
        inputs = _gather(self.inputs, rows, inside, self.widths[0])
        if len(self.fresh):
            inputs[:, :1, self.fresh] = 0.0
        return inputs

    def cut_targets(self, numbers: Rows) -> Series:
        """[K, T, O] those of some sequences, 0 where the mask is False."""
        rows, _ = self._places(numbers)
        return _gather(self.targets, rows, self.cut_mask(numbers), self.widths[1])

    def cut_mask(self, numbers: Rows) -> Mask:
        """[K, T] that of some sequences."""
        rows, inside = self._places(numbers)
        skipped = np.broadcast_to(self.skipped, len(self.begins))[numbers]
        mask: Mask = inside & (np.arange(self.steps) >= skipped[:, None]) & self.counted[rows]
        return mask

    def _places(self, numbers: Rows) -> tuple[Rows, Mask]:
        """[K, T] the row of each step, and whether it is one; the others are any row."""
        steps, lengths = np.arange(self.steps), self.lengths[numbers, None]
        rows = self.begins[numbers, None] + np.minimum(steps, lengths - 1)
        return rows if self.order is None else self.order[rows], steps < lengths

    def _widths(self) -> tuple[int, int]:
        """I and O."""
        one, other = (
            width if values.ndim == 1 else values.shape[1]
            for values, width in zip((self.inputs, self.targets), self.widths, strict=True)
        )
        return one, other


def _gather(values: NDArray[Any], rows: Rows, kept: Mask, width: int) -> Series:
    """[K, T, width] values of rows, 0 where they are not kept."""
    if values.ndim == 1:
        places: Series = np.zeros((*rows.shape, width), np.float32)
        places[(*np.nonzero(kept), values[rows[kept]])] = 1.0
        return places
    taken: Series = values[rows].astype(np.float32, copy=False)
    if not kept.all():
        taken[~kept] = 0.0
    return taken
