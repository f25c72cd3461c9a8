"""How good the answers of a model are on a table that has the true ones, in original units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from evornn.data.preparation import OutputColumn, Preparation
from evornn.data.scaling import Doubles
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.models.predict import LabelPredictor, SequencePredictor, forecast_windows, sort_groups
from evornn.models.rows import Groups, group_rows, read_rows, read_truth
from evornn.tasks.core.class_scores import CLASS_SCORES
from evornn.tasks.core.forecast_errors import forecast_errors
from evornn.tasks.core.windows import future

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

Measures: TypeAlias = dict[str, dict[str, float | None]]  # answer → measure → value
LEAST = 1e-15  # probability in a log-loss, as scikit-learn had it


@dataclass(frozen=True)
class Judged:
    """Answers of a model beside the true values, in original units."""

    answers: Doubles  # [K, O] numbers, and probabilities of classes
    truth: Doubles  # [K, G × horizon] NaN where it is not known; of a class its position
    who: tuple[str, ...]  # [K] whose answer it is: a group, a row

    def of(self, preparation: Preparation, k: int) -> Judged:
        """Those of the k-th answer's column, where all of its true values are known. Raises EvornnError for none."""
        columns, answer = preparation.answers, preparation.answers[k]
        starts = np.cumsum([0, *(one.width for one in columns)])
        horizon = answer.horizon if preparation.question == "forecast" else 1
        truth = self.truth[:, k * horizon : (k + 1) * horizon]
        known = np.flatnonzero(~np.isnan(truth).any(axis=1))
        if not len(known):
            raise EvornnError(f"column {answer.column!r}: no true value is there: give rows that have it")
        own = self.answers[known, starts[k] : starts[k + 1]]
        return Judged(own, truth[known], tuple(self.who[row] for row in known))


def evaluate(model: SavedModel, table: Table) -> Measures:
    """See `StandaloneModel.evaluate`."""
    return measure(model, judge(model, table))


def judge(model: SavedModel, table: Table) -> Judged:
    """The answers of a model for all of a table that has true values. Raises EvornnError where nothing has."""
    judged = _JUDGES[model.own_preparation.question](model, table)
    if not len(judged.answers):
        raise EvornnError(f"{table.source}: no answer whose true value is there: give more rows")
    return judged


def measure(model: SavedModel, judged: Judged) -> Measures:
    """Answer → measure → value; of quantiles, the errors of the one nearest to the median, and the share of the truth
    that is not above each of them, which should be its level."""
    preparation, naive, measures = model.own_preparation, model.metrics.naive_errors, Measures()
    for target, k in enumerate(preparation.point_answers):
        errors = np.array(naive[target : target + 1], np.float64)
        measures[preparation.answers[k].column] = _of_answer(preparation.answers[k], judged.of(preparation, k), errors)
    for k, answer in enumerate(preparation.answers):
        if answer.level is not None:
            own = judged.of(preparation, k)
            measures[answer.column][f"below_q{answer.level:g}"] = float((own.truth <= own.answers).mean())
    return measures


def _forecasts(model: SavedModel, table: Table) -> Judged:
    """All forecasts whose whole horizon is in the table."""
    preparation = model.own_preparation
    groups, window = group_rows(preparation, table), preparation.window or 1
    rows, words = read_rows(preparation, table, groups), row_names(preparation, table, groups)
    levels = _truth(model, table, np.arange(len(table)))
    horizon, answers, truth, who = preparation.answers[0].horizon, list[Doubles](), list[Doubles](), list[str]()
    for name, group in groups.items():
        if len(group) >= window + horizon:
            answers.append(forecast_windows(model.for_group(name), rows[group])[:-horizon])
            truth.append(future(levels[group], horizon)[window - 1 : -horizon])
            who += [words[row] for row in group[window - 1 : -horizon]]
    if not answers:
        raise EvornnError(
            f"{table.source}: {len(table)} rows, and a forecast reads {window} and is compared with {horizon} after "
            "them: give more rows"
        )
    return Judged(np.concatenate(answers), np.concatenate(truth), tuple(who))


def _labels(model: SavedModel, table: Table) -> Judged:
    """An answer for each row."""
    (part,) = LabelPredictor(model).feed(table)
    groups = group_rows(model.own_preparation, table)
    words = row_names(model.own_preparation, table, groups)
    return Judged(part.answers, _truth(model, table, np.arange(len(table))), tuple(words))


def _sequences(model: SavedModel, table: Table) -> Judged:
    """An answer for each group, and the true value in its last row."""
    table, predictor = sort_groups(model.own_preparation, table), SequencePredictor(model)
    parts = [*predictor.feed(table), *predictor.end()]
    groups = group_rows(model.own_preparation, table)
    ends = np.array([group[-1] for group in groups.values()])
    answers = np.concatenate([part.answers for part in parts]) if parts else np.zeros((0, model.outputs))
    return Judged(answers, _truth(model, table, ends), tuple(groups))


_JUDGES: dict[str, Callable[[SavedModel, Table], Judged]] = {
    "forecast": _forecasts,
    "label": _labels,
    "classify": _sequences,
    "regress": _sequences,
}


def row_names(preparation: Preparation, table: Table, groups: Groups) -> list[str]:
    """[N] what people call a row: its group, and its time or its number in the group."""
    time = preparation.time if preparation.time in table.names else None
    words = [""] * len(table) if time is None else table.column(time).words()
    names = [""] * len(table)
    for group, rows in groups.items():
        for number, row in enumerate(rows.tolist(), start=1):
            names[row] = f"{group}, " * bool(group) + (words[row] or f"row {number}")
    return names


def _truth(model: SavedModel, table: Table, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Doubles:
    """[K, G] the true values of the answers."""
    return np.column_stack([read_truth(table, answer)[rows] for answer in model.own_preparation.answers])


def _of_answer(answer: OutputColumn, judged: Judged, naive: Doubles) -> dict[str, float | None]:
    if answer.categories:
        return classification_measures(judged.answers, judged.truth[:, 0].astype(np.int64))
    errors = asdict(forecast_errors([answer.column], judged.truth, judged.answers, naive)[answer.column])
    return {name: value for name, value in errors.items() if name != "mase" or len(naive)}


def classification_measures(
    probabilities: Doubles, classes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[str, float | None]:
    """The scores of the tasks (`tasks/core/class_scores.py`) of probabilities [K, classes] and the true ones [K]."""
    values = {name: score(np.log(probabilities.clip(LEAST)), classes) for name, score in CLASS_SCORES.items()}
    return {name: value if value == value else None for name, value in values.items()}
