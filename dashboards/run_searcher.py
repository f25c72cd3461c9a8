"""Charts of the trainer's own numbers (step size, condition, …), which grow while the run is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import ALWAYS, LIVE_MS, NEVER, TERMINAL_STATES, chart, empty_state
from evornn.dashboards.page_context import PageContext
from evornn.experiments.reporting import run_charts
from evornn.experiments.reporting.palette import template
from evornn.training.records import Row

TAB = "Searcher"
PATIENCE_MS = 10 * LIVE_MS  # until a request that is not answered is repeated
NONE = "This trainer reports no numbers of its own, or the run has not reached its first mark."


def panel(context: PageContext) -> Component:
    """The panel, empty until it is opened."""
    empty = chart(run_charts.searcher([], [], theme=context.theme), context.theme, TAB, id="run-searcher-chart")
    return html.Div(
        [
            html.Div(empty_state(NONE), id="run-searcher-none"),
            html.Div(empty, id="run-searcher", hidden=True),
            dcc.Store(id="run-searcher-seen", data={}),
            dcc.Interval(id="run-searcher-tick", interval=LIVE_MS, max_intervals=NEVER),
        ]
    )


def install(app: Dash, context: PageContext) -> None:
    """Register the callback of the panel."""

    @app.callback(
        output=dict(
            figure=Output("run-searcher-chart", "figure"),
            style=Output("run-searcher-chart", "style"),
            more=Output("run-searcher-chart", "extendData"),
            none=Output("run-searcher-none", "hidden"),
            hidden=Output("run-searcher", "hidden"),
            seen=Output("run-searcher-seen", "data"),
            ticks=Output("run-searcher-tick", "max_intervals"),
        ),
        inputs=dict(
            tab=Input("run-tabs", "value"),
            tick=Input("run-searcher-tick", "n_intervals"),
            ended=Input("run-tick", "disabled"),
            x=Input("run-x", "value"),
            number=State("run-number", "data"),
            seen=State("run-searcher-seen", "data"),
        ),
        running=[(Output("run-searcher-tick", "interval"), PATIENCE_MS, LIVE_MS)],
    )
    def refresh(
        tab: str, tick: int | None, ended: bool | None, x: str, number: int, seen: dict[str, Any]
    ) -> dict[str, Any]:
        unchanged = dict.fromkeys(("figure", "style", "more", "none", "hidden", "seen"), no_update)
        if tab != TAB:
            return unchanged | {"ticks": NEVER}
        run = context.store.run(number)
        updates = new_points(context, number, x, seen if is_behind(seen, x, run.mark) else {})
        return unchanged | updates | {"ticks": NEVER if run.state in TERMINAL_STATES else ALWAYS}


def is_behind(seen: Mapping[str, Any], x: str, mark: int | None) -> bool:
    """Whether the charts can be extended: they have the same axis, and the run has not started over.

    Args:
        seen: Position of the page.
        x: The chosen axis.
        mark: Last mark of the run.
    """
    return bool(seen) and seen["x"] == x and seen["mark"] <= (mark or 0)


def new_points(context: PageContext, number: int, x: str, seen: Mapping[str, Any]) -> dict[str, Any]:
    """The update by new rows. The charts are redrawn if the trainer reports a further number, and whenever the points
    have doubled, because an axis may then become logarithmic.

    Args:
        context: The page's context.
        number: Number of the run.
        x: The chosen axis.
        seen: Position of the page; empty: draw new charts.
    """
    if not seen:
        return full_charts(context.store.curve(number), x, context.theme)
    rows = context.store.curve(number, after=seen["mark"])
    if not rows:
        return {}
    points = seen["points"] + len(rows)
    if points >= 2 * seen["drawn"] or not set(run_charts.searcher_names(rows)) <= set(seen["names"]):
        return full_charts(context.store.curve(number), x, context.theme)
    more = run_charts.searcher_points(rows, seen["names"], x)
    now = {**seen, "mark": rows[-1].mark, "points": points}
    return {"more": [more, list(range(len(seen["names"])))], "seen": now}


def full_charts(rows: Sequence[Row], x: str, theme: str) -> dict[str, Any]:
    """The update that draws new charts, one below the other.

    Args:
        rows: All rows of the run.
        x: The chosen axis.
        theme: "light" or "dark".
    """
    names = run_charts.searcher_names(rows)
    figure = run_charts.searcher(rows, names, x, theme).update_layout(template=template(theme))
    seen = {"x": x, "mark": rows[-1].mark if rows else 0, "points": len(rows), "drawn": len(rows), "names": names}
    return {
        "figure": figure, "style": {"height": f"{figure.layout.height}px"}, "none": bool(names), "hidden": not names,
        "seen": seen,
    }  # fmt: skip
