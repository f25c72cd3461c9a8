"""Sequences that a network is asked about, made ready once for all questions: a mini-batch is some of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Batch
from evornn.errors import EvornnError


@dataclass(frozen=True)
class Examples:
    """B sequences of T steps, on their network's device and in its precision; made by an evaluator's `examples`."""

    inputs: Tensor  # [B, T, I]
    targets: Tensor  # [B, T, O], 0 where the mask is False
    mask: Tensor  # [B, T] True where a step counts

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor, mask: Tensor) -> Self:
        """Targets that don't count may be anything."""
        return cls(inputs, torch.where(mask[..., None], targets, 0.0), mask)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and mask."""
        return self.inputs, self.targets, self.mask

    def take(self, rows: Batch) -> Self:
        """Some of the sequences. Raises EvornnError where none of their steps counts."""
        found = type(self)(*(taken(values, rows) for values in self.tensors))
        if not found.count:
            raise EvornnError("no step of a batch counts: take larger batches, or sequences without such an empty mask")
        return found

    def during(self, steps: slice) -> Self:
        """Some of the time steps."""
        return type(self)(*(values[:, steps] for values in self.tensors))

    @cached_property
    def count(self) -> int:
        """Steps that count."""
        return int(np.count_nonzero(self.mask.cpu().numpy()))


def taken(values: Tensor, rows: Batch) -> Tensor:
    """Some rows. On the CPU by numpy: for as little as a mini-batch torch's threads take longer than the copying."""
    if values.is_cuda:
        return values.index_select(0, torch.as_tensor(rows).to(values.device))
    return torch.from_numpy(values.numpy().take(rows, 0))
