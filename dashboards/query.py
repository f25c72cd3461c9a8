"""Query: read-only SQL on the public views, with the result as a grid, a chart, or a file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import chart, empty_state, error_message, heading, select
from evornn.dashboards.page_context import DashboardPage, PageContext
from evornn.errors import EvornnError
from evornn.experiments.analysis.narrative import plural
from evornn.experiments.reporting.run_charts import table_chart
from evornn.service.reading.export import encode_table

GRID_ROWS, FILE_ROWS = 1000, 10_000  # rows in the grid, rows of a file
MAX_QUERY_LENGTH = 100_000  # characters
EXAMPLES = {
    "The best of every task": """\
SELECT experiment, job, task, network, trainer, runs, median_valid_loss, median_test_loss
FROM leaderboard WHERE place = 1 ORDER BY job DESC, task""",
    "Loss and time of all runs": """\
SELECT run, task, network, trainer, valid_loss, test_loss, network_steps, seconds
FROM results WHERE state = 'succeeded' ORDER BY valid_loss""",
    "Learning curves of the newest job": """\
SELECT run, trainer, seed, network_steps, champion_valid
FROM learning_curves WHERE job = (SELECT max(job) FROM results) ORDER BY run, mark""",
    "Runs by state": """\
SELECT state, count(*) AS runs FROM results GROUP BY state ORDER BY runs DESC""",
    "Errors": """\
SELECT run, experiment, trainer, failures, error FROM results WHERE error IS NOT NULL ORDER BY run""",
}


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The page; the address may contain a query."""
    sql = query.get("sql") or next(iter(EXAMPLES.values()))
    return html.Section(
        [
            heading("Query"),
            select("Example", list(EXAMPLES), id="query-example", placeholder="Choose one", maw=480),
            dmc.Textarea(
                id="query-sql", label="SQL: one SELECT on the views results, leaderboard, learning_curves",
                value=sql[:MAX_QUERY_LENGTH], autosize=True, minRows=4, maxRows=16, className="sql", mt="sm",
                spellCheck=False,
            ),
            html.Div(
                [
                    dmc.Button("Run", id="query-run"),
                    dmc.Button("CSV", id="query-csv", variant="default"),
                    dmc.Button("Parquet", id="query-parquet", variant="default"),
                ],
                className="row",
            ),
            html.Div(empty_state("The result appears here."), id="query-answer"),
            html.Div(
                [select("Chart: x", [], id="query-x"), select("y", [], id="query-y"),
                 select("as", ["points", "lines", "bars"], id="query-kind", value="points")],
                className="row", id="query-axes", hidden=True,
            ),
            html.Div(id="query-chart"),
            dcc.Download(id="query-file"),
        ]
    )  # fmt: skip


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the page."""

    @app.callback(Output("query-sql", "value"), Input("query-example", "value"), prevent_initial_call=True)
    def example(name: str | None) -> Any:
        return EXAMPLES.get(name or "", no_update)

    @app.callback(
        Output("query-answer", "children"),
        Output("query-x", "data"),
        Output("query-y", "data"),
        Output("query-x", "value"),
        Output("query-y", "value"),
        Output("query-axes", "hidden"),
        Input("query-run", "n_clicks"),
        State("query-sql", "value"),
        prevent_initial_call=True,
    )
    def answer(clicks: int | None, sql: str) -> Any:
        try:
            columns, rows = run_query(context, sql, GRID_ROWS)
        except EvornnError as error:
            return error_message(str(error)), [], [], None, None, True
        names = list(dict.fromkeys(columns))
        first, second = default_axes(columns, rows)
        return grid(columns, rows), names, names, first, second, second is None

    @app.callback(
        Output("query-chart", "children"),
        Input("query-x", "value"),
        Input("query-y", "value"),
        Input("query-kind", "value"),
        State("query-sql", "value"),
    )
    def plot(x: str | None, y: str | None, kind: str, sql: str) -> Any:
        if x is None or y is None:
            return None
        columns, rows = run_query(context, sql, GRID_ROWS)
        if x not in columns or y not in columns:
            return empty_state("The query has changed: run it again.")
        return chart(table_chart(columns, rows, x, y, kind, context.theme), context.theme, f"{y} against {x}")

    @app.callback(
        Output("query-file", "data"),
        Input("query-csv", "n_clicks"),
        Input("query-parquet", "n_clicks"),
        State("query-sql", "value"),
        prevent_initial_call=True,
    )
    def download(csv: int | None, parquet: int | None, sql: str) -> Any:
        suffix = ".csv" if ctx.triggered_id == "query-csv" else ".parquet"
        content = b64encode(encode_table(*run_query(context, sql, FILE_ROWS), suffix)).decode()
        return {"filename": f"query{suffix}", "content": content, "base64": True}


def run_query(context: PageContext, sql: str, limit: int) -> tuple[list[str], list[list[Any]]]:
    """Run a query.

    Args:
        context: The page's context.
        sql: One SELECT.
        limit: Maximum number of rows.

    Returns:
        Column names and rows.

    Raises:
        EvornnError: The query is too long, fails, or takes too much time.
    """
    if not sql or len(sql) > MAX_QUERY_LENGTH:
        raise EvornnError(f"write one SELECT of at most {MAX_QUERY_LENGTH:,} characters")
    return context.store.query(sql, limit)


def grid(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Component:
    """The result as a grid, whose columns are identified by number, since names may repeat."""
    if not rows:
        return empty_state("No row matches.")
    more = f", the first {GRID_ROWS:,}: a file has up to {FILE_ROWS:,}" if len(rows) == GRID_ROWS else ""
    return html.Div(
        [
            html.P(f"{plural(len(rows), 'row')}{more}", className="muted", role="status"),
            dag.AgGrid(
                className="grid",
                style={"height": "420px"},
                columnDefs=[{"field": f"c{k}", "headerName": name} for k, name in enumerate(columns)],
                rowData=[{f"c{k}": _cell(value) for k, value in enumerate(row)} for row in rows],
                defaultColDef={"sortable": True, "resizable": True, "filter": True},
                columnSize="autoSize",
                dashGridOptions={"domLayout": "normal", "animateRows": False},
            ),
        ]
    )


def default_axes(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[str | None, str | None]:
    """The first choice of columns for a chart: the last two numeric ones, or a name and a number."""
    numeric = [
        name for k, name in enumerate(columns)
        if any(isinstance(row[k], (int, float)) for row in rows) and not any(isinstance(row[k], str) for row in rows)
    ]  # fmt: skip
    if not numeric or len(columns) < 2:
        return None, None
    return (numeric[-2] if len(numeric) > 1 else next(c for c in columns if c != numeric[-1])), numeric[-1]


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value - value != 0 else value


PAGE = DashboardPage("Query", "query", layout, install)
