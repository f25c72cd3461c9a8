"""What pages are made of: headings, badges, tables, charts, and numbers for reading."""

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
LIVE_MS = 1000  # between two looks at something that moves
NEVER, ALWAYS = 0, -1  # how often a dcc.Interval may tick


def heading(title: str, *beside: Any) -> Component:
    """The page's title, and what stands beside it."""
    return html.Div([html.H1(title), *beside], className="heading")


def error_message(text: str) -> Component:
    """What can't be shown or done, and why."""
    return html.P(text, role="alert", className="problem")


def empty_state(text: str, *beside: Any) -> Component:
    """Where there is nothing yet: why, and what to do."""
    return html.Div([html.P(text), *beside], className="nothing")


def loading_message() -> Component:
    """While a page is on its way."""
    return html.P("Loading …", className="muted", role="status")


def badge(state: str) -> Component:
    return html.Span(state, className=f"state state-{state}")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str, **body: Any) -> Component:
    """A table that scrolls sideways where it is too wide, below a line that says what it holds."""
    parts = [html.Thead(html.Tr([html.Th(name, scope="col") for name in head])), html.Tbody(table_rows(rows), **body)]
    scrolling = html.Div(html.Table(parts), className="scrolls", tabIndex="0", role="region", **_aria_label(caption))
    return html.Div([html.P(caption, className="muted"), scrolling])


def table_rows(rows: Sequence[Sequence[Any]]) -> list[Component]:
    """Of a table, to be put into one or behind those that are there."""
    return [html.Tr([html.Td(cell) for cell in row]) for row in rows]


def facts(pairs: Mapping[str, Any], across: bool = False) -> Component:
    """Names and values, below each other or across the page; what is not known is left out."""
    known = {name: value for name, value in pairs.items() if value not in (None, "", {}, [])}
    shown = [html.Div([html.Dt(name), html.Dd(value)]) for name, value in known.items()]
    return html.Dl(shown, className="across" if across else "")


def chart(figure: Any, theme: str, name: str, **more: Any) -> Component:
    """A figure (plotly's, or its plain data) in the page's theme; `name` is what it is to those who can't see it."""
    if hasattr(figure, "update_layout"):
        figure.update_layout(template=template(theme))
    else:
        figure["layout"]["template"] = template(theme).to_plotly_json()
    layout = figure.to_plotly_json()["layout"] if hasattr(figure, "to_plotly_json") else figure["layout"]
    height = layout.get("height")
    graph = dcc.Graph(figure=figure, config=CONFIG, style={"height": f"{height or 380}px"}, **more)
    return html.Div(graph, className="chart", role="group", **_aria_label(name))


def drawings(items: Sequence[FigureJson], theme: str) -> Component:
    """Charts with the sentence that says how to read each."""
    shown = [
        html.Figure(
            [html.Figcaption(one.caption), chart(json.loads(one.figure), theme, one.caption)],
            className="wide" if one.wide else "",
        )
        for one in items
    ]
    return html.Div(shown, className="charts")


def select(label: str, options: Sequence[Any], **more: Any) -> Any:
    """One of several."""
    return dmc.Select(
        label=label, data=list(options), allowDeselect=False, comboboxProps={"withinPortal": True}, **more
    )


def progress_share(run: StoredRun) -> float:
    """How much of its budget a run has spent, 0 … 1; 1 when it succeeded, whatever ended it."""
    if run.state == "succeeded":
        return 1.0
    marks = int(run.budget.get("marks", 100))
    return min((run.mark or 0) / marks, 1.0)


def time_left(run: StoredRun) -> str:
    """The time that a running run still needs, if it goes on as so far."""
    done = progress_share(run)
    if run.state != "running" or not run.seconds or not 0 < done < 1:
        return ""
    return duration(run.seconds / done * (1 - done))


def duration(seconds: float | None) -> str:
    """`75.2` → `1 min 15 s`; a dash for what is not known."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{number(seconds, 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def timestamp(seconds: float | None) -> str:
    """A time by the database's clock, UTC."""
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _aria_label(name: str) -> dict[str, Any]:
    return {"aria-label": name}
