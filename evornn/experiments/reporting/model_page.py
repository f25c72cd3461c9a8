"""The report of a model: one self-contained HTML page. How good it is, where it fails, what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

from evornn.experiments.reporting import model_charts as charts
from evornn.experiments.reporting.report import render_page
from evornn.experiments.reporting.report_figures import CaptionedFigure
from evornn.models.report import SHOWN, ClassReport, ModelReport, NumberReport, WorstExample
from evornn.models.saved_model import SavedModel
from evornn.tasks.core.class_scores import NAMES
from evornn.tasks.core.forecast_errors import LABELS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CaptionTuple: TypeAlias = "tuple[str, Figure, bool]"


@dataclass(frozen=True)
class AnswerSection:
    """What the page says of one column."""

    column: str
    pictures: Sequence[CaptionedFigure]
    worst: Sequence[WorstExample]
    is_class: bool


def model_page(model: SavedModel, report: ModelReport) -> str:
    """The page.

    Args:
        model: That gave the answers.
        report: Of `StandaloneModel.report`.
    """
    columns: list[ClassReport | NumberReport] = [*report.classes, *report.numbers]
    sections = [_section(k, one, model) for k, one in enumerate(columns)]
    inputs = _captioned("importance", [(_IMPORTANCE, charts.importance(report.importance), True)])
    measure_names = list(dict.fromkeys(name for values in report.measures.values() for name in values))
    return render_page(
        "model.html",
        [*(picture for section in sections for picture in section.pictures), *inputs],
        title=f"Report of a model: {model.own_preparation.question} {', '.join(one.column for one in columns)}",
        model=model,
        report=report,
        sections=sections,
        inputs=inputs,
        measure_names=measure_names,
        names={name: {**LABELS, **NAMES}.get(name, name.replace("_", " ")) for name in measure_names},
        answers=[_describe(report, one) for one in columns],
        provenance={name: value for name, value in asdict(model.provenance).items() if value not in (None, "")},
    )


_IMPORTANCE = (
    "The error (log-loss, or RMSE) with one column shuffled, against that with all as they are. Whiskers: 95 % "
    "interval of the mean over repeats. Columns that tell the same may each look unimportant."
)


def _section(k: int, one: ClassReport | NumberReport, model: SavedModel) -> AnswerSection:
    is_class = isinstance(one, ClassReport)
    figures = _class_figures(one) if isinstance(one, ClassReport) else _number_figures(one, model)
    return AnswerSection(one.column, _captioned(f"chart-{k}", figures), one.worst, is_class)


def _captioned(prefix: str, figures: Sequence[CaptionTuple]) -> list[CaptionedFigure]:
    return [
        CaptionedFigure(f"{prefix}-{k}", caption, figure, wide) for k, (caption, figure, wide) in enumerate(figures)
    ]


def _class_figures(one: ClassReport) -> list[CaptionTuple]:
    what = f"of {one.classes[1]}" if len(one.classes) == 2 else "of each class"
    return [
        ("Confusion: how often the class of a row is taken for that of a column.", charts.confusion(one), False),
        ("ROC: the further above the diagonal, the better classes are told apart, whatever the threshold.",
         charts.roc(one), False),
        (f"Calibration: probabilities {what} by tenths, and how often it came so. Larger points are more answers.",
         charts.calibration(one), False),
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
