"""Runs: a grid of all runs. The server pages, filters and sorts it; visible rows update themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

import dash_ag_grid as dag
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import groups, job
from evornn.dashboards.components import LIVE_MS, duration, empty_state, heading, progress_share, time_left, timestamp
from evornn.dashboards.page_context import DashboardPage, PageContext, parse_id
from evornn.experiments.analysis.narrative import number, plural
from evornn.store.errors import NotFound
from evornn.store.filters import RunFilter
from evornn.store.records import StoredRun

BLOCK_SIZE = 100  # rows per request
MAX_LIVE_ROWS = 60  # visible rows that are updated
EQUAL = {"filterOptions": ["equals"], "maxNumConditions": 1, "debounceMs": 300, "suppressAndOrCondition": True}
FILTERS = tuple(field.name for field in fields(RunFilter) if field.name != "archived")
COLUMNS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # field, title, more
    ("run", "Run", {"cellRenderer": "RunLink", "width": 90, "pinned": "left"}),
    ("state", "State", {"cellRenderer": "State", "width": 150}),
    ("share", "Progress", {"cellRenderer": "Share", "width": 140, "sortable": False}),
    ("left", "Time left", {"width": 120, "sortable": False}),
    ("experiment", "Experiment", {"width": 160}),
    ("job", "Job", {"width": 90}),
    ("task", "Task", {"width": 140}),
    ("network", "Network", {"width": 140}),
    ("trainer", "Trainer", {"width": 160}),
    ("seed", "Seed", {"width": 90}),
    ("champion_valid", "Validation loss", {"width": 140}),
    ("test_loss", "Test loss", {"width": 120}),
    ("test_score", "Test score", {"width": 120}),
    ("parameters", "Parameters", {"width": 120}),
    ("network_steps", "Network steps", {"width": 140}),
    ("seconds", "Computing time", {"width": 140}),
    ("created", "Created (UTC)", {"width": 180}),
)

CELLS: dict[str, Callable[[StoredRun], Any]] = {  # columns that don't show a field of the run as it is
    "run": lambda run: run.id,
    "share": lambda run: round(progress_share(run), 3),
    "left": time_left,
    "network_steps": lambda run: "" if run.network_steps is None else f"{run.network_steps:,}",
    "seconds": lambda run: "" if run.seconds is None else duration(run.seconds),
    "created": lambda run: timestamp(run.created),
}


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The page; the query sets filters of the grid."""
    if newest_job(context) is None:
        submit = dcc.Link("Submit the first experiment", href=context.link("submit"))
        return html.Section([heading("Runs"), empty_state("There are no runs yet.", submit)])
    filters = {
        name: {"filterType": "text", "type": "equals", "filter": query[name]} for name in FILTERS if query.get(name)
    }
    return html.Section(
        [
            heading(
                "Runs",
                html.Span(id="runs-count", className="muted", role="status"),
                html.A("Compare", id="runs-compare", href=context.link("compare"), className="muted"),
            ),
            html.Div(groups.choice(), className="row"),
            html.Div(id="runs-groups"),
            html.Div([job.panel(context), grid(filters)], id="runs-all"),
            dcc.Interval(id="runs-tick", interval=2 * LIVE_MS),
            dcc.Store(id="runs-moving"),
            dcc.Store(id="runs-fresh"),
            dcc.Store(id="runs-newest", data=newest_job(context)),
        ]
    )


