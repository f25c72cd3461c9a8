"""Which losses there are: those of the kernels, and functions of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from evornn.arrays import Floats, Losses, Mask, Series
from evornn.errors import EvornnError
from evornn.kernels.losses import PER_STEP, WITHOUT_GRADIENT
from evornn.networks.arguments import numbers

OwnLoss: TypeAlias = Callable[[Floats, Series, Mask], Losses]
"""A user's loss: outputs [P, B, T, O], targets [B, T, O] (0 where nothing counts), mask [B, T] → [P]. It has no
gradient."""

DIFFERENTIABLE = [name for name in PER_STEP if name not in WITHOUT_GRADIENT]


def has_gradient(loss: str | OwnLoss) -> bool:
    return isinstance(loss, str) and loss not in WITHOUT_GRADIENT


def own_losses(loss: OwnLoss, outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """[P] what a user's loss says; raises EvornnError where it says something else."""
    if not callable(loss):
        raise EvornnError(f"loss must be one of {', '.join(PER_STEP)} or a function of your own, got {loss!r}")
    said = numbers("the result of your loss", loss(outputs.cpu().numpy(), targets.cpu().numpy(), mask.cpu().numpy()))
    if said.shape != outputs.shape[:1]:
        raise EvornnError(f"your loss must return one number per member, [{len(outputs)}], got {list(said.shape)}")
    return said.to(outputs)
