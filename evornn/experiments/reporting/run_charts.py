"""Charts of one run, running or finished: its learning curve, and its trainer's own numbers.

A live chart is drawn once and then extended: `curve_points` and `searcher_points` return the points of further rows in
the order of the chart's traces. Non-finite values are gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

from evornn.experiments.reporting.palette import COLOURS, Style, axes, label, template
from evornn.training.records import Row

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Points: TypeAlias = "dict[str, list[list[float | None]]]"  # x and y, a list per trace

AXES = {  # field of a row → title
    "network_steps": "network steps",
    "updates": "updates (generations or gradient steps)",
    "seconds": "computing time [s]",
}
_BEST, _VALID = Style(COLOURS[0], "circle", "solid"), Style(COLOURS[4], "square", "solid")
TRACES: dict[str, dict[str, Any]] = {  # field of a row → style of its trace
    "q25": {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False},
    "q75": {
        "line": {"width": 0}, "fill": "tonexty", "fillcolor": _BEST.rgba(), "name": "middle half of the population",
        "hoverinfo": "skip",
    },
    "median": {"line": {"color": _BEST.colour, "width": 1.5, "dash": "dot"}, "name": "median, training"},
    "best": {"line": {"color": _BEST.colour, "width": 2}, "name": "best, training"},
    "valid": {"line": {"color": _VALID.colour, "width": 1.5, "dash": "dot"}, "name": "now, validation"},
    "champion_valid": {"line": {"color": _VALID.colour, "width": 2}, "name": "best so far, validation"},
}  # fmt: skip


def run_curve(
    rows: Sequence[Row], x: str = "network_steps", log_x: bool = False, log_y: bool = True, theme: str = "light"
) -> Figure:
    """Losses at every budget mark: best, median and middle half of the population; validation loss now and at its best.

    Args:
        rows: Rows of the run.
        x: A key of AXES.
        log_x: Whether the x axis is logarithmic.
        log_y: Whether the y axis is logarithmic, unless a loss is negative.
        theme: "light" or "dark".
    """
    figure = axes(theme, AXES[x], "loss")
    points = curve_points(rows, x)
    for (_, look), at, values in zip(TRACES.items(), points["x"], points["y"], strict=True):
        figure.add_scatter(x=at, y=values, mode="lines", connectgaps=False, **look)
    figure.update_xaxes(type="log" if log_x else "linear", tickformat="~s" if x != "seconds" else None)
    known = [value for values in points["y"] for value in values if value is not None]
    log_y = log_y and all(value >= 0 for value in known)  # a loss that is minus a return may be negative
    above = [value for value in known if value > 0]
    few = bool(above) and max(above) < 300 * min(above)  # ticks at 1, 2 and 5
    return figure.update_yaxes(
        type="log" if log_y else "linear", tickformat=".3~g", dtick="D2" if log_y and few else None
    )


def curve_points(rows: Sequence[Row], x: str) -> Points:
    """The points of rows in `run_curve`, in the order of its traces."""
    at = [_finite_or_none(getattr(row, x)) for row in rows]
    return {"x": [at for _ in TRACES], "y": [[_finite_or_none(getattr(row, name)) for row in rows] for name in TRACES]}


def searcher_names(rows: Sequence[Row]) -> list[str]:
    """Names of the numbers that the trainer reports: sigma, gradient_norm, …"""
    return sorted({name for row in rows for name in row.extra})


def searcher(rows: Sequence[Row], names: Sequence[str], x: str = "network_steps", theme: str = "light") -> Figure:
    """The trainer's own numbers, one chart below the other on a common axis: step size, condition, diversity, gradient.

    Args:
        rows: Rows of the run.
        names: Which numbers.
        x: A key of AXES.
        theme: "light" or "dark".
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=max(len(names), 1), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    points = searcher_points(rows, names, x)
    for k, (name, at, values) in enumerate(zip(names, points["x"], points["y"], strict=True), 1):
        line = {"color": COLOURS[(k - 1) % len(COLOURS)], "width": 2}
        figure.add_scatter(x=at, y=values, mode="lines", line=line, name=label(name), row=k, col=1)
        positive = [value for value in values if value is not None and value > 0]
        wide = len(positive) == len([v for v in values if v is not None]) and max(positive, default=0) > 10 * min(
            positive, default=1
        )
        figure.update_yaxes(
            title_text=label(name.replace("_", " ")), type="log" if wide else "linear", tickformat=".3~g", row=k, col=1
        )
    figure.update_layout(template=template(theme), showlegend=False, height=max(220, 170 * len(names)))
    tickformat = "~s" if x != "seconds" else None
    return figure.update_xaxes(title_text=AXES[x], tickformat=tickformat, row=max(len(names), 1), col=1)


def searcher_points(rows: Sequence[Row], names: Sequence[str], x: str) -> Points:
    """The points of rows in `searcher`, in the order of its traces.

    Args:
        rows: Rows of the run.
        names: Which numbers.
        x: A key of AXES.
    """
    at = [_finite_or_none(getattr(row, x)) for row in rows]
    return {"x": [at for _ in names], "y": [[_finite_or_none(row.extra.get(name)) for row in rows] for name in names]}


def table_chart(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], x: str, y: str, kind: str = "points", theme: str = "light"
) -> Figure:
    """A column of a query's result against another.

    Args:
        columns: Names of the columns.
        rows: The rows.
        x: Name of a column.
        y: Name of a column.
        kind: "points", "lines" or "bars".
        theme: "light" or "dark".
    """
    figure = axes(theme, label(x), label(y))
    at, values = ([_axis_value(row[list(columns).index(name)]) for row in rows] for name in (x, y))
    if kind == "bars":
        figure.add_bar(x=at, y=values, marker={"color": COLOURS[0]})
        return figure
    mode = {"points": "markers", "lines": "lines"}[kind]
    return figure.add_scatter(
        x=at, y=values, mode=mode, marker={"color": COLOURS[0], "size": 7}, line={"color": COLOURS[0], "width": 2}
    )


def _finite_or_none(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _axis_value(value: Any) -> Any:
    """A cell for an axis: text is escaped, non-finite numbers are gaps."""
    if isinstance(value, (int, float)):
        return _finite_or_none(float(value))
    return None if value is None else label(value)
