"""Components of pages: headings, badges, tables, charts, and numbers for readers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from evornn.experiments.analysis.narrative import number
from evornn.experiments.reporting.palette import template
from evornn.service.reading.figures import FigureJson
from evornn.store.records import StoredRun

CONFIG: Any = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
TERMINAL_STATES = ("succeeded", "failed", "cancelled")
LIVE_MS = 1000  # between two refreshes of live content
NEVER, ALWAYS = 0, -1  # how often a dcc.Interval may tick


def heading(title: str, *beside: Any) -> Component:
    """The title of a page, and components beside it."""
    return html.Div([html.H1(title), *beside], className="heading")


def error_message(text: str) -> Component:
    """An error: what can't be shown or done, and why."""
    return html.P(text, role="alert", className="problem")


def problem_message(text: str) -> Component:
    """A lasting problem: why nothing is computed, and what to do."""
    return html.P(text[0].upper() + text[1:], role="status", className="problem")


def empty_state(text: str, *beside: Any) -> Component:
    """A placeholder for missing content: why it is missing, and what to do."""
    return html.Div([html.P(text), *beside], className="nothing")


def loading_message() -> Component:
    """A placeholder while a page is loading."""
    return html.P("Loading …", className="muted", role="status")


def badge(state: str) -> Component:
    """A state in its colour."""
    return html.Span(state, className=f"state state-{state}")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str, **body: Any) -> Component:
    """A table below its caption, which scrolls sideways if it is too wide.

    Args:
        head: Headings of the columns.
        rows: Cells, as text or components.
        caption: The caption.
        body: Properties of the table's body, such as an id.
    """
    parts = [html.Thead(html.Tr([html.Th(name, scope="col") for name in head])), html.Tbody(table_rows(rows), **body)]
    scrolling = html.Div(html.Table(parts), className="scrolls", tabIndex="0", role="region", **_aria_label(caption))
    return html.Div([html.P(caption, className="muted"), scrolling])


def table_rows(rows: Sequence[Sequence[Any]]) -> list[Component]:
    """Rows to put into a table, or to append to it."""
    return [html.Tr([html.Td(cell) for cell in row]) for row in rows]


def facts(pairs: Mapping[str, Any], across: bool = False) -> Component:
    """Names and values, below each other or across the page; empty values are left out."""
    known = {name: value for name, value in pairs.items() if value not in (None, "", {}, [])}
    shown = [html.Div([html.Dt(name), html.Dd(value)]) for name, value in known.items()]
    return html.Dl(shown, className="across" if across else "")


def chart(figure: Any, theme: str, name: str, **more: Any) -> Component:
    """A chart in the page's theme.

    Args:
        figure: A plotly figure, or its plain data.
        theme: "light" or "dark".
        name: Label for screen readers.
        more: Properties of the graph.
    """
    if hasattr(figure, "update_layout"):
        figure.update_layout(template=template(theme))
    else:
        figure["layout"]["template"] = template(theme).to_plotly_json()
    layout = figure.to_plotly_json()["layout"] if hasattr(figure, "to_plotly_json") else figure["layout"]
    height = layout.get("height")
    graph = dcc.Graph(figure=figure, config=CONFIG, style={"height": f"{height or 380}px"}, **more)
    return html.Div(graph, className="chart", role="group", **_aria_label(name))


def drawings(items: Sequence[FigureJson], theme: str) -> Component:
    """Charts with their captions."""
    shown = [
        html.Figure(
            [html.Figcaption(one.caption), chart(json.loads(one.figure), theme, one.caption)],
            className="wide" if one.wide else "",
        )
        for one in items
    ]
    return html.Div(shown, className="charts")


def select(label: str, options: Sequence[Any], **more: Any) -> Any:
    """A drop-down list.

    Args:
        label: The label.
        options: Values, or mappings of value and label.
        more: Properties of the list.
    """
    return dmc.Select(
        label=label, data=list(options), allowDeselect=False, comboboxProps={"withinPortal": True}, **more
    )


def progress_share(run: StoredRun) -> float:
    """Share of its budget that a run has spent, 0 … 1; 1 if it succeeded, whatever stopped it."""
    if run.state == "succeeded":
        return 1.0
    marks = int(run.budget.get("marks", 100))
    return min((run.mark or 0) / marks, 1.0)


def time_left(run: StoredRun) -> str:
    """The time that a running run still needs at its speed so far."""
    done = progress_share(run)
    if run.state != "running" or not run.seconds or not 0 < done < 1:
        return ""
    return duration(run.seconds / done * (1 - done))


def duration(seconds: float | None) -> str:
    """Seconds in words, a dash if unknown.

    >>> duration(75.2)
    '1 min 15 s'
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{number(seconds, 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def timestamp(seconds: float | None) -> str:
    """UTC epoch seconds as a date and time; a dash if unknown."""
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _aria_label(name: str) -> dict[str, Any]:
    return {"aria-label": name}
