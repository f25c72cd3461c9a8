"""Charts of one model's answers: pure functions from a report's numbers to a plotly figure, in the data's own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from evornn.data.scaling import Doubles
from evornn.experiments.reporting.palette import COLOURS, GREY, Style, axes, label, styles
from evornn.models.importance import Importance
from evornn.models.report import SHOWN, CalibrationBin, ClassReport, Coverage, ForecastExample, NumberReport

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MODEL = Style(COLOURS[0], "circle", "solid")
PERCENT = f"{SHOWN:.0%}"


def confusion(report: ClassReport, theme: str = "light") -> Figure:
    """How often each class is taken for each; colours are shares of the true class."""
    counts = np.array(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [label(name) for name in report.classes]
    figure = axes(theme, "answer", "truth")
    colours = [[0, "rgba(0,114,178,0)"], [1, "rgba(0,114,178,0.75)"]]
    figure.add_heatmap(
        x=names, y=names, z=shares, zmin=0, zmax=1, colorscale=colours, xgap=2, ygap=2, showscale=False,
        text=counts, texttemplate="%{text}" if len(names) <= 20 else None,
        hovertemplate="%{y} taken for %{x}: %{text} (%{z:.0%})<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, type="category")
    return figure.update_yaxes(showgrid=False, type="category", autorange="reversed")


def roc(report: ClassReport, theme: str = "light") -> Figure:
    """ROC curves: of the second class of two, else of each against all others."""
    figure = axes(theme, "share of the others that is taken for the class", "share of the class that is recognised")
    for name, style in styles(curve.name for curve in report.roc).items():
        curve = next(one for one in report.roc if one.name == name)
        line = {"color": style.colour, "dash": style.dash, "width": 2}
        x, y = curve.false_positives, curve.true_positives
        figure.add_scatter(x=x, y=y, mode="lines", name=label(name), line=line, showlegend=True)
    _diagonal(figure, 0, 1, "by chance")
    figure.update_xaxes(range=[-0.01, 1.01], tickformat=".0%")
    return figure.update_yaxes(range=[-0.01, 1.02], tickformat=".0%")


def calibration(bins: Sequence[CalibrationBin], theme: str = "light") -> Figure:
    """Probabilities that were said, and how often it came so, by tenths; larger points are more answers."""
    most = max(one.count for one in bins)
    figure = axes(theme, "probability that was said", "share that came so")
    _diagonal(figure, 0, 1, "calibrated")
    figure.add_scatter(
        x=[one.said for one in bins], y=[one.came for one in bins], mode="lines+markers", name="the model",
        marker={"size": [6 + 14 * np.sqrt(one.count / most) for one in bins], "color": MODEL.colour, "opacity": 0.8},
        line={"color": MODEL.colour, "width": 1.5}, customdata=[one.count for one in bins],
        hovertemplate="said %{x:.0%}, came %{y:.0%}: %{customdata} answers<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure.update_yaxes(range=[-0.05, 1.05], tickformat=".0%")


def agreement(report: NumberReport, theme: str = "light") -> Figure:
    """Predicted against measured values; exact ones lie on the diagonal."""
    figure = axes(theme, f"{label(report.column)}, measured", f"{label(report.column)}, predicted")
    _diagonal(figure, min(report.truth), max(report.truth), "exact")
    return _points(figure, report, report.truth, report.answer)


def residuals(report: NumberReport, theme: str = "light") -> Figure:
    """Prediction − measurement against the prediction, with the interval."""
    errors = np.subtract(report.answer, report.truth)
    figure = axes(theme, f"{label(report.column)}, predicted", "predicted − measured")
    _points(figure, report, report.answer, errors)
    _line(figure, 0, "none")
    if report.half_width is not None:
        for sign in (-1, 1):
            _line(figure, sign * report.half_width, f"{PERCENT} interval", dash="dot", legend=sign > 0)
    return figure


def residual_distribution(report: NumberReport, theme: str = "light") -> Figure:
    """How often residuals have which size."""
    figure = axes(theme, "predicted − measured", "answers")
    errors = np.subtract(report.answer, report.truth)
    figure.add_histogram(
        x=errors, nbinsx=int(np.clip(1.5 * np.sqrt(len(errors)), 8, 40)), name="answers", showlegend=False,
        marker={"color": MODEL.rgba(0.55), "line": {"color": MODEL.colour, "width": 1}},
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "dash": "dash", "width": 1.5})
    return figure.update_layout(bargap=0.03)


def errors_by_horizon(report: NumberReport, theme: str = "light") -> Figure:
    """RMSE and MAE so many rows ahead, and half the width of intervals."""
    steps = report.by_horizon
    figure = axes(theme, "rows ahead", f"error of {label(report.column)}")
    lines: dict[str, list[float | None]] = {
        "RMSE": [one.rmse for one in steps],
        "MAE": [one.mae for one in steps],
        f"half the {PERCENT} interval": [one.half_width for one in steps],
    }
    for (name, values), style in zip(lines.items(), styles(lines).values(), strict=True):
        if any(value is not None for value in values):
            line = {"color": style.colour, "dash": style.dash, "width": 2}
            marker = {"symbol": style.symbol, "size": 6}
            x = [one.step for one in steps]
            figure.add_scatter(x=x, y=values, name=name, mode="lines+markers", line=line, marker=marker)
    return figure.update_yaxes(rangemode="tozero")


def coverage(measured: Sequence[Coverage], theme: str = "light") -> Figure:
    """What intervals promise and hold."""
    known = [one for one in measured if one.reached is not None]
    figure = axes(theme, "coverage asked for", "share of the truth inside")
    _diagonal(figure, 0.4, 1, "as promised")
    return _reached(figure, known)


def quantile_levels(measured: Sequence[Coverage], theme: str = "light") -> Figure:
    """What quantiles promise and hold."""
    figure = axes(theme, "level of the quantile", "share of the truth that is not above it")
    _diagonal(figure, 0, 1, "as promised")
    return _reached(figure, measured)


def _reached(figure: Figure, known: Sequence[Coverage]) -> Figure:
    x, y = [one.asked for one in known], [one.reached for one in known]
    line, marker = {"color": MODEL.colour, "width": 1.5}, {"color": MODEL.colour, "size": 9}
    figure.add_scatter(x=x, y=y, mode="lines+markers", name="the model", line=line, marker=marker)
    figure.update_xaxes(tickformat=".0%", tickvals=x)
    return figure.update_yaxes(tickformat=".0%")


def example(shown: ForecastExample, column: str, theme: str = "light") -> Figure:
    """A forecast after the rows before it."""
    figure = axes(theme, "rows from the last known one", label(column))
    before, ahead = list(range(1 - len(shown.before), 1)), list(range(1, len(shown.truth) + 1))
    _band(figure, ahead, shown)
    known = {"color": GREY, "width": 2.5}
    figure.add_scatter(x=before + ahead, y=shown.before + shown.truth, mode="lines", name="measured", line=known)
    line = {"color": MODEL.colour, "width": 2}
    figure.add_scatter(x=ahead, y=shown.answer, mode="lines+markers", name="forecast", line=line, marker={"size": 5})
    return figure.add_vline(x=0, line={"color": GREY, "dash": "dot", "width": 1})


def stretch(shown: ForecastExample, column: str, theme: str = "light") -> Figure:
    """Consecutive forecasts, each at its last step, over the series."""
    rows = list(range(1, len(shown.truth) + 1))
    figure = axes(theme, "row", label(column))
    _band(figure, rows, shown)
    measured, said = {"color": GREY, "width": 2.5}, {"color": MODEL.colour, "width": 1.6}
    figure.add_scatter(x=rows, y=shown.truth, mode="lines", name="measured", line=measured)
    return figure.add_scatter(x=rows, y=shown.answer, mode="lines", name="forecast", line=said)


def importance(columns: Sequence[Importance], theme: str = "light") -> Figure:
    """How much the error grows when a column is shuffled, with 95 % intervals; the most important on top."""
    shown = list(columns)[:30][::-1]
    figure = axes(theme, "growth of the error when the column is shuffled", "")
    figure.add_bar(
        x=[one.increase for one in shown], y=[label(one.column) for one in shown], orientation="h", showlegend=False,
        marker={"color": MODEL.rgba(0.55), "line": {"color": MODEL.colour, "width": 1.5}},
        error_x={
            "type": "data", "array": [one.high - one.increase for one in shown], "color": GREY, "thickness": 1.5,
            "width": 4,
        },
        hovertemplate="%{y}: %{x:+.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(bargap=0.35 if len(shown) > 3 else 0.6)
    figure.update_xaxes(tickformat="+.2~%", rangemode="tozero")
    return figure.update_yaxes(type="category", showgrid=False)


def _points(figure: Figure, report: NumberReport, x: Sequence[float], y: Sequence[float] | Doubles) -> Figure:
    marker = {"size": 5, "opacity": 0.6, "color": MODEL.colour}
    return figure.add_scatter(
        x=x, y=y, mode="markers", marker=marker, name="answers", text=[label(who) for who in report.who],
        hovertemplate="%{text}: %{x:.5g}, %{y:.5g}<extra></extra>", showlegend=False,
    )  # fmt: skip


def _band(figure: Figure, x: Sequence[int], shown: ForecastExample) -> None:
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    for band in shown.bands:
        figure.add_scatter(x=x, y=band.low, showlegend=False, **edge)
        figure.add_scatter(x=x, y=band.high, fill="tonexty", fillcolor=MODEL.rgba(), name=band.name, **edge)


def _diagonal(figure: Figure, low: float, high: float, name: str) -> None:
    line = {"color": GREY, "dash": "dash", "width": 1.5}
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=line, name=name, hoverinfo="skip")


def _line(figure: Figure, y: float, name: str, dash: str = "dash", legend: bool = False) -> None:
    line = {"color": GREY, "dash": dash, "width": 1.5}
    figure.add_hline(y=y, line=line, name=name, showlegend=legend, layer="below")
