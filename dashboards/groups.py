"""Runs grouped by a column: how many, their states and best losses; each group links to its runs."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from evornn.dashboards.components import duration, empty_state, error_message, select, table
from evornn.dashboards.page_context import PageContext
from evornn.errors import EvornnError
from evornn.experiments.analysis.narrative import number

ALL = "all runs"
GROUP_COLUMNS = ("experiment", "job", "task", "network", "trainer", "state")  # columns of the view `results`
MAX_GROUPS = 500
SQL = """SELECT {by}, count(*), count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'succeeded'),
count(*) FILTER (WHERE state = 'failed'), min(valid_loss), min(test_loss), sum(seconds)
FROM results GROUP BY {by} ORDER BY count(*) DESC, {by}"""
HEAD = ("runs", "running", "succeeded", "failed", "lowest validation loss", "lowest test loss", "computing time")


def choice() -> Any:
    """The choice of the column to group by."""
    return select("Group by", [ALL, *GROUP_COLUMNS], id="runs-group", value=ALL, w=160)


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the groups."""

    @app.callback(Output("runs-groups", "children"), Output("runs-all", "hidden"), Input("runs-group", "value"))
    def show_groups(by: str | None) -> tuple[Component | None, bool]:
        if by not in GROUP_COLUMNS:
            return None, False
        try:
            return groups(context, by), True
        except EvornnError as error:
            return error_message(str(error)), True


def groups(context: PageContext, by: str) -> Component:
    """A row per group, the largest first. Raises EvornnError if the query takes too long."""
    _, rows = context.store.query(SQL.format(by=by), MAX_GROUPS)
    if not rows:
        return empty_state("There are no runs.")
    shown = [
        (
            dcc.Link(str(name), href=context.link("", **{by: name})),
            *(f"{count:,}" for count in counts),
            number(valid),
            number(test),
            duration(seconds),
        )
        for name, *counts, valid, test, seconds in rows
    ]
    return html.Div(table((by, *HEAD), shown, f"Runs by {by}, the largest group first"))
