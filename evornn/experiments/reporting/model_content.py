"""What the report of a model says, before it is a page: sentences, charts and tables. The page of
`evornn evaluate --report` and the dashboard show the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from evornn.experiments.analysis.narrative import number, plural
from evornn.experiments.reporting import model_charts as charts
from evornn.experiments.reporting.report_figures import CaptionedFigure
from evornn.experiments.reporting.report_table import ReportTable
from evornn.models.importance import Importance
from evornn.models.report import SHOWN, ClassReport, ModelReport, NumberReport, WorstExample
from evornn.models.saved_model import SavedModel
from evornn.tasks.core.class_scores import NAMES
from evornn.tasks.core.forecast_errors import LABELS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CaptionTuple: TypeAlias = "tuple[str, Figure, bool]"


@dataclass(frozen=True)
class ReportSection:
    """A part of the report."""

    title: str
    pictures: Sequence[CaptionedFigure] = ()
    tables: Sequence[ReportTable] = ()
    note: str = ""


@dataclass(frozen=True)
class ModelContent:
    """All of it, the most important first."""

    title: str
    about: str
    answers: Sequence[str]
    sections: Sequence[ReportSection]


def table_content(model: SavedModel, report: ModelReport) -> ModelContent:
    """Of a model whose answers are classes and numbers."""
    columns: list[ClassReport | NumberReport] = [*report.classes, *report.numbers]
    named = ", ".join(one.column for one in columns)
    return ModelContent(
        f"Report of a model: {model.own_preparation.question} {named}",
        f"{plural(report.answers, 'answer')} on {report.source}, by {str(model.network)[1:-1]}.",
        [_describe(report, one) for one in columns],
        [
            measures_section(report.source, report.measures, report.test, _trained(model)),
            *(_section(k, one, model) for k, one in enumerate(columns)),
            _inputs(report.importance),
        ],
    )


def measures_section(
    source: str,
    here: Mapping[str, Mapping[str, float | None]],
    test: Mapping[str, Mapping[str, float | None]],
    note: str = "",
) -> ReportSection:
    """Measures on a file, beside those on the model's own test split where they are known."""
    names = list(dict.fromkeys(name for values in here.values() for name in values))
    rows = list[tuple[str, ...]]()
    for column, values in here.items():
        rows.append((column, source, *(number(values.get(name)) for name in names)))
        if column in test:
            rows.append(("", "its test split", *(number(test[column].get(name)) for name in names)))
    head = ("answer", "data", *({**LABELS, **NAMES}.get(name, name.replace("_", " ")) for name in names))
    caption = "On this file; below, where it is known, on the model's own test split."
    return ReportSection("Measures", tables=[ReportTable(caption, head, tuple(rows), words=2)], note=note)


def caption_figures(prefix: str, figures: Sequence[CaptionTuple]) -> list[CaptionedFigure]:
    """Charts with ids that no others of the page have."""
    return [
        CaptionedFigure(f"{prefix}-{k}", caption, figure, wide) for k, (caption, figure, wide) in enumerate(figures)
    ]


def _trained(model: SavedModel) -> str:
    score = model.metrics.score
    return f"When it was trained: {score} {number(model.metrics.test_score)} on test." if score else ""


def _section(k: int, one: ClassReport | NumberReport, model: SavedModel) -> ReportSection:
    is_class = isinstance(one, ClassReport)
    figures = _class_figures(one) if isinstance(one, ClassReport) else _number_figures(one, model)
    tables = [_worst(one.worst, is_class)] if one.worst else []
    note = "No answer is wrong." if is_class and not one.worst else ""
    return ReportSection(one.column, caption_figures(f"chart-{k}", figures), tables, note)


def _worst(examples: Sequence[WorstExample], is_class: bool) -> ReportTable:
    wrong = "Wrong answers, those first that give the true class the least probability."
    return ReportTable(
        wrong if is_class else "The largest errors.",
        ("which", "truth", "answer", "probability of the truth" if is_class else "error"),
        tuple((one.who, one.truth, one.answer, number(one.error, 3)) for one in examples),
        "Worst examples",
    )


