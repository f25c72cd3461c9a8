"""Sequences that an evaluator is given a part at a time, with the same bits as all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from torch import Tensor

from evornn.arrays import Batch
from evornn.errors import EvornnError


@dataclass(frozen=True)
class Streamed:
    """B sequences of T steps of which nothing is kept, with the interface of `Examples`. Losses, gradients and sums for
    a read-out need a part at a time; what needs all at once, such as the loss of a user's own function, makes them."""

    make: Callable[[Batch], Any]  # numbers of sequences [K] → their examples
    batch: int  # B
    steps: int  # T
    count: int  # steps that count

    def __len__(self) -> int:
        return self.batch

    def take(self, rows: Batch) -> Any:
        """Some of the sequences, made. Raises EvornnError if none of their steps counts."""
        examples = self.make(rows)
        if not examples.count:
            raise EvornnError(
                "no step of a mini-batch counts: use larger batches, or sequences whose mask is not empty"
            )
        return examples

    def whole(self) -> Any:
        """All sequences, made."""
        return self.make(np.arange(self.batch))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and mask of all, made."""
        tensors: tuple[Tensor, Tensor, Tensor] = self.whole().tensors
        return tensors

    @property
    def inputs(self) -> Any:
        """Those of all, made."""
        return self.whole().inputs

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """Inputs, targets and mask, of which a slice of the sequences is made when it's asked for."""
        return StreamedPart(self, 0), StreamedPart(self, 1), StreamedPart(self, 2)

    def slice_time(self, steps: slice) -> Any:
        """Some of the time steps of all, made."""
        return self.whole().slice_time(steps)

    def to_dense(self, outputs: int) -> Self:
        """The same with targets [B, T, O], one-hot for class indices."""
        return replace(self, make=lambda rows: self.make(rows).to_dense(outputs))


@dataclass(frozen=True)
class StreamedPart:
    """Inputs, targets or mask of streamed examples."""

    examples: Streamed
    which: int

    def __len__(self) -> int:
        return self.examples.batch

    @property
    def shape(self) -> tuple[int, int]:
        """B, T."""
        return self.examples.batch, self.examples.steps

    def __getitem__(self, rows: slice) -> Any:
        return self.examples.make(np.arange(len(self))[rows]).tensors[self.which]
