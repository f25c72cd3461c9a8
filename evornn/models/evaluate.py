"""How good the answers of a model are on a table that has the true ones, in original units."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from evornn.data.preparation import OutputColumn
from evornn.data.scaling import Doubles
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.models.predict import LabelPredictor, SequencePredictor, forecast_windows, sort_groups
from evornn.models.rows import group_rows, read_rows, read_truth
from evornn.tasks.core.forecast_errors import forecast_errors
from evornn.tasks.core.windows import future

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

Measures: TypeAlias = dict[str, dict[str, float | None]]  # answer → measure → value
LEAST = 1e-15  # probability in a log-loss, as scikit-learn had it


def evaluate(model: SavedModel, table: Table) -> Measures:
    """See `StandaloneModel.evaluate`."""
    question = model.own_preparation.question
    if question == "forecast":
        answers, truth = _forecasts(model, table)
    elif question == "label":
        (part,) = LabelPredictor(model).feed(table)
        answers, truth = part.answers, _truth(model, table, np.arange(len(table)))
    else:
        answers, truth = _sequences(model, table)
    if not len(answers):
        raise EvornnError(f"{table.source}: no answer whose true value is there: give more rows")
    return _measure(model, answers, truth)


def _forecasts(model: SavedModel, table: Table) -> tuple[Doubles, Doubles]:
    """All forecasts [K, O] whose whole horizon is in the table, and the true values."""
    preparation = model.own_preparation
    groups, window = group_rows(preparation, table), preparation.window or 1
    rows = read_rows(preparation, table, groups)
    levels = _truth(model, table, np.arange(len(table)))
    horizon, answers, truth = preparation.answers[0].horizon, list[Doubles](), list[Doubles]()
    for name, group in groups.items():
        if len(group) >= window + horizon:
            answers.append(forecast_windows(model.for_group(name), rows[group])[:-horizon])
            truth.append(future(levels[group], horizon)[window - 1 : -horizon])
    if not answers:
        raise EvornnError(
            f"{table.source}: {len(table)} rows, and a forecast reads {window} and is compared with {horizon} after "
            "them: give more rows"
        )
    return np.concatenate(answers), np.concatenate(truth)


def _sequences(model: SavedModel, table: Table) -> tuple[Doubles, Doubles]:
    """An answer [K, O] for each group, and the true value in its last row."""
    table, predictor = sort_groups(model.own_preparation, table), SequencePredictor(model)
    parts = [*predictor.feed(table), *predictor.end()]
    ends = np.array([group[-1] for group in group_rows(model.own_preparation, table).values()])
    answers = np.concatenate([part.answers for part in parts]) if parts else np.zeros((0, model.outputs))
    return answers, _truth(model, table, ends)


def _truth(model: SavedModel, table: Table, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Doubles:
    """[K, G] the true values of the answers."""
    return np.column_stack([read_truth(table, answer)[rows] for answer in model.own_preparation.answers])


def _measure(model: SavedModel, answers: Doubles, truth: Doubles) -> Measures:
    measures, start, naive = Measures(), 0, model.metrics.naive_errors
    for k, answer in enumerate(model.own_preparation.answers):
        own, true = answers[:, start : start + answer.width], truth[:, k : k + 1]
        start += answer.width
        if model.own_preparation.question == "forecast":
            true = truth[:, k * answer.horizon : (k + 1) * answer.horizon]
        is_known = ~np.isnan(true).any(axis=1)
        if not is_known.any():
            raise EvornnError(f"column {answer.column!r}: no true value is there: give rows that have it")
        scale = np.array(naive[k : k + 1], np.float64)
        measures[answer.column] = _of_answer(answer, own[is_known], true[is_known], scale)
    return measures


def _of_answer(answer: OutputColumn, answers: Doubles, truth: Doubles, naive: Doubles) -> dict[str, float | None]:
    if answer.categories:
        return classification_measures(answers, truth[:, 0].astype(np.int64))
    errors = asdict(forecast_errors([answer.column], truth, answers, naive)[answer.column])
    return {name: value for name, value in errors.items() if name != "mase" or len(naive)}


def classification_measures(
    probabilities: Doubles, classes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[str, float | None]:
    """Accuracy, balanced accuracy (mean over classes) and log-loss in nats of [K, classes] and the true ones [K]."""
    is_right = probabilities.argmax(axis=1) == classes
    of_truth = probabilities[np.arange(len(classes)), classes].clip(LEAST)
    by_class = [float(is_right[classes == k].mean()) for k in np.unique(classes)]
    return {
        "accuracy": float(is_right.mean()),
        "balanced_accuracy": sum(by_class) / len(by_class),
        "log_loss": float(-np.log(of_truth).mean()),
    }