def grid(filters: Mapping[str, Any]) -> Any:
    """The grid. Its filters match whole names."""
    filtered = {"filter": "agTextColumnFilter", "filterParams": EQUAL, "floatingFilter": True}
    columns = [
        {"field": field, "headerName": title, **(filtered if field in FILTERS else {}), **more}
        for field, title, more in COLUMNS
    ]
    return dag.AgGrid(
        id="runs",
        className="grid",
        style={"height": "calc(100vh - 230px)", "minHeight": "340px"},
        rowModelType="infinite",
        columnDefs=columns,
        defaultColDef={"sortable": True, "resizable": True},
        filterModel=dict(filters),
        getRowId="params.data.id",
        dashGridOptions={
            "cacheBlockSize": BLOCK_SIZE,
            "maxBlocksInCache": 10,
            "rowSelection": {"mode": "multiRow", "headerCheckbox": False},
            "selectionColumnDef": {"pinned": "left", "width": 48},
            "suppressFieldDotNotation": True,
            "animateRows": False,
            "maintainColumnOrder": True,
        },
    )


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the page."""
    groups.install(app, context)
    job.install(app, context)

    @app.callback(Output("runs", "getRowsResponse"), Output("runs-count", "children"), Input("runs", "getRowsRequest"))
    def rows(request: dict[str, Any] | None) -> Any:
        if request is None:
            return no_update, no_update
        return page(context, request)

    @app.callback(Output("runs-compare", "href"), Output("runs-compare", "children"), Input("runs", "selectedRows"))
    def link_selection(chosen: list[dict[str, Any]] | None) -> tuple[str, str]:
        numbers = sorted(row["run"] for row in chosen or [])
        return (
            context.link("compare", runs=",".join(map(str, numbers))),
            f"Compare {plural(len(numbers), 'run')}" if numbers else "Compare",
        )

    app.clientside_callback(
        ClientsideFunction("grid", "moving"), Output("runs-moving", "data"), Input("runs-tick", "n_intervals")
    )

    @app.callback(
        Output("runs-fresh", "data"),
        Output("runs-newest", "data"),
        Input("runs-moving", "data"),
        State("runs-newest", "data"),
        prevent_initial_call=True,
    )
    def refresh_rows(moving: list[Any] | None, newest: int | None) -> Any:
        now = newest_job(context)
        numbers = [number for number in map(parse_id, (moving or [])[:MAX_LIVE_ROWS]) if number is not None]
        if not numbers and now == newest:
            return no_update, no_update
        return {"rows": live_rows(context, numbers), "again": now != newest}, now

    app.clientside_callback(
        ClientsideFunction("grid", "fresh"),
        Output("runs-moving", "clear_data"),
        Input("runs-fresh", "data"),
        prevent_initial_call=True,
    )


def newest_job(context: PageContext) -> int | None:
    """The newest job that isn't archived."""
    return next((job.id for job in context.store.jobs(limit=1)), None)


def live_rows(context: PageContext, numbers: list[int]) -> list[dict[str, Any]]:
    """Rows of runs, without those that were deleted meanwhile."""
    rows = []
    for run in numbers:
        with suppress(NotFound):
            rows.append(row(context, context.store.run(run)))
    return rows


def page(context: PageContext, request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The requested rows, and how many runs match. Raises UnknownName for an unknown state."""
    which: dict[str, Any] = {
        name: str(model.get("filter", "")).strip()
        for name, model in (request.get("filterModel") or {}).items()
        if name in FILTERS
    }
    if "job" in which:
        which["job"] = parse_id(which["job"]) or 0
    else:
        which["archived"] = False
    first, last = int(request.get("startRow", 0)), int(request.get("endRow", BLOCK_SIZE))
    runs = context.store.runs(
        **which,
        order=order(request.get("sortModel")),
        limit=min(max(last - first, 0), 10 * BLOCK_SIZE),
        offset=max(first, 0),
    )
    count = context.store.count_runs(**which)
    return {"rowData": [row(context, run) for run in runs], "rowCount": count}, plural(count, "run")


def order(model: Any) -> str:
    """The order of the rows: newest first, unless the user sorts by a column."""
    known = {field for field, _, more in COLUMNS if more.get("sortable", True)}
    if not model or model[0].get("colId") not in known:
        return "-id"
    name = {"run": "id"}.get(model[0]["colId"], model[0]["colId"])
    return f"-{name}" if model[0].get("sort") == "desc" else name


def row(context: PageContext, run: StoredRun) -> dict[str, Any]:
    """A run as a row of the grid: rounded numbers, unknown values empty."""
    cells = {field: CELLS[field](run) if field in CELLS else _cell(getattr(run, field)) for field, *_ in COLUMNS}
    return {"id": str(run.id), "link": context.link(f"run/{run.id}"), **cells}


def _cell(value: Any) -> Any:
    return "" if value is None else number(value) if isinstance(value, float) else value


PAGE = DashboardPage("Runs", "", layout, install)
