"""Chance: the best answer that ignores the input, judged in the task's loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from evornn.data.scaling import Doubles
from evornn.kernels.quantile_levels import quantile_levels
from evornn.tasks.core.task import Baseline, Sequences


def chance(loss: str, train: Sequences, valid: Sequences, test: Sequences) -> Baseline:
    """The constant outputs that are best on training data, judged on the other splits.

    Args:
        loss: a name in `LOSSES`, or one of quantiles.
        train: where the outputs are fitted.
        valid: where they are judged.
        test: where they are judged, too.

    Returns:
        The baseline "mean" with its two losses.
    """
    outputs = best_constant(loss, train)
    judge = numpy_loss(loss)
    losses = [
        np.concatenate([judge(outputs, masked_targets(part)) for part in split.portions()]) for split in (valid, test)
    ]
    return Baseline("mean", valid=float(losses[0].mean()), test=float(losses[1].mean()))


def best_constant(loss: str, train: Sequences) -> Doubles:
    """[O] the constant outputs with the lowest loss: the mean answer, or its logits. A class that never occurs in
    training counts as half an occurrence, so that no logit is infinite."""
    if loss == "cross_entropy":
        counts = np.sum([masked_targets(part).sum(axis=0) for part in train.portions()], axis=0)
        return np.log((counts + 0.5) / (int(np.sum(train.mask)) + 0.5 * len(counts)))  # type: ignore[no-any-return]
    targets = masked_targets(train)
    if loss == "mse":
        return targets.mean(axis=0)  # type: ignore[no-any-return]
    if loss == "mae":
        return np.median(targets, axis=0)
    if quantile_levels(loss):
        return residual_quantiles(loss, targets)
    if loss == "poisson":
        return np.log((targets.sum(axis=0) + 0.5) / len(targets))  # type: ignore[no-any-return]
    share = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
    return np.log(share / (1 - share))  # type: ignore[no-any-return]


def masked_targets(split: Sequences) -> Doubles:
    """[N, O] the targets of all steps that count."""
    return split.targets[split.mask].astype(np.float64)


def _mse(outputs: Doubles, targets: Doubles) -> Doubles:
    return np.square(outputs - targets).mean(axis=-1)  # type: ignore[no-any-return]


def _mae(outputs: Doubles, targets: Doubles) -> Doubles:
    return np.abs(outputs - targets).mean(axis=-1)  # type: ignore[no-any-return]


def _poisson(outputs: Doubles, targets: Doubles) -> Doubles:
    return (np.exp(outputs) - targets * outputs).mean(axis=-1)  # type: ignore[no-any-return]


def _binary_cross_entropy(outputs: Doubles, targets: Doubles) -> Doubles:
    return (np.logaddexp(0.0, outputs) - targets * outputs).mean(axis=-1)  # type: ignore[no-any-return]


def _cross_entropy(outputs: Doubles, targets: Doubles) -> Doubles:
    return -(targets * (outputs - np.logaddexp.reduce(outputs, axis=-1, keepdims=True))).sum(axis=-1)  # type: ignore[no-any-return]


def residual_quantiles(loss: str, residuals: Doubles) -> Doubles:
    """[O] the quantiles of [N, O] at the levels of the loss: what makes a point forecast one of quantiles."""
    levels = quantile_levels(loss)
    blocks = np.split(residuals, len(levels), axis=1)
    return np.concatenate([np.quantile(one, level, axis=0) for one, level in zip(blocks, levels, strict=True)])


def numpy_loss(loss: str) -> Callable[[Doubles, Doubles], Doubles]:
    """The loss of outputs [N, O], or a constant [O], and targets [N, O] → [N]."""
    return LOSSES[loss] if loss in LOSSES else partial(_quantile, quantile_levels(loss))


def _quantile(levels: Sequence[float], outputs: Doubles, targets: Doubles) -> Doubles:
    errors = outputs - targets
    weights = 0.5 - np.repeat(levels, targets.shape[1] // len(levels))
    return (np.abs(errors) / 2 + weights * errors).mean(axis=-1)  # type: ignore[no-any-return]


# The losses of kernels/losses.py, which take tensors, here in numpy: outputs [N, O], or a constant [O], and targets
# [N, O] → [N].
LOSSES: dict[str, Callable[[Doubles, Doubles], Doubles]] = {
    "mse": _mse,
    "mae": _mae,
    "poisson": _poisson,
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
}
