"""What happens on the page of a run: what is new travels once a second, until the run has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, Patch, State, ctx, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import components, page_frame
from evornn.dashboards.components import TERMINAL_STATES, table, timestamp
from evornn.dashboards.page_context import PageContext
from evornn.dashboards.run_parts import ACTIONS, top
from evornn.experiments.reporting import run_charts
from evornn.store.records import Event, LogLine, StoredRun
from evornn.training.records import Row

MAX_LINES = 500  # of the log, and events, in one look
OUTCOMES = {"cancel": "is told to stop", "resume": "waits to go on", "retry": "waits to start again"}


def install(app: Dash, context: PageContext) -> None:
    @app.callback(
        output=dict(
            figure=Output("run-curve", "figure"),
            more=Output("run-curve", "extendData"),
            top=Output("run-top", "children"),
            events=Output("run-events", "children"),
            log=Output("run-log", "children"),
            seen=Output("run-seen", "data"),
            ended=Output("run-tick", "disabled"),
            unfinished=Output("run-model", "hidden"),
            closed=[Output(f"run-{action}", "disabled") for action in ACTIONS],
        ),
        inputs=dict(
            tick=Input("run-tick", "n_intervals"),
            axes=dict(
                x=Input("run-x", "value"), log_x=Input("run-log-x", "checked"), log_y=Input("run-log-y", "checked")
            ),
            number=State("run-number", "data"),
            seen=State("run-seen", "data"),
        ),
    )
    def refresh(tick: int | None, axes: dict[str, Any], number: int, seen: dict[str, Any]) -> dict[str, Any]:
        """Only what is new travels; the whole curve when its axes change, or when the run was begun anew."""
        run = context.store.run(number)  # first: when it has ended by now, what follows is all there will be
        is_full = ctx.triggered_id != "run-tick" or not seen or seen["mark"] > (run.mark or 0)
        rows = context.store.curve(number, after=0 if is_full else seen["mark"])
        events, lines = fetch_new(context, number, seen)
        updates = unchanged | (full_curve(rows, axes, context.theme) if is_full else new_points(rows, axes["x"]))
        now = position(run, rows, events, lines, {**seen, "mark": 0} if is_full else seen)
        if now == seen:
            return updates
        return updates | changes(context, run, seen, max(len(events), len(lines)) == MAX_LINES) | {
            "events": append(event_rows(events)), "log": append([log_text(line) for line in lines]), "seen": now,
        }  # fmt: skip

    unchanged: dict[str, Any] = dict.fromkeys(
        ("figure", "more", "top", "events", "log", "seen", "ended", "unfinished"), no_update
    ) | {"closed": [no_update] * len(ACTIONS)}

    for action in ACTIONS:

        @app.callback(
            Output(page_frame.NOTICES, "sendNotifications", allow_duplicate=True),
            Output("run-tick", "disabled", allow_duplicate=True),
            Input(f"run-{action}", "n_clicks"),
            State("run-number", "data"),
            prevent_initial_call=True,
        )
        def act(clicks: int, number: int, action: str = action) -> Any:
            if not clicks:
                return no_update, no_update
            count = context.change(action, run=number)
            message = page_frame.notice(f"run {number} {OUTCOMES[action]}" if count else f"nothing to {action}")
            return [message], False if count else no_update


def events_panel() -> Component:
    """Events and lines of the log; more of both are put behind those that are there."""
    return html.Div(
        [table(("Time (UTC)", "Event", "Detail"), [], "Events", id="run-events"), html.Pre([], id="run-log")]
    )


def fetch_new(context: PageContext, number: int, seen: Mapping[str, Any]) -> tuple[list[Event], list[LogLine]]:
    """The next events and lines that were not seen."""
    events = context.store.events(run=number, after=seen.get("event", 0), limit=MAX_LINES)
    return events, context.store.logs(run=number, after=seen.get("line", 0), limit=MAX_LINES)


def position(
    run: StoredRun, rows: Sequence[Row], events: Sequence[Event], lines: Sequence[LogLine], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """What has been shown after this look, for the next one to go on from."""
    return {
        "mark": rows[-1].mark if rows else seen.get("mark", 0),
        "event": events[-1].id if events else seen.get("event", 0),
        "line": lines[-1].id if lines else seen.get("line", 0),
        "state": run.state,
        "steps": run.network_steps,
    }


def changes(context: PageContext, run: StoredRun, seen: Mapping[str, Any], unread: bool) -> dict[str, Any]:
    """The top of the page, and what follows from the run's state: only where that is another, because other callbacks
    wait for it. The page goes on asking while there is something `unread`."""
    updates: dict[str, Any] = {"top": top(context, run)}
    if run.state == seen.get("state") and run.state not in TERMINAL_STATES:
        return updates
    return updates | {
        "ended": run.state in TERMINAL_STATES and not unread, "unfinished": run.state != "succeeded",
        "closed": [run.state not in states for states in ACTIONS.values()],
    }  # fmt: skip


def full_curve(rows: Sequence[Row], axes: Mapping[str, Any], theme: str) -> dict[str, Any]:
    """A new curve."""
    logarithmic = bool(axes["log_x"]), bool(axes["log_y"])
    return {"figure": run_charts.run_curve(rows, axes["x"], *logarithmic, theme)}


def new_points(new: Sequence[Row], x: str) -> dict[str, Any]:
    """The points that the curve lacks."""
    traces = list(range(len(run_charts.TRACES)))
    return {"more": [run_charts.curve_points(new, x), traces]} if new else {}


def event_rows(events: Sequence[Event]) -> list[Component]:
    return components.table_rows([(timestamp(e.time), e.kind, e.detail) for e in events])


def log_text(line: LogLine) -> str:
    return f"{timestamp(line.time)} {line.level} {line.message}\n"


def append(more: Sequence[Any]) -> Any:
    """Children that are put behind those that are there."""
    if not more:
        return no_update
    patch = Patch()
    patch.extend(list(more))
    return patch
