"""Losses of a population's outputs, masked. All but `zero_one` (and some of users' own) have a gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from evornn.errors import UnknownName
from evornn.kernels.quantile_levels import quantile_levels


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over the O outputs: [P, B, T, O], [B, T, O] → [P, B, T]."""
    return (outputs - targets).square().mean(-1)


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error over the O outputs, whose best constant is the median."""
    return (outputs - targets).abs().mean(-1)


def poisson(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the O outputs of eʸ − t·y; outputs are logarithms of rates, targets are counts."""
    return (outputs.exp() - targets * outputs).mean(-1)


def quantile(outputs: Tensor, targets: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Mean over the O outputs of q·(t − y) where y is too low and (1 − q)·(y − t) where it is too high (Koenker &
    Bassett 1978), which is lowest at the q-quantile. The outputs are as many equal blocks as there are levels q."""
    q = outputs.new_tensor(levels).repeat_interleave(outputs.shape[-1] // len(levels))
    errors = outputs - targets
    return (errors.abs() / 2 + (0.5 - q) * errors).mean(-1)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """−Σ target·log softmax(output) in nats; outputs are logits, targets probabilities or one-hot."""
    return -(targets * outputs.log_softmax(-1)).sum(-1)


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the O outputs of −t·log σ(y) − (1−t)·log(1 − σ(y)), in nats; outputs are logits."""
    return (torch.nn.functional.softplus(outputs) - targets * outputs).mean(-1)


def zero_one(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the decision is wrong: the largest output (O > 1), or the sign of the one output."""
    if outputs.shape[-1] > 1:
        wrong = (outputs.argmax(-1) != targets.argmax(-1)).to(outputs.dtype)
    else:
        wrong = ((outputs > 0) != (targets > 0.5)).to(outputs.dtype).squeeze(-1)
    return torch.where(outputs.isfinite().all(-1), wrong, torch.nan)


STEP_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "zero_one": zero_one,
    "mae": mae,
    "poisson": poisson,
}
WITHOUT_GRADIENT = frozenset({"zero_one"})


def step_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of each step, by name, which may be one of levels, `quantile(0.1, 0.5, 0.9)`. Raises EvornnError."""
    if levels := quantile_levels(name):
        return partial(quantile, levels=levels)
    if name not in STEP_LOSSES:
        raise UnknownName("loss", name, [*STEP_LOSSES, "quantile(0.1, 0.5, 0.9)"])
    return STEP_LOSSES[name]


def total(loss: str, outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Sums of a loss over the steps that count.

    Args:
        loss: its name.
        outputs: [P, B, T, O].
        targets: [B, T, O], numbers everywhere.
        mask: [B, T] True where a step counts.

    Returns:
        [P].
    """
    steps = step_loss(loss)(outputs, targets)
    return sum_members(torch.where(mask, steps, 0.0))


def sum_members(values: Tensor) -> Tensor:
    """[P, B, T] → [P]. On the CPU row by row: the bits of torch's sum over an axis depend on the other rows."""
    rows = values.flatten(1)
    return rows.sum(1) if values.is_cuda else torch.stack([row.sum() for row in rows])
