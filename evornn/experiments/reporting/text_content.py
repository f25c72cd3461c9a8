"""What the report of a model of a text says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evornn.experiments.analysis.narrative import number
from evornn.experiments.reporting import model_charts
from evornn.experiments.reporting.model_content import (
    ModelContent,
    ReportSection,
    caption_figures,
    measures_section,
)
from evornn.experiments.reporting.palette import axes
from evornn.experiments.reporting.report_table import ReportTable
from evornn.models.saved_model import SavedModel
from evornn.models.text_report import Continuation, Passage, Stretch, SymbolKind, TextReport, what_is_one

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def text_content(model: SavedModel, report: TextReport) -> ModelContent:
    """See `model_page.model_content`."""
    one = what_is_one(report)
    pictures = [
        (f"Bits per {one} along the text: means of stretches.", _course(report.course, one), True),
        (
            f"Calibration: the probability of the most probable {one} by tenths, and how often it came so. Larger "
            "points are more answers.",
            model_charts.calibration(report.calibration),
            False,
        ),
        (f"Bits per {one}, by kinds.", _bars(report.kinds, one), False),
    ]
    return ModelContent(
        "Report of a model of a text",
        f"{report.answers:,} {one}s of {report.source}, by {str(model.network)[1:-1]}.",
        _answers(report, one),
        [
            measures_section(report.source, report.measures, report.test),
            ReportSection("What it expects", caption_figures("text", pictures), [_kinds(report.kinds, one)]),
            ReportSection("What it did not expect", tables=[_passages(report.worst, one)]),
            ReportSection("How it goes on", tables=[_continuations(report.continuations)]),
        ],
    )


def _answers(report: TextReport, one: str) -> list[str]:
    (values,) = report.measures.values()
    low, high = values["bits_low"], values["bits_high"]
    interval = "" if low is None else f" (95 % interval {number(low)} to {number(high)})"
    said = [
        f"{number(values['bits'])} bits per {one}{interval}, perplexity {number(values['perplexity'])}; the most "
        f"probable {one} is right in {values['accuracy'] or 0:.1%}."
    ]
    if values["unknown"]:
        said.append(f"{values['unknown']:.1%} of the text is unknown: training had none of it.")
    return said


def _course(course: Sequence[Stretch], one: str) -> Figure:
    figure = axes("light", f"{one} number", f"bits per {one}")
    x, y = [part.start for part in course], [part.bits for part in course]
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": model_charts.MODEL.colour, "width": 1.8}, showlegend=False
    )
    return figure.update_yaxes(rangemode="tozero")


def _bars(kinds: Sequence[SymbolKind], one: str) -> Figure:
    figure = axes("light", f"bits per {one}", "")
    figure.add_bar(
        y=[kind.name for kind in kinds], x=[kind.bits for kind in kinds], orientation="h", showlegend=False,
        marker={"color": model_charts.MODEL.colour}, customdata=[kind.count for kind in kinds],
        hovertemplate="%{y}: %{x:.3g} bits, %{customdata} in the text<extra></extra>",
    )  # fmt: skip
    return figure.update_yaxes(autorange="reversed", type="category", showgrid=False)


def _kinds(kinds: Sequence[SymbolKind], one: str) -> ReportTable:
    total = sum(kind.count for kind in kinds)
    rows = [
        (kind.name, f"{kind.count:,}", f"{kind.count / total:.1%}", number(kind.bits), f"{kind.accuracy:.1%}")
        for kind in kinds
    ]
    head = ("kind", "how many", "share", f"bits per {one}", f"most probable {one} is right")
    return ReportTable(f"Kinds of {one}s, the most frequent first.", head, tuple(rows))


def _passages(worst: Sequence[Passage], one: str) -> ReportTable:
    rows = [(f"… {shown.before}", shown.text, f"{shown.start:,}", number(shown.bits, 3)) for shown in worst]
    head = ("after", "came", f"at {one}", f"bits per {one}")
    return ReportTable("Passages of equal length that cost the most bits.", head, tuple(rows), "Worst passages", 2)


def _continuations(examples: Sequence[Continuation]) -> ReportTable:
    rows = [(f"{shown.temperature:g}", shown.prompt, f"… {shown.text}") for shown in examples]
    caption = "How the model goes on from the beginning of the text; a lower temperature is bolder."
    return ReportTable(caption, ("temperature", "after", "it says"), tuple(rows), words=3)
