"""What happens on the page of a run: what is new travels once a second, until the run has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, Patch, State, ctx, no_update
from dash.development.base_component import Component

from evornn.dashboards import frame
from evornn.dashboards.desk import Desk
from evornn.dashboards.parts import ENDED, chart, drawings, nothing, table, when
from evornn.dashboards.run_parts import ACTIONS, top
from evornn.errors import EvornnError
from evornn.experiments import run_charts
from evornn.store.records import StoredRun
from evornn.training.records import Row

LINES = 500  # of the log, and events, that are shown
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
        """Only what is new travels; the whole curve when its axes change."""
        run, rows = desk.store.run(number), desk.store.curve(number)
        again, now = ctx.triggered_id != "run-tick" or not seen, so_far(desk, run, rows, seen)
        found = unchanged | drawn(rows, axes, desk.theme) if again else unchanged | grown(rows, axes["x"], seen)
        if now == seen:
            return found
        told = {"events": events(desk, run)} if now["event"] != seen.get("event") else {}
        return found | told | {
            "top": top(desk, run), "log": log(desk, number, seen.get("line", 0)), "seen": now,
            "ended": run.state in ENDED, "unfinished": run.state != "succeeded",
            "closed": [run.state not in states for states in ACTIONS.values()],
        }  # fmt: skip

    unchanged: dict[str, Any] = dict.fromkeys(
        ("figure", "more", "top", "events", "log", "seen", "ended", "unfinished"), no_update
    ) | {"closed": [no_update] * len(ACTIONS)}

    @app.callback(
        Output("run-searcher", "children"),
        Input("run-tabs", "value"),
        Input("run-seen", "data"),
        Input("run-x", "value"),
        State("run-number", "data"),
    )
    def searching(tab: str, seen: Any, x: str, number: int) -> Any:
        return searcher(desk.store.curve(number), x, desk.theme) if tab == "Searcher" else no_update

    for action in ACTIONS:

        @app.callback(
            Output(frame.NOTICES, "sendNotifications", allow_duplicate=True),
            Output("run-tick", "disabled", allow_duplicate=True),
            Input(f"run-{action}", "n_clicks"),
            State("run-number", "data"),
            prevent_initial_call=True,
        )
        def act(clicks: int, number: int, action: str = action) -> Any:
            if not clicks:
                return no_update, no_update
            count = desk.change(action, number)
            return [frame.notice(f"run {number} {DONE[action]}" if count else f"nothing to {action}")], False

    @app.callback(
        Output("run-network", "children"),
        Input("run-tabs", "value"),
        Input("run-model", "hidden"),
        State("run-number", "data"),
    )
    def network(tab: str, unfinished: bool, number: int) -> Any:
        if tab != "Network":
            return no_update
        if unfinished:
            return nothing("The network shows when the run has succeeded.")
        try:
            return drawings(desk.verbs.network_drawn(number), desk.theme)
        except EvornnError as error:
            return nothing(str(error))


def so_far(desk: Desk, run: StoredRun, rows: Sequence[Row], seen: Mapping[str, Any]) -> dict[str, Any]:
    """What this look shows, for the next one to go on from."""
    told = desk.store.events(run=run.id, after=seen.get("event", 0), limit=LINES)
    lines = desk.store.logs(run=run.id, after=seen.get("line", 0), limit=LINES)
    return {
        "mark": rows[-1].mark if rows else 0,
        "event": told[-1].id if told else seen.get("event", 0),
        "line": lines[-1].id if lines else seen.get("line", 0),
        "state": run.state,
        "steps": run.network_steps,
    }


def drawn(rows: Sequence[Row], axes: Mapping[str, Any], theme: str) -> dict[str, Any]:
    """A new curve."""
    logarithmic = bool(axes["log_x"]), bool(axes["log_y"])
    return {"figure": run_charts.run_curve(rows, axes["x"], *logarithmic, theme)}


def grown(rows: Sequence[Row], x: str, seen: Mapping[str, Any]) -> dict[str, Any]:
    """The points that the curve lacks."""
    new = [row for row in rows if row.mark > seen["mark"]]
    traces = list(range(len(run_charts.TRACES)))
    return {"more": [run_charts.curve_points(new, x), traces]} if new else {}


def searcher(rows: Sequence[Row], x: str, theme: str) -> Component:
    names = run_charts.searcher_names(rows)
    if not names:
        return nothing("This trainer reports no numbers of its own, or the run has not come to its first mark.")
    return chart(run_charts.searcher(rows, names, x, theme), theme, "The searcher's own numbers")


def events(desk: Desk, run: StoredRun) -> Component:
    found = desk.store.events(run=run.id, limit=LINES)
    return table(("Time (UTC)", "Event", "Detail"), [(when(e.time), e.kind, e.detail) for e in found], "Events")


def log(desk: Desk, number: int, after: int) -> Any:
    """Lines after the last one that was seen, put behind the others."""
    lines = desk.store.logs(run=number, after=after, limit=LINES)
    text = "".join(f"{when(line.time)} {line.level} {line.message}\n" for line in lines)
    if not after:
        return [text or "Nothing was logged."]
    if not lines:
        return no_update
    more = Patch()
    more.append(text)
    return more
