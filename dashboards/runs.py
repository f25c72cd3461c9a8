"""Runs: a grid over all of them; pages, filters and order come from the server, rows in view move by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_ag_grid as dag
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import groups, job
from evornn.dashboards.components import LIVE_MS, duration, heading, left, nothing, share, when
from evornn.dashboards.page_context import Desk, Page, whole
from evornn.experiments.analysis.narrative import number, plural
from evornn.store.records import StoredRun

PART = 100  # rows that are asked for at once
MOST_MOVING = 60  # rows in view that are looked at again
EQUAL = {"filterOptions": ["equals"], "maxNumConditions": 1, "debounceMs": 300, "suppressAndOrCondition": True}
FILTERS = ("job", "experiment", "state", "task", "network", "trainer")
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


def layout(desk: Desk, rest: str, query: Mapping[str, str]) -> Component:
    if not desk.store.jobs(limit=1):
        submit = dcc.Link("Submit the first experiment", href=desk.link("submit"))
        return html.Section([heading("Runs"), nothing("There are no runs yet.", submit)])
    given = {
        name: {"filterType": "text", "type": "equals", "filter": query[name]} for name in FILTERS if query.get(name)
    }
    return html.Section(
        [
            heading(
                "Runs",
                html.Span(id="runs-count", className="muted", role="status"),
                html.A("Compare", id="runs-compare", href=desk.link("compare"), className="muted"),
            ),
            html.Div(groups.choice(), className="row"),
            html.Div(id="runs-groups"),
            html.Div([job.panel(desk), grid(given)], id="runs-all"),
            dcc.Interval(id="runs-tick", interval=2 * LIVE_MS),
            dcc.Store(id="runs-moving"),
            dcc.Store(id="runs-fresh"),
            dcc.Store(id="runs-newest", data=desk.store.jobs(limit=1)[0].id),
        ]
    )


def grid(filters: Mapping[str, Any]) -> Any:
    """The grid itself; its filters are whole names."""
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
            "cacheBlockSize": PART,
            "maxBlocksInCache": 10,
            "rowSelection": {"mode": "multiRow", "headerCheckbox": False},
            "selectionColumnDef": {"pinned": "left", "width": 48},
            "suppressFieldDotNotation": True,
            "animateRows": False,
            "maintainColumnOrder": True,
        },
    )


def install(app: Dash, desk: Desk) -> None:
    groups.install(app, desk)
    job.install(app, desk)

    @app.callback(Output("runs", "getRowsResponse"), Output("runs-count", "children"), Input("runs", "getRowsRequest"))
    def rows(asked: dict[str, Any] | None) -> Any:
        if asked is None:
            return no_update, no_update
        return page(desk, asked)

    @app.callback(Output("runs-compare", "href"), Output("runs-compare", "children"), Input("runs", "selectedRows"))
    def selected(chosen: list[dict[str, Any]] | None) -> tuple[str, str]:
        numbers = sorted(row["run"] for row in chosen or [])
        return (
            desk.link("compare", runs=",".join(map(str, numbers))),
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
    def fresh(moving: list[Any] | None, newest: int) -> Any:
        now = desk.store.jobs(limit=1)[0].id
        numbers = [number for number in map(whole, (moving or [])[:MOST_MOVING]) if number is not None]
        if not numbers and now == newest:
            return no_update, no_update
        return {"rows": [row(desk, desk.store.run(number)) for number in numbers], "again": now != newest}, now

    app.clientside_callback(
        ClientsideFunction("grid", "fresh"),
        Output("runs-moving", "clear_data"),
        Input("runs-fresh", "data"),
        prevent_initial_call=True,
    )


def page(desk: Desk, asked: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A part of the list, and how many runs match. Raises UnknownName for a state that there isn't."""
    which: dict[str, Any] = {
        name: str(model.get("filter", "")).strip()
        for name, model in (asked.get("filterModel") or {}).items()
        if name in FILTERS
    }
    if "job" in which:
        which["job"] = whole(which["job"]) or 0
    first, last = int(asked.get("startRow", 0)), int(asked.get("endRow", PART))
    found = desk.store.runs(
        **which, order=order(asked.get("sortModel")), limit=min(max(last - first, 0), 10 * PART), offset=max(first, 0)
    )
    count = desk.store.count_runs(**which)
    return {"rowData": [row(desk, run) for run in found], "rowCount": count}, plural(count, "run")


def order(model: Any) -> str:
    """The newest first, unless a column's head was clicked."""
    known = {field for field, _, more in COLUMNS if more.get("sortable", True)}
    if not model or model[0].get("colId") not in known:
        return "-id"
    name = {"run": "id"}.get(model[0]["colId"], model[0]["colId"])
    return f"-{name}" if model[0].get("sort") == "desc" else name


def row(desk: Desk, run: StoredRun) -> dict[str, Any]:
    """A run as the grid shows it: numbers for reading, what is not known as nothing."""
    return {
        "id": str(run.id),
        "run": run.id,
        "link": desk.link(f"run/{run.id}"),
        "state": run.state,
        "share": round(share(run), 3),
        "left": left(run),
        **{
            name: getattr(run, name)
            for name in ("experiment", "job", "task", "network", "trainer", "seed", "parameters")
        },
        **{name: _loss(getattr(run, name)) for name in ("champion_valid", "test_loss", "test_score")},
        "network_steps": "" if run.network_steps is None else f"{run.network_steps:,}",
        "seconds": "" if run.seconds is None else duration(run.seconds),
        "created": when(run.created),
    }


def _loss(value: float | None) -> str:
    return "" if value is None else number(value)


PAGE = Page("Runs", "", layout, install)