def _inputs(importance: Sequence[Importance]) -> ReportSection:
    rows = [
        (one.column, f"{100 * one.increase:+.1f} %", f"{100 * one.low:+.1f} to {100 * one.high:+.1f} %")
        for one in importance
    ]
    head = ("column", "growth of the error", "95 % interval")
    pictures = caption_figures("importance", [(IMPORTANCE, charts.importance(importance), True)])
    return ReportSection("What the model reads", pictures, [ReportTable("The same as numbers.", head, tuple(rows))])


IMPORTANCE = (
    "The error (log-loss, or RMSE) with one column shuffled, against that with all as they are. Whiskers: 95 % "
    "interval of the mean over repeats. Columns that tell the same may each look unimportant."
)


def _class_figures(one: ClassReport) -> list[CaptionTuple]:
    what = f"of {one.classes[1]}" if len(one.classes) == 2 else "of each class"
    return [
        ("Confusion: how often the class of a row is taken for that of a column.", charts.confusion(one), False),
        ("ROC: the further above the diagonal, the better classes are told apart, whatever the threshold.",
         charts.roc(one), False),
        (f"Calibration: probabilities {what} by tenths, and how often it came so. Larger points are more answers.",
         charts.calibration(one.calibration), False),
    ]  # fmt: skip


def _number_figures(one: NumberReport, model: SavedModel) -> list[CaptionTuple]:
    horizon = len(one.by_horizon)
    ahead = f", {horizon} {'row' if horizon == 1 else 'rows'} ahead" if one.stretch is not None else ""
    figures: list[CaptionTuple] = []
    if one.stretch is not None:
        text = f"Forecasts {horizon} {'row' if horizon == 1 else 'rows'} ahead over the measured series"
        figures.append((f"{text}, made at {one.stretch.who}.", charts.stretch(one.stretch, one.column), True))
    figures += [
        (f"A forecast from the end of {shown.who}, and the rows before it.", charts.example(shown, one.column), False)
        for shown in one.examples
    ]
    if horizon > 1:
        figures.append(("Errors by rows ahead.", charts.errors_by_horizon(one), False))
    figures += [
        (f"Predicted against measured{ahead}; exact on the diagonal.", charts.agreement(one), False),
        (f"Residuals against the prediction{ahead}: a slope or a funnel is something the model has not learnt.",
         charts.residuals(one), False),
        (f"Distribution of residuals{ahead}.", charts.residual_distribution(one), False),
    ]  # fmt: skip
    if any(coverage.reached is not None for coverage in one.coverage):
        text = "Conformal intervals, calibrated on validation data: the share of the truth that they hold here."
        figures.append((text, charts.coverage(one.coverage), False))
    if one.levels:
        text = "Quantiles: the share of the truth that is not above each, which should be its level."
        figures.append((text, charts.quantile_levels(one.levels), False))
    return figures


def _describe(report: ModelReport, one: ClassReport | NumberReport) -> str:
    """The answer that a reader wants first."""
    values = report.measures[one.column]
    if isinstance(one, ClassReport):
        counts = [sum(row) for row in one.confusion]
        most = max(counts) / sum(counts)
        return (
            f"{one.column}: {values['accuracy']:.1%} of {sum(counts)} answers are right; the most frequent class alone "
            f"would be right in {most:.1%}."
        )
    held = next((c.reached for c in one.coverage if c.asked == SHOWN), None)
    interval = "" if held is None else f" Intervals for {SHOWN:.0%} hold {held:.1%} of the truth."
    r2 = values["r2"]
    share = "its spread is not explained" if r2 is None else f"R² is {r2:.3g}"
    return f"{one.column}: answers are off by {values['mae']:.4g} on average; {share}.{interval}"
