"""Cluster: who computes, what waits, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from evornn.dashboards.desk import Desk, Page
from evornn.dashboards.parts import badge, duration, heading, nothing, table, when
from evornn.experiments.conclusions import number
from evornn.store.schema import STATES

EVERY_MS = 3000
RECENT = 200  # runs by which the throughput is told
HOUR = 3600.0
MOST = 100  # dispatchers that are listed


def layout(desk: Desk, rest: str, query: Mapping[str, str]) -> Component:
    return html.Section(
        [
            heading("Cluster"),
            html.Div(shown(desk), id="cluster-now"),
            dcc.Interval(id="cluster-tick", interval=EVERY_MS),
        ]
    )


def install(app: Dash, desk: Desk) -> None:
    @app.callback(Output("cluster-now", "children"), Input("cluster-tick", "n_intervals"), prevent_initial_call=True)
    def look(tick: int | None) -> list[Component]:
        return shown(desk)


def shown(desk: Desk) -> list[Component]:
    """Counts, then dispatchers."""
    now, workers = time.time(), desk.store.workers()
    alive = [worker for worker in workers if worker.is_alive(now)]
    counts = {state: desk.store.count_runs(state=state) for state in STATES}
    slots, held = sum(worker.slots or 0 for worker in alive), sum(worker.held or 0 for worker in alive)
    cards = {
        "runs wait": f"{counts['queued']:,}",
        "runs are computed": f"{counts['running'] + counts['cancelling']:,}",
        "runs an hour": throughput(desk, now),
        "dispatchers are alive": str(len(alive)),
        "places in use": f"{held} of {slots}" if slots else "–",
        "runs failed": f"{counts['failed']:,}",
    }
    found: list[Component] = [
        html.Div([html.Div([html.Strong(value), html.Span(name)], className="card") for name, value in cards.items()],
                 className="cards"),
        html.H2("Dispatchers"),
    ]  # fmt: skip
    if not workers:
        return [*found, nothing("No dispatcher has ever claimed a run. Start one: evornn dispatch")]
    rows = [
        (
            worker.name,
            badge("alive" if worker in alive else "silent"),
            f"{duration(max(now - worker.last_seen, 0))} ago",
            _of(worker.held, worker.slots),
            f"{worker.claims:,}",
            when(worker.first_seen),
        )
        for worker in workers[:MOST]
    ]
    head = ("Dispatcher", "State", "Heartbeat", "Places in use", "Runs claimed", "First seen (UTC)")
    return [*found, table(head, rows, "Who claims runs, the latest heartbeat first")]


def throughput(desk: Desk, now: float) -> str:
    """Runs that ended within the last hour; of a busy cluster, as many as at the pace of the latest ones."""
    ended = [run.finished for run in desk.store.runs(state="succeeded", order="-finished", limit=RECENT)]
    times = [end for end in ended if end is not None and now - end < HOUR]
    if len(times) < RECENT:
        return str(len(times))
    return number(HOUR * RECENT / max(now - min(times), 1.0), 3)


def _of(held: Any, slots: Any) -> str:
    return "–" if slots is None else f"{held or 0} of {slots}"


PAGE = Page("Cluster", "cluster", layout, install)
