"""What a user wants to see before trusting a model: its answers on a table that has the true ones, as numbers.

`evornn.experiments.reporting.model_page` draws them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from evornn.arrays import Mask
from evornn.data.preparation import OutputColumn
from evornn.data.scaling import Doubles
from evornn.data.table import Table
from evornn.models.conformal import quantiles, space_evenly
from evornn.models.evaluate import Judged, Measures, judge, measure
from evornn.models.importance import Importance, OnProgress, importances

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

WORST, BINS, EXAMPLES = 10, 10, 3
COVERAGES = (0.5, 0.8, 0.9, 0.95)
SHOWN = 0.9  # the coverage of the intervals that are drawn
STRETCH = 200  # consecutive forecasts that are drawn
Bands: TypeAlias = "list[tuple[str, Doubles, Doubles]]"  # name, low and high [K, horizon]; the widest first


@dataclass(frozen=True)
class Roc:
    """A ROC curve of one class against all others: a point for each threshold, thinned out."""

    name: str
    false_positives: list[float]  # share of the others that is taken for the class
    true_positives: list[float]  # share of the class that is recognised


@dataclass(frozen=True)
class CalibrationBin:
    """Probabilities of one tenth of the axis."""

    said: float  # mean probability of these answers
    came: float  # share of them that was right
    count: int


@dataclass(frozen=True)
class WorstExample:
    """An answer that is far off."""

    who: str
    truth: str
    answer: str
    error: float  # of a number, answer − truth; of a class, the probability of the true one


@dataclass(frozen=True)
class ClassReport:
    """Answers of one column of C classes."""

    column: str
    classes: list[str]
    confusion: list[list[int]]  # [C][C] how often: true class, answered class
    roc: list[Roc]
    calibration: list[CalibrationBin]  # of the second class of two, else of all
    worst: list[WorstExample]


@dataclass(frozen=True)
class HorizonError:
    """Errors so many steps ahead."""

    step: int
    rmse: float
    mae: float
    coverage: float | None  # share of the truth inside of intervals for SHOWN; None: there are none
    half_width: float | None


@dataclass(frozen=True)
class Coverage:
    """What intervals promise and hold."""

    asked: float
    reached: float | None  # None: too few errors are known for such an interval


@dataclass(frozen=True)
class Band:
    """An interval around a forecast at each of its steps: conformal, or between two quantiles."""

    name: str
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class ForecastExample:
    """A forecast over the series: values before it, what came, what was said, and its intervals."""

    who: str
    before: list[float]
    truth: list[float]
    answer: list[float]
    bands: list[Band]  # the widest first


@dataclass(frozen=True)
class NumberReport:
    """Answers of one column of numbers, in its own units."""

    column: str
    who: list[str]  # [S] at most 1000 answers, evenly spaced; of a forecast, its last step
    truth: list[float]
    answer: list[float]
    half_width: float | None  # of the interval around these answers
    by_horizon: list[HorizonError]
    coverage: list[Coverage]
    levels: list[Coverage]  # of quantiles: the level, and the share of the truth that is not above it
    examples: list[ForecastExample]  # of a forecast
    stretch: ForecastExample | None  # of a forecast: consecutive ones, each at its last step
    worst: list[WorstExample]


@dataclass(frozen=True)
class ModelReport:
    """All of it."""

    source: str
    answers: int  # how many are judged
    measures: Measures
    test: Measures  # on the model's own test split, as far as it is known
    classes: list[ClassReport]
    numbers: list[NumberReport]
    importance: list[Importance]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def report(
    model: SavedModel, table: Table, repeats: int = 10, seed: int = 0, on_progress: OnProgress | None = None
) -> ModelReport:
    """See `StandaloneModel.report`."""
    if on_progress is not None:
        on_progress("answers", 0.0)
    judged, answers = judge(model, table), model.own_preparation.answers
    parts = {k: judged.of(model.own_preparation, k) for k in model.own_preparation.point_answers}
    numbers = [k for k in parts if not answers[k].categories]
    return ModelReport(
        table.source,
        len(judged.answers),
        measure(model, judged),
        model.metrics.errors,
        [_of_classes(answers[k], part) for k, part in parts.items() if answers[k].categories],
        [_of_numbers(model, k, parts[k], judged) for k in numbers],
        importances(model, table, repeats, seed, on_progress),
    )


def _of_classes(answer: OutputColumn, judged: Judged) -> ClassReport:
    said, truth, count = judged.answers, judged.truth[:, 0].astype(np.int64), len(answer.categories)
    chosen = said.argmax(axis=1)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (truth, chosen), 1)
    right = said[np.arange(len(said)), truth]
    worst = [
        WorstExample(judged.who[k], answer.categories[truth[k]], answer.categories[chosen[k]], float(right[k]))
        for k in np.argsort(right, kind="stable")[:WORST]
        if chosen[k] != truth[k]
    ]
    shown = [1] if count == 2 else list(range(count))  # of two, one says all
    curves = [_roc(answer.categories[k], said[:, k], truth == k) for k in shown if 0 < (truth == k).sum() < len(truth)]
    is_class = np.arange(count) == truth[:, None]
    bins = calibrate(said[:, shown].ravel(), is_class[:, shown].ravel())
    return ClassReport(answer.column, list(answer.categories), confusion.tolist(), curves, bins, worst)


def _roc(name: str, said: Doubles, positive: Mask) -> Roc:
    """From all thresholds, those at which the curve turns: equal answers are one step."""
    order = np.argsort(-said, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(said[order])), len(said) - 1)
    hits = np.cumsum(positive[order])[ends] / positive.sum()
    misses = np.cumsum(~positive[order])[ends] / (~positive).sum()
    kept = space_evenly(len(ends))
    return Roc(name, [0.0, *misses[kept].tolist()], [0.0, *hits[kept].tolist()])


def calibrate(said: Doubles, came: Mask) -> list[CalibrationBin]:
    """Probabilities [K] by tenths, and how often it came so."""
    places = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    return [
        CalibrationBin(float(said[own].mean()), float(came[own].mean()), int(own.sum()))
        for own in (places == k for k in range(BINS))
        if own.any()
    ]


def _of_numbers(model: SavedModel, k: int, judged: Judged, everything: Judged) -> NumberReport:
    answer, is_forecast = model.own_preparation.answers[k], model.own_preparation.question == "forecast"
    widths = None if model.calibration is None else quantiles(model.calibration, SHOWN)[k, : answer.horizon]
    errors, kept = judged.answers - judged.truth, space_evenly(len(judged.answers))
    own = {k: judged} if answer.level is None else _quantiles(model, answer.column, everything)
    bands = _bands(judged, widths) if answer.level is None else _quantile_bands(model, own)
    return NumberReport(
        answer.column,
        [judged.who[row] for row in kept],
        judged.truth[kept, -1].tolist(),
        judged.answers[kept, -1].tolist(),
        None if widths is None else _finite(widths[-1]),
        [_at_step(step, errors[:, step], widths) for step in range(answer.horizon)],
        [_coverage(model, k, np.abs(errors), asked) for asked in COVERAGES] if model.calibration is not None else [],
        [] if answer.level is None else [_level(model, k, one) for k, one in own.items()],
        _examples(judged, bands, model.own_preparation.window or 1) if is_forecast and answer.horizon > 1 else [],
        _stretch(judged, bands) if is_forecast else None,
        _worst_numbers(judged, errors),
    )


def _at_step(step: int, errors: Doubles, widths: Doubles | None) -> HorizonError:
    width = None if widths is None else _finite(widths[step])
    inside = None if width is None else float((np.abs(errors) <= width).mean())
    return HorizonError(step + 1, float(np.sqrt(np.square(errors).mean())), float(np.abs(errors).mean()), inside, width)


def _coverage(model: SavedModel, k: int, distances: Doubles, asked: float) -> Coverage:
    assert model.calibration is not None
    widths = quantiles(model.calibration, asked)[k, : distances.shape[1]]
    return Coverage(asked, float((distances <= widths).mean()) if np.isfinite(widths).all() else None)


def _quantiles(model: SavedModel, column: str, judged: Judged) -> dict[int, Judged]:
    """Those of a column, the lowest level first: the position among the answers, and the answers [K, horizon]."""
    answers = model.own_preparation.answers
    places = [k for k, answer in enumerate(answers) if answer.column == column]
    return {k: judged.of(model.own_preparation, k) for k in sorted(places, key=lambda k: answers[k].level or 0.0)}


def _level(model: SavedModel, k: int, judged: Judged) -> Coverage:
    level = model.own_preparation.answers[k].level
    assert level is not None
    return Coverage(level, float((judged.truth <= judged.answers).mean()))


def _bands(judged: Judged, widths: Doubles | None) -> Bands:
    if widths is None or not np.isfinite(widths).all():
        return []
    return [(f"{SHOWN:.0%} interval", judged.answers - widths, judged.answers + widths)]


def _quantile_bands(model: SavedModel, own: dict[int, Judged]) -> Bands:
    """Between the lowest and the highest level, the second lowest and second highest, …"""
    answers, places = model.own_preparation.answers, list(own)
    pairs = zip(places, reversed(places), strict=True)
    return [
        (f"{answers[low].level:.4g} to {answers[high].level:.4g} quantile", own[low].answers, own[high].answers)
        for low, high in list(pairs)[: len(places) // 2]
    ]


def _examples(judged: Judged, bands: Bands, window: int) -> list[ForecastExample]:
    """Forecasts of some windows, evenly spaced, with the rows before them, as far as the same group has judged ones."""
    names = np.array([_group(who) for who in judged.who])
    reach = min(window, 3 * judged.truth.shape[1])
    starts = [k for k in range(reach, len(names)) if names[k - reach] == names[k]] or list(range(len(names)))
    chosen = [starts[round(share * (len(starts) - 1))] for share in np.linspace(0.15, 0.85, EXAMPLES)]
    return [
        ForecastExample(
            judged.who[k],
            judged.truth[max(0, k - reach) : k, 0].tolist(),
            judged.truth[k].tolist(),
            judged.answers[k].tolist(),
            [Band(name, low[k].tolist(), high[k].tolist()) for name, low, high in bands],
        )
        for k in dict.fromkeys(chosen)
    ]


def _stretch(judged: Judged, bands: Bands) -> ForecastExample:
    """The last forecasts of the first group."""
    names = [_group(who) for who in judged.who]
    rows = [k for k, name in enumerate(names) if name == names[0]][-STRETCH:]
    return ForecastExample(
        f"{judged.who[rows[0]]} to {judged.who[rows[-1]]}",
        [],
        judged.truth[rows, -1].tolist(),
        judged.answers[rows, -1].tolist(),
        [Band(name, low[rows, -1].tolist(), high[rows, -1].tolist()) for name, low, high in bands],
    )


def _worst_numbers(judged: Judged, errors: Doubles) -> list[WorstExample]:
    """The largest errors, of each answer its largest."""
    steps = np.abs(errors).argmax(axis=1)
    largest = errors[np.arange(len(errors)), steps]
    found = []
    for k in np.argsort(-np.abs(largest), kind="stable")[:WORST]:
        step = f", {steps[k] + 1} ahead" if errors.shape[1] > 1 else ""
        truth, answer = (f"{values[k, steps[k]]:.5g}" for values in (judged.truth, judged.answers))
        found.append(WorstExample(f"{judged.who[k]}{step}", truth, answer, float(largest[k])))
    return found


def _group(who: str) -> str:
    return who.rpartition(", ")[0]


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
