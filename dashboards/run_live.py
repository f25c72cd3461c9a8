"""What happens on the page of a run: what is new travels once a second, until the run has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, Patch, State, ctx, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import components, page_frame
from evornn.dashboards.components import ENDED, table, when
from evornn.dashboards.page_context import Desk
from evornn.dashboards.run_parts import ACTIONS, top
from evornn.experiments.reporting import run_charts
from evornn.store.records import Event, LogLine, StoredRun
from evornn.training.records import Row

LINES = 500  # of the log, and events, in one look
DONE = {"cancel": "is told to stop", "resume": "waits to go on", "retry": "waits to start again"}


def install(app: Dash, desk: Desk) -> None:
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
    def look(tick: int | None, axes: dict[str, Any], number: int, seen: dict[str, Any]) -> dict[str, Any]:
        """Only what is new travels; the whole curve when its axes change, or when the run was begun anew."""
        run = desk.store.run(number)  # first: when it has ended by now, what follows is all there will be
        anew = ctx.triggered_id != "run-tick" or not seen or seen["mark"] > (run.mark or 0)
        rows = desk.store.curve(number, after=0 if anew else seen["mark"])
        told, lines = so_far(desk, number, seen)
        found = unchanged | (drawn(rows, axes, desk.theme) if anew else grown(rows, axes["x"]))
        now = position(run, rows, told, lines, {**seen, "mark": 0} if anew else seen)
        if now == seen:
            return found
        return found | changes(desk, run, seen, max(len(told), len(lines)) == LINES) | {
            "events": behind(table_lines(told)), "log": behind([text(line) for line in lines]), "seen": now,
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
            count = desk.change(action, run=number)
            said = page_frame.notice(f"run {number} {DONE[action]}" if count else f"nothing to {action}")
            return [said], False if count else no_update


def told_panel() -> Component:
    """Events and lines of the log; more of both are put behind those that are there."""
    return html.Div(
        [table(("Time (UTC)", "Event", "Detail"), [], "Events", id="run-events"), html.Pre([], id="run-log")]
    )


def so_far(desk: Desk, number: int, seen: Mapping[str, Any]) -> tuple[list[Event], list[LogLine]]:
    """The next events and lines that were not seen."""
    told = desk.store.events(run=number, after=seen.get("event", 0), limit=LINES)
    return told, desk.store.logs(run=number, after=seen.get("line", 0), limit=LINES)


def position(
    run: StoredRun, rows: Sequence[Row], told: Sequence[Event], lines: Sequence[LogLine], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """What has been shown after this look, for the next one to go on from."""
    return {
        "mark": rows[-1].mark if rows else seen.get("mark", 0),
        "event": told[-1].id if told else seen.get("event", 0),
        "line": lines[-1].id if lines else seen.get("line", 0),
        "state": run.state,
        "steps": run.network_steps,
    }


def changes(desk: Desk, run: StoredRun, seen: Mapping[str, Any], unread: bool) -> dict[str, Any]:
    """The top of the page, and what follows from the run's state: only where that is another, because other callbacks
    wait for it. The page goes on asking while there is something `unread`."""
    found: dict[str, Any] = {"top": top(desk, run)}
    if run.state == seen.get("state") and run.state not in ENDED:
        return found
    return found | {
        "ended": run.state in ENDED and not unread, "unfinished": run.state != "succeeded",
        "closed": [run.state not in states for states in ACTIONS.values()],
    }  # fmt: skip


def drawn(rows: Sequence[Row], axes: Mapping[str, Any], theme: str) -> dict[str, Any]:
    """A new curve."""
    logarithmic = bool(axes["log_x"]), bool(axes["log_y"])
    return {"figure": run_charts.run_curve(rows, axes["x"], *logarithmic, theme)}


def grown(new: Sequence[Row], x: str) -> dict[str, Any]:
    """The points that the curve lacks."""
    traces = list(range(len(run_charts.TRACES)))
    return {"more": [run_charts.curve_points(new, x), traces]} if new else {}


def table_lines(told: Sequence[Event]) -> list[Component]:
    return components.lines([(when(e.time), e.kind, e.detail) for e in told])


def text(line: LogLine) -> str:
    return f"{when(line.time)} {line.level} {line.message}\n"


def behind(more: Sequence[Any]) -> Any:
    """Children that are put behind those that are there."""
    if not more:
        return no_update
    patch = Patch()
    patch.extend(list(more))
    return patch
