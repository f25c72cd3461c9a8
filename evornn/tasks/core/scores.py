"""Scores that tasks share: shares of sequences that are right from end to end, or of steps; the normalised error of a
series.

What is not finite is never right. Shapes: outputs [B, T, O], `Right` [B, T].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Mask, Series
from evornn.tasks.core.task import Score, Sequences

Right: TypeAlias = Callable[[Series, Sequences], Mask]  # which steps are right


def share_right(what: str, right: Right, solved: float = 1.0, losses: tuple[str, ...] = ()) -> Score:
    """The share of sequences that are right at every step that counts, say of "strings"."""

    def judge(outputs: Series, asked: Sequences) -> float:
        return float((right(outputs, asked) | ~asked.mask).all(axis=1).mean())

    return Score(f"share of {what} right", judge, solved, losses)


def share_of_steps_right(what: str, right: Right) -> Score:
    """The share of steps that are right, of all that count, whatever sequence they belong to; say of "characters"."""

    def judge(outputs: Series, asked: Sequences) -> float:
        return float(right(outputs, asked)[asked.mask].mean())

    return Score(f"share of {what} right", judge, solved=1.0)


def share_decided(what: str) -> Score:
    """`share_right` where outputs are logits of yes or no: all on the right side of 0."""
    return share_right(what, decided, losses=("binary_cross_entropy", "zero_one"))


def decided(outputs: Series, asked: Sequences) -> Mask:
    """Every output has the sign of its answer, yes or no."""
    return _every(np.isfinite(outputs) & ((outputs > 0) == (asked.targets > 0.5)))


def largest(outputs: Series, asked: Sequences) -> Mask:
    """One of several: the right one has the largest output."""
    same: Mask = outputs.argmax(axis=-1) == asked.targets.argmax(axis=-1)
    return same & _every(np.isfinite(outputs))


def within(tolerance: float) -> Right:
    """Every output is less than `tolerance` away from its target."""

    def right(outputs: Series, asked: Sequences) -> Mask:
        return _every(np.abs(outputs - asked.targets) < tolerance)

    return right


def sigmoid_within(tolerance: float) -> Right:
    """Outputs are logits of sigmoid units, as in Hochreiter & Schmidhuber 1997: each unit within `tolerance`."""

    def right(outputs: Series, asked: Sequences) -> Mask:
        unit = 0.5 + 0.5 * np.tanh(0.5 * outputs)  # the sigmoid, without overflow
        return _every(np.abs(unit - asked.targets) < tolerance)

    return right


def signs(outputs: Series, asked: Sequences) -> Mask:
    """Targets are ±1: every output has its target's sign; 0 has none."""
    return _every(outputs * asked.targets > 0)


def nrmse() -> Score:
    """Root of the mean squared error over the variance of the targets, both over all steps that count."""

    def judge(outputs: Series, asked: Sequences) -> float:
        wanted = asked.targets[asked.mask].astype(np.float64)
        error = np.mean(np.square(outputs[asked.mask] - wanted))
        return float(np.sqrt(error / wanted.var(axis=0).mean()))

    return Score("NRMSE", judge)


def _every(right: NDArray[np.bool_]) -> Mask:
    """[B, T, O] → [B, T]"""
    every: Mask = np.all(right, axis=-1)
    return every
