"""The errors that conformal intervals are made of: those of a model on its validation split, in original units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats
from evornn.data.features import forget_before
from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Doubles, forward, inverse
from evornn.models.conformal import quantiles, space_evenly
from evornn.models.predict import continue_forecasts, run_network, unforecast_columns
from evornn.models.rows import portions
from evornn.models.units import Source, sources, sources_of, to_answers
from evornn.tasks.core.task import Sequences

if TYPE_CHECKING:
    from evornn.models.saved_model import Calibration, SavedModel

REACH = 24  # steps ahead that are calibrated beyond the horizon, of forecasts that can be continued


def calibrate(model: SavedModel, valid: Sequences) -> Calibration | None:
    """The sorted absolute errors [K, G, S] of a model on its validation split; None for classes and quantiles, or where
    original units can't be known from what the network reads."""
    preparation = model.own_preparation
    if any(answer.categories or answer.level is not None for answer in preparation.answers):
        return None
    if not len(valid) or not _is_invertible(preparation):
        return None
    errors = _forecast_errors if preparation.question == "forecast" else _step_errors
    return np.sort(errors(model, valid), axis=0)  # NaN last


def coverage_on(model: SavedModel, test: Sequences, coverage: float = 0.9) -> dict[str, float]:
    """Answer → the share of a split's true values that lie inside of the model's intervals."""
    if model.calibration is None:
        return {}
    errors, widths = _step_errors(model, test), quantiles(model.calibration, coverage)
    return {
        answer.column: float(np.mean(errors[:, k] <= widths[k, : errors.shape[2]]))
        for k, answer in enumerate(model.own_preparation.answers)
    }


def _step_errors(model: SavedModel, split: Sequences) -> Doubles:
    """[K, G, horizon] at the steps that count, at most MOST of them; of questions with one answer for each sequence, at
    its last step."""
    preparation, mask = model.own_preparation, split.mask
    if preparation.question in ("classify", "regress"):
        mask = mask & (np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] == 1)
    batches = portions(len(split), 512)
    outputs = np.concatenate([run_network(model, split.inputs[one], mask[one])[mask[one]] for one in batches])
    chosen = space_evenly(len(outputs))
    rows = to_rows(preparation, split.inputs[mask][chosen, None])[:, 0]
    targets = split.targets[mask][chosen]
    errors = _distance(to_answers(preparation, outputs[chosen], rows), to_answers(preparation, targets, rows))
    return errors.reshape(len(errors), len(preparation.answers), -1)


def _forecast_errors(model: SavedModel, valid: Sequences) -> Doubles:
    """[K, G, S] to the horizon, and on to REACH where forecasts can be continued from themselves."""
    preparation = model.own_preparation
    has_gaps = preparation.missing == "mask" and any(one.derived == "change" for one in preparation.features)
    if has_gaps or unforecast_columns(preparation):
        return _step_errors(model, valid)
    chosen = space_evenly(len(valid))
    ends = valid.inputs[:, -1:]
    answers = to_answers(preparation, valid.targets[:, -1], to_rows(preparation, ends)[:, 0])
    truth = answers.reshape(len(valid), len(preparation.answers), -1)
    steps = max(truth.shape[2], REACH)
    forecasts = continue_forecasts(model, to_rows(preparation, valid.inputs[chosen]), steps)  # [K, S, G]
    further = _further_truth(_numbers_of_stretches(preparation, valid), truth, _moved(preparation, ends[:, 0]), steps)
    return _distance(forecasts.swapaxes(1, 2), further[chosen])


def _numbers_of_stretches(preparation: Preparation, valid: Sequences) -> NDArray[np.int64]:
    """[B] the number of the stretch of consecutive windows that each is in."""
    later = forget_before(preparation.features, valid.inputs[:, 1:])
    follows = [np.array_equal(a, b[:-1]) for a, b in zip(later, valid.inputs[1:], strict=False)]
    return np.concatenate([[0], np.cumsum(~np.array(follows, np.bool_))])


def _moved(preparation: Preparation, ends: Floats) -> Doubles:
    """[B, G] how far windows with the last rows [B, I] lie above the first one, where `to_rows` doesn't know it."""
    read = {
        one.column: (one.derived, values) for one, values in reversed([*_numbers(preparation, ends)])
    }  # levels first
    changes = [np.cumsum(v) if kind else 0 * v for kind, v in (read[one.column] for one in preparation.answers)]
    return np.stack(changes, axis=1)


def _further_truth(stretch: NDArray[np.int64], truth: Doubles, moved: Doubles, steps: int) -> Doubles:
    """[B, G, horizon] → [B, G, steps]: what is beyond the horizon is the near truth of later windows of the series, NaN
    where there is none."""
    further = np.full((*truth.shape[:2], steps), np.nan)
    further[:, :, : truth.shape[2]] = truth
    for step in range(truth.shape[2], steps):
        if step < len(truth):
            same = stretch[step:] == stretch[:-step]
            further[:-step, :, step][same] = (truth[step:, :, 0] + moved[step:] - moved[:-step])[same]
    return further


def _distance(answers: Doubles, truth: Doubles) -> Doubles:
    """Absolute errors: NaN where the truth is unknown, infinite where only the answer is no number."""
    with np.errstate(invalid="ignore"):
        errors = np.abs(answers - truth)
    return np.where(np.isnan(truth), np.nan, np.where(np.isnan(errors), np.inf, errors))


def to_rows(preparation: Preparation, inputs: Floats) -> Doubles:
    """Inputs [..., T, I] → the rows [..., T, C] of what answers are made from, in original units; all else is NaN.
    Levels of which only changes are read end at the answer's mean."""
    known, base = dict[Source, Doubles](), {answer.column: answer.mean for answer in preparation.answers}
    for feature, values in _numbers(preparation, inputs):
        now, *before = sources_of(feature)
        if not before:
            known[now] = inverse(feature.transform, values)
            continue
        after = np.cumsum(values, axis=-1) - values.sum(axis=-1, keepdims=True)
        level = known.setdefault(now, base.get(feature.column, 0.0) + after)
        known[before[0]] = inverse(feature.transform, forward(feature.transform, level) - values)
    shape = inputs.shape[:-1]
    rows = [known.get(s, np.full(shape, base.get(s.column, np.nan))) for s in sources(preparation)]
    return np.stack(rows, axis=-1)


def _numbers(preparation: Preparation, inputs: Floats) -> Iterator[tuple[Feature, Doubles]]:
    """The numbers and changes [..., T] among inputs [..., T, I], before they were scaled."""
    start = 0
    for feature in preparation.features:
        if not feature.categories and feature.derived in ("", "change"):
            yield feature, feature.mean + feature.std * inputs[..., start].astype(np.float64)
        start += feature.width


def _is_invertible(preparation: Preparation) -> bool:
    """Whether the levels that answers are added to are known: read by the network, or of no importance; and all scales
    are those of all groups."""
    read = {feature.column for feature in preparation.features if feature.derived != "change"}
    parts: list[Feature | OutputColumn] = [*preparation.features, *preparation.answers]
    if any(part.scales for part in parts):
        return False
    return all(not a.difference or a.column in read or a.transform == "none" for a in preparation.answers)
