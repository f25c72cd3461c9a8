"""Scores that tasks share: the share of sequences or of steps that are right, and the normalised error of a series.

A value that is not finite is never right. Shapes: outputs [B, T, O], `CorrectSteps` [B, T].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Mask, Series
from evornn.tasks.core.task import Score, Sequences

CorrectSteps: TypeAlias = Callable[[Series, Sequences], Mask]  # which steps are right


def sequence_accuracy(
    what: str, is_correct: CorrectSteps, threshold: float = 1.0, losses: tuple[str, ...] = ()
) -> Score:
    """The share of sequences that are right at every step that counts.

    Args:
        what: the name of the sequences, such as "strings".
        is_correct: which steps are right.
        threshold: the score that counts as solved.
        losses: those under which outputs mean what `is_correct` takes them for; empty: all.
    """

    def compute(outputs: Series, split: Sequences) -> float:
        return float((is_correct(outputs, split) | ~split.mask).all(axis=1).mean())

    return Score(f"share of {what} right", compute, threshold, losses)


def step_accuracy(what: str, is_correct: CorrectSteps) -> Score:
    """The share of right steps among all that count, over all sequences; `what` is their name, such as "characters"."""

    def compute(outputs: Series, split: Sequences) -> float:
        return float(is_correct(outputs, split)[split.mask].mean())

    return Score(f"share of {what} right", compute, threshold=1.0)


def binary_accuracy(what: str) -> Score:
    """`sequence_accuracy` where outputs are logits of yes or no: all must have the right sign."""
    return sequence_accuracy(what, logits_match, losses=("binary_cross_entropy", "zero_one"))


def logits_match(outputs: Series, split: Sequences) -> Mask:
    """[B, T] whether every output has the sign of its answer, yes or no."""
    return _all_outputs(np.isfinite(outputs) & ((outputs > 0) == (split.targets > 0.5)))


def argmax_matches(outputs: Series, split: Sequences) -> Mask:
    """[B, T] whether the right class has the largest output."""
    same: Mask = outputs.argmax(axis=-1) == split.targets.argmax(axis=-1)
    return same & _all_outputs(np.isfinite(outputs))


def matches_within(tolerance: float) -> CorrectSteps:
    """Whether every output is less than `tolerance` away from its target."""

    def is_correct(outputs: Series, split: Sequences) -> Mask:
        return _all_outputs(np.abs(outputs - split.targets) < tolerance)

    return is_correct


def sigmoid_matches_within(tolerance: float) -> CorrectSteps:
    """Whether every sigmoid unit is less than `tolerance` away from its target, where outputs are the units' logits, as
    in Hochreiter & Schmidhuber 1997."""

    def is_correct(outputs: Series, split: Sequences) -> Mask:
        unit = 0.5 + 0.5 * np.tanh(0.5 * outputs)  # the sigmoid, without overflow
        return _all_outputs(np.abs(unit - split.targets) < tolerance)

    return is_correct


def signs_match(outputs: Series, split: Sequences) -> Mask:
    """[B, T] whether every output has its target's sign, where targets are ±1; 0 has no sign."""
    return _all_outputs(outputs * split.targets > 0)


def nrmse() -> Score:
    """The root of the mean squared error over the variance of the targets, both over all steps that count."""

    def compute(outputs: Series, split: Sequences) -> float:
        targets = split.targets[split.mask].astype(np.float64)
        error = np.mean(np.square(outputs[split.mask] - targets))
        return float(np.sqrt(error / targets.var(axis=0).mean()))

    return Score("NRMSE", compute)


def _all_outputs(right: NDArray[np.bool_]) -> Mask:
    """[B, T, O] → [B, T]"""
    every: Mask = np.all(right, axis=-1)
    return every
