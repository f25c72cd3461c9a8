"""Scores of classes, as scikit-learn defines them: accuracy, balanced accuracy, macro F1, ROC AUC, log-loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Series
from evornn.data.scaling import Doubles
from evornn.tasks.core.task import Score, Sequences

ClassScore: TypeAlias = Literal["accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"]
Truth: TypeAlias = NDArray[np.int64]  # [N] class numbers
NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "macro F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log-loss, nats",
}
LOSSES = ("cross_entropy", "zero_one")  # under which outputs are logits or at least ordered


def class_score(name: ClassScore, every_step: bool = False) -> Score:
    """A score of class logits.

    Args:
        name: which.
        every_step: whether all steps that count are judged; else the last one of each sequence.
    """

    def compute(outputs: Series, split: Sequences) -> float:
        chosen: Callable[[Any], Any] = (lambda values: values[split.mask]) if every_step else split.last_steps
        logits = chosen(outputs).astype(np.float64)
        if not np.isfinite(logits).all():
            return float("nan")
        return CLASS_SCORES[name](logits, chosen(split.targets).argmax(axis=-1))

    return Score(
        NAMES[name], compute, losses=LOSSES[:1] if name == "log_loss" else LOSSES, best=float(name != "log_loss")
    )


def accuracy(logits: Doubles, truth: Truth) -> float:
    """Share of answers that are right."""
    return float((logits.argmax(axis=1) == truth).mean())


def balanced_accuracy(logits: Doubles, truth: Truth) -> float:
    """Mean over the classes that occur of the share of theirs that is recognised."""
    right = logits.argmax(axis=1) == truth
    return float(np.mean([right[truth == k].mean() for k in np.unique(truth)]))


def macro_f1(logits: Doubles, truth: Truth) -> float:
    """Mean F1 over the classes that occur, or are answered."""
    answers = logits.argmax(axis=1)
    classes = np.union1d(answers, truth)
    hits = [2 * ((answers == k) & (truth == k)).sum() / ((answers == k).sum() + (truth == k).sum()) for k in classes]
    return float(np.mean(hits))


def roc_auc(logits: Doubles, truth: Truth) -> float:
    """Area under the ROC curve: of the second class of two, else the mean over all classes, each against the others.
    NaN where only one class occurs."""
    classes = [1] if logits.shape[1] == 2 else range(logits.shape[1])
    areas = [_area(_log_odds(logits, k), truth == k) for k in classes if 0 < (truth == k).sum() < len(truth)]
    return float(np.mean(areas)) if areas else float("nan")


def log_loss(logits: Doubles, truth: Truth) -> float:
    """Mean of −log of the probability of the right class."""
    return float((np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(truth)), truth]).mean())


def _log_odds(logits: Doubles, k: int) -> Doubles:
    """[N] of one class against the others, in digits that rounding leaves, so that equal answers are equal."""
    return np.asarray(np.round(logits[:, k] - np.logaddexp.reduce(np.delete(logits, k, axis=1), axis=1), 9))


def _area(values: Doubles, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive has a larger value than a negative, ties counting half: from ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    most = int(positive.sum())
    return float((ranks[positive].sum() - most * (most + 1) / 2) / (most * (len(values) - most)))


CLASS_SCORES: dict[str, Callable[[Doubles, Truth], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": macro_f1,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
}
