"""Scores of numbers in original units: R², RMSE, MAE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from evornn.arrays import Series
from evornn.data.preparation import OutputColumn
from evornn.data.scaling import Doubles, inverse
from evornn.tasks.core.quantiles import Quantiles, median_block, number_loss
from evornn.tasks.core.task import Score, Sequences

NumberScore: TypeAlias = Literal["r2", "rmse", "mae"]
NAMES = {"r2": "R²", "rmse": "RMSE", "mae": "MAE"}


def number_score(
    name: NumberScore, answers: Sequence[OutputColumn], every_step: bool = False, quantiles: Quantiles = ()
) -> Score:
    """A score of outputs that are scaled numbers. R² of several columns is their mean.

    Args:
        name: which; RMSE and MAE are of one column, since units differ.
        answers: the columns.
        every_step: whether all steps that count are judged; else the last one of each sequence.
        quantiles: levels of the outputs, of which the one nearest to the median is judged.
    """
    judged = median_block(quantiles, len(answers))

    def compute(outputs: Series, split: Sequences) -> float:
        chosen: Callable[[Any], Any] = (lambda values: values[split.mask]) if every_step else split.last_steps
        said, truth = (unscale(chosen(values)[..., judged], answers) for values in (outputs, split.targets))
        return _SCORES[name](said - truth, truth)

    column = "" if len(answers) > 1 or name == "r2" else f" of {answers[0].column}"
    return Score(f"{NAMES[name]}{column}", compute, losses=(number_loss(quantiles),), best=float(name == "r2"))


def unscale(values: Any, answers: Sequence[OutputColumn]) -> Doubles:
    """[N, O] scaled → original units."""
    mean, std = (np.array([getattr(one, part) for one in answers]) for part in ("mean", "std"))
    return inverse(answers[0].transform, mean + std * np.asarray(values, np.float64))


def _r2(errors: Doubles, truth: Doubles) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((1 - np.square(errors).mean(axis=0) / truth.var(axis=0)).mean())


_SCORES: dict[str, Callable[[Doubles, Doubles], float]] = {
    "r2": _r2,
    "rmse": lambda errors, _: float(np.sqrt(np.square(errors).mean())),
    "mae": lambda errors, _: float(np.abs(errors).mean()),
}
