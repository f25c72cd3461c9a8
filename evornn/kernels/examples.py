"""Sequences that a network is evaluated on, prepared once for all evaluations; a mini-batch is a selection of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from evornn.arrays import Batch, Series
from evornn.errors import EvornnError


@dataclass(frozen=True)
class Examples:
    """B sequences of T steps in the form that an evaluator takes: torch tensors on its device, in its precision."""

    inputs: Any  # [B, T, I]
    targets: Any  # [B, T, O] or class indices [B, T], 0 where the mask is False
    mask: Any  # [B, T] True where a step counts

    @classmethod
    def from_tensors(cls, inputs: Tensor, targets: Tensor, mask: Tensor) -> Self:
        """Targets that don't count may have any value.

        Args:
            inputs: [B, T, I].
            targets: [B, T, O] or class indices [B, T].
            mask: [B, T] True where a step counts.
        """
        return cls(inputs, torch.where(mask if targets.ndim == 2 else mask[..., None], targets, 0), mask)

    def __len__(self) -> int:
        return int(self.mask.shape[0])

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """Inputs, targets and mask."""
        return self.inputs, self.targets, self.mask

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and mask."""
        return self.arrays

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """The same, of which an evaluator takes some sequences at a time."""
        return self.arrays

    @cached_property
    def count(self) -> int:
        """The number of steps that count."""
        return int(self.mask.sum())

    def take(self, rows: Batch) -> Self:
        """Some of the sequences. Raises EvornnError if none of their steps counts."""
        examples = type(self)(*(values[rows] for values in self.arrays))
        if not examples.count:
            raise EvornnError(
                "no step of a mini-batch counts: use larger batches, or sequences whose mask is not empty"
            )
        return examples

    def to_dense(self, outputs: int) -> Examples:
        """The same with targets [B, T, O], one-hot for class indices."""
        if self.targets.ndim == 3:
            return self
        return Examples.from_tensors(self.inputs, one_hot(self.targets, outputs).to(self.inputs.dtype), self.mask)

    def slice_time(self, steps: slice) -> Self:
        """Some of the time steps."""
        return type(self)(*(values[:, steps] for values in self.arrays))

    def add_to_inputs(self, values: Series) -> Self:
        """The same with [B, T, I] added to the inputs."""
        return type(self)(self.inputs + torch.as_tensor(values).to(self.inputs), self.targets, self.mask)

    def with_dropout(self, factors: Series, width: int) -> Self:
        """The same with factors [B, T, D] of the outputs of all layers but the last (`Layout.dropout_width`), which
        travel behind the `width` inputs; class indices therefore become one-hot vectors."""
        values = torch.as_tensor(factors).to(self.inputs.device)
        inputs = one_hot(self.inputs, width).to(values) if self.inputs.ndim == 2 else self.inputs
        return type(self)(torch.cat([inputs, values.to(inputs)], -1), self.targets, self.mask)


def one_hot(classes: Tensor, width: int) -> Tensor:
    """[B, T] → [B, T, width]."""
    return torch.nn.functional.one_hot(classes, width).to(torch.get_default_dtype())
