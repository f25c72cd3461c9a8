"""How answers on the test split are judged, in original units, and the same way whoever gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evornn.kernels.losses import step_loss
from evornn.tasks.core.task import Data

Scores = dict[str, dict[str, float]]  # series, or what is asked for → measure → value
MEASURES = {"forecast": "mase", "classify": "accuracy", "regress": "relative_rmse"}  # the first one of a question
LOWER = {"mase": True, "rmse": True, "accuracy": False, "relative_rmse": True, "r2": False}


@dataclass(frozen=True)
class Outcome:
    """What a method reached on test with one seed."""

    set: str
    method: str
    seed: int | None  # None: it has none
    settings: str
    seconds: float  # to fit and to answer
    scores: Scores

    def mean(self, measure: str) -> float:
        """Over all series, or all that is asked for."""
        return float(np.mean([of_one[measure] for of_one in self.scores.values()]))


@dataclass(frozen=True)
class Answers:
    """Answers on the test split beside the truth."""

    predictions: NDArray[np.float64]  # [K, O] in original units; of classes logits
    truth: NDArray[np.float64]  # [K, O]
    seconds: float
    series: tuple[str, ...] = ()  # [K] of forecasts
    targets: tuple[str, ...] = field(default=())  # [O] of numbers

    @classmethod
    def of(cls, data: Data, outputs: NDArray[Any], seconds: float) -> Self:
        """Those of a network, from its outputs [B, T, O] on test."""
        last, truth = (data.test.last_steps(values) for values in (outputs, data.test.targets))
        if data.chart is None:
            return cls(np.asarray(last, np.float64), np.asarray(truth, np.float64), seconds)
        series = tuple(name for name, count in data.chart.series for _ in range(count))
        predictions = data.chart.inverse_transform(last)
        return cls(predictions, data.chart.truth, seconds, series, data.chart.targets)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Those of all folds; seconds are the sum."""
        values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("predictions", "truth"))
        series = tuple(name for part in parts for name in part.series)
        return cls(*values, sum(part.seconds for part in parts), series, parts[0].targets)


def validation_loss(data: Data, outputs: NDArray[Any]) -> float:
    """Of outputs [B, T, O] on validation data, at the last step of each sequence, wherever training has its loss."""
    import torch

    last, targets = (torch.as_tensor(data.valid.last_steps(values)) for values in (outputs, data.valid.targets))
    return float(step_loss(data.loss)(last, targets).mean())


def score(task: Mapping[str, Any], answers: Answers) -> Scores:
    """Of a task's fragment, whose file is there."""
    if task["kind"] == "forecast":
        return forecast_scores(answers, naive_errors(Path(task["path"]), task["split"][0]))
    return class_scores(answers) if task["kind"] == "classify" else number_scores(answers)


def naive_errors(path: Path, end: str) -> dict[str, float]:
    """Of each series, the mean change from row to row before a date: what MASE divides by."""
    table = pd.read_csv(path)
    training = table[table["date"] < end]
    return {str(name): float(of_one["value"].diff().abs().mean()) for name, of_one in training.groupby("series")}


def forecast_scores(answers: Answers, naive: Mapping[str, float]) -> Scores:
    """Of each series over all its forecasts [K, horizon]."""
    names, errors = np.array(answers.series), answers.predictions - answers.truth
    return {
        name: {
            "mase": float(np.abs(errors[names == name]).mean() / naive[name]),
            "rmse": float(np.sqrt(np.square(errors[names == name]).mean())),
        }
        for name in dict.fromkeys(answers.series)
    }


def class_scores(answers: Answers) -> Scores:
    """The share of sequences whose class is right."""
    right = answers.predictions.argmax(axis=1) == answers.truth.argmax(axis=1)
    return {"class": {"accuracy": float(right.mean())}}


def number_scores(answers: Answers) -> Scores:
    """Of each number over all sequences: R², RMSE, and RMSE over the standard deviation (1: as good as the mean)."""
    found: Scores = {}
    for k, name in enumerate(answers.targets):
        truth = answers.truth[:, k]
        rmse = float(np.sqrt(np.square(answers.predictions[:, k] - truth).mean()))
        relative = rmse / float(truth.std())
        found[name] = {"r2": 1 - relative**2, "rmse": rmse, "relative_rmse": relative}
    return found
