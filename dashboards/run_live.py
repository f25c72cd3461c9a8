"""Live updates of a run's page: new data is sent once a second, until the run has ended."""

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

MAX_LINES = 500  # of the log, and events, per update
OUTCOMES = {"cancel": "is being cancelled", "resume": "is queued to resume", "retry": "is queued to start over"}


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the curve, the log and the buttons."""

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
        """Send what is new; the full curve if its axes have changed, or the run has started over."""
        run = context.run(number)  # first: if it has ended by now, nothing is added to what follows
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
    """The table of events and the log, to which updates are appended."""
    return html.Div(
        [table(("Time (UTC)", "Event", "By", "Detail"), [], "Events", id="run-events"), html.Pre([], id="run-log")]
    )


def fetch_new(context: PageContext, number: int, seen: Mapping[str, Any]) -> tuple[list[Event], list[LogLine]]:
    """The next events and log lines that the page lacks.

    Args:
        context: The page's context.
        number: Number of the run.
        seen: Position of the page, see `position`.
    """
    events = context.store.events(run=number, after=seen.get("event", 0), limit=MAX_LINES)
    lines = context.store.logs(run=number, after=seen.get("line", 0), limit=MAX_LINES)
    return context.service.hide_folder(events), context.service.hide_folder(lines)


def position(
    run: StoredRun, rows: Sequence[Row], events: Sequence[Event], lines: Sequence[LogLine], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """What the page has shown after an update, where the next one starts.

    Args:
        run: The run.
        rows: New rows.
        events: New events.
        lines: New log lines.
        seen: Position before the update.
    """
    return {
        "mark": rows[-1].mark if rows else seen.get("mark", 0),
        "event": events[-1].id if events else seen.get("event", 0),
        "line": lines[-1].id if lines else seen.get("line", 0),
        "state": run.state,
        "steps": run.network_steps,
    }


def changes(context: PageContext, run: StoredRun, seen: Mapping[str, Any], unread: bool) -> dict[str, Any]:
    """The top of the page, and all that depends on the run's state, if that has changed: other callbacks wait for it.

    Args:
        context: The page's context.
        run: The run.
        seen: Position before the update.
        unread: Whether there is more to fetch, so that updates must not end yet.
    """
    updates: dict[str, Any] = {"top": top(context, run)}
    if run.state == seen.get("state") and run.state not in TERMINAL_STATES:
        return updates
    return updates | {
        "ended": run.state in TERMINAL_STATES and not unread, "unfinished": run.state != "succeeded",
        "closed": [run.state not in states for states in ACTIONS.values()],
    }  # fmt: skip


def full_curve(rows: Sequence[Row], axes: Mapping[str, Any], theme: str) -> dict[str, Any]:
    """The update that draws a new curve.

    Args:
        rows: All rows of the run.
        axes: `x`, a key of `run_charts.AXES`; `log_x` and `log_y`.
        theme: "light" or "dark".
    """
    logarithmic = bool(axes["log_x"]), bool(axes["log_y"])
    return {"figure": run_charts.run_curve(rows, axes["x"], *logarithmic, theme)}


def new_points(new: Sequence[Row], x: str) -> dict[str, Any]:
    """The update that extends the curve by new rows."""
    traces = list(range(len(run_charts.TRACES)))
    return {"more": [run_charts.curve_points(new, x), traces]} if new else {}


def event_rows(events: Sequence[Event]) -> list[Component]:
    """Events as rows of their table."""
    return components.table_rows([(timestamp(e.time), e.kind, e.actor, e.detail) for e in events])


def log_text(line: LogLine) -> str:
    """A log line as text."""
    return f"{timestamp(line.time)} {line.level} {line.message}\n"


def append(more: Sequence[Any]) -> Any:
    """An update that appends children."""
    if not more:
        return no_update
    patch = Patch()
    patch.extend(list(more))
    return patch
