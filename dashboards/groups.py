"""Runs by what they have in common: how many, in which state, how good; each group leads to its runs."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from evornn.dashboards.components import duration, nothing, problem, select, table
from evornn.dashboards.page_context import Desk
from evornn.errors import EvornnError
from evornn.experiments.analysis.narrative import number

ALL = "all runs"
BY = ("experiment", "job", "task", "network", "trainer", "state")  # columns of the view `results`
MOST = 500  # groups
SQL = """SELECT {by}, count(*), count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'succeeded'),
count(*) FILTER (WHERE state = 'failed'), min(valid_loss), min(test_loss), sum(seconds)
FROM results GROUP BY {by} ORDER BY count(*) DESC, {by}"""
HEAD = ("runs", "running", "succeeded", "failed", "lowest validation loss", "lowest test loss", "computing time")


def choice() -> Any:
    """What to group by."""
    return select("Group by", [ALL, *BY], id="runs-group", value=ALL, w=160)


def install(app: Dash, desk: Desk) -> None:
    @app.callback(Output("runs-groups", "children"), Output("runs-all", "hidden"), Input("runs-group", "value"))
    def grouped(by: str | None) -> tuple[Component | None, bool]:
        if by not in BY:
            return None, False
        try:
            return groups(desk, by), True
        except EvornnError as error:
            return problem(str(error)), True


def groups(desk: Desk, by: str) -> Component:
    """A row per group, the largest first. Raises EvornnError where that takes too long."""
    _, rows = desk.store.query(SQL.format(by=by), MOST)
    if not rows:
        return nothing("There are no runs.")
    shown = [
        (
            dcc.Link(str(name), href=desk.link("", **{by: name})),
            *(f"{count:,}" for count in counts),
            number(valid),
            number(test),
            duration(seconds),
        )
        for name, *counts, valid, test, seconds in rows
    ]
    return html.Div(table((by, *HEAD), shown, f"Runs by {by}, the largest group first"))
