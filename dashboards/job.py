"""The panel of a job, above the grid while that shows the runs of one job: its progress; cancel, resume, retry all its
runs; archive, delete it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import page_frame
from evornn.dashboards.components import LIVE_MS, problem_message
from evornn.dashboards.page_context import PageContext, parse_id
from evornn.dashboards.run_parts import ACTIONS
from evornn.experiments.analysis.narrative import plural
from evornn.service.reading.cluster_status import problem_of
from evornn.store.errors import NotFound
from evornn.store.records import StoredJob
from evornn.store.schema import STATES

REMOVALS = {  # action → question
    "archive": "Take job {job} with {runs} out of the lists? Nothing is lost: `evornn archive --restore` puts it back.",
    "delete": "Delete job {job} with {runs}, their curves, models and events, for ever?",
}
OUTCOMES = {"cancel": "being cancelled", "resume": "queued to resume", "retry": "queued to start over"}


def panel(context: PageContext) -> Component:
    """The panel, hidden while the grid shows several jobs. Only users who may press its buttons see them."""
    shown = {} if context.caller.has_scope("submit") else {"display": "none"}
    buttons = [
        dmc.Button(f"{name.capitalize()} all", id=f"job-{name}", variant="default", disabled=True, style=shown)
        for name in ACTIONS
    ]
    removals = [
        dmc.Button(f"{name.capitalize()} …", id=f"job-{name}", variant="default", disabled=True, style=shown)
        for name in REMOVALS
    ]
    return html.Div(
        [
            html.Div(id="job-now"),
            *buttons,
            *removals,
            *(dcc.ConfirmDialog(id=f"job-{name}-sure") for name in REMOVALS),
            dcc.Store(id="job-number"),
            dcc.Interval(id="job-tick", interval=2 * LIVE_MS, disabled=True),
        ],
        id="job",
        className="row middle",
        hidden=True,
    )


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the panel."""

    @app.callback(
        output=dict(
            number=Output("job-number", "data"),
            hidden=Output("job", "hidden"),
            still=Output("job-tick", "disabled"),
            now=Output("job-now", "children"),
            closed=[Output(f"job-{action}", "disabled") for action in (*ACTIONS, *REMOVALS)],
        ),
        inputs=dict(asked=Input("runs", "getRowsRequest"), tick=Input("job-tick", "n_intervals")),
        prevent_initial_call=True,
    )
    def refresh(asked: dict[str, Any] | None, tick: int | None) -> dict[str, Any]:
        job = find_job(context, asked or {})
        if job is None:
            every = len(ACTIONS) + len(REMOVALS)
            return {"number": None, "hidden": True, "still": True, "now": None, "closed": [True] * every}
        closed = [not set(states) & set(job.counts) for states in ACTIONS.values()]
        closed += [job.finished is None] * len(REMOVALS)
        return {"number": job.id, "hidden": False, "still": False, "now": summary(context, job), "closed": closed}

    for action in ACTIONS:

        @app.callback(
            Output(page_frame.NOTICES, "sendNotifications", allow_duplicate=True),
            Output("runs-fresh", "data", allow_duplicate=True),
            Input(f"job-{action}", "n_clicks"),
            State("job-number", "data"),
            prevent_initial_call=True,
        )
        def act(clicks: int | None, number: int, action: str = action) -> Any:
            if not clicks:
                return no_update, no_update
            count = context.change(action, job=number)
            message = f"{plural(count, 'run')} of job {number} {OUTCOMES[action]}" if count else f"nothing to {action}"
            fresh = {"again": True, "at": time.time()}  # rows of finished runs may change again
            return [page_frame.notice(message)], fresh

    for removal in REMOVALS:
        install_removal(app, context, removal)


def install_removal(app: Dash, context: PageContext, removal: str) -> None:
    """Register the callbacks that ask whether a job is to be archived or deleted, and do it."""

    @app.callback(
        Output(f"job-{removal}-sure", "message"),
        Output(f"job-{removal}-sure", "displayed"),
        Input(f"job-{removal}", "n_clicks"),
        State("job-number", "data"),
        prevent_initial_call=True,
    )
    def ask(clicks: int | None, number: int) -> Any:
        if not clicks:
            return no_update, no_update
        return REMOVALS[removal].format(job=number, runs=plural(context.store.count_runs(job=number), "run")), True

    @app.callback(
        Output(page_frame.NOTICES, "sendNotifications", allow_duplicate=True),
        Output("url", "search", allow_duplicate=True),
        Input(f"job-{removal}-sure", "submit_n_clicks"),
        State("job-number", "data"),
        prevent_initial_call=True,
    )
    def do(sure: int | None, number: int) -> Any:
        if not sure:
            return no_update, no_update
        context.remove(number, removal)
        return [page_frame.notice(f"job {number} is {removal.removesuffix('e')}ed")], ""


def find_job(context: PageContext, request: Mapping[str, Any]) -> StoredJob | None:
    """The job whose runs the grid requests; None if it requests several jobs, or there is no such job."""
    number = parse_id((request.get("filterModel") or {}).get("job", {}).get("filter", ""))
    try:
        return None if number is None else context.store.job(number)
    except NotFound:
        return None


def summary(context: PageContext, job: StoredJob) -> list[Any]:
    """Name and owner of a job, its runs by state, a link to their comparison, and why none is computed, if so."""
    counts = [
        html.Span(f"{job.counts[state]:,} {state}", className=f"state state-{state}")
        for state in STATES
        if state in job.counts
    ]
    whose = f" of {job.owner}" if job.owner else ""
    spaced = [part for count in counts for part in (count, " ")]
    link = dcc.Link("Compare its runs", href=context.link("compare", job=job.id))
    problem = problem_of(context.store) if job.finished is None else None
    waiting = [] if problem is None else [problem_message(problem)]
    return [html.Strong(f"Job {job.id}: {job.experiment}{whose} "), *spaced, link, *waiting]
