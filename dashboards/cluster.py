"""Cluster: queue, throughput, machines with their load, and dispatchers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from evornn.dashboards.components import badge, duration, empty_state, heading, problem_message, table, timestamp
from evornn.dashboards.page_context import DashboardPage, PageContext
from evornn.experiments.analysis.narrative import number
from evornn.service.reading.cluster_status import cluster_status
from evornn.store.records import Machine, Worker
from evornn.store.schema import STATES

POLL_MS = 3000
RECENT = 200  # finished runs that the throughput is estimated from
HOUR = 3600.0
MAX_ROWS = 100  # of each table
GIB = 2**30


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The page, which refreshes itself."""
    return html.Section(
        [
            heading("Cluster"),
            html.Div(content(context), id="cluster-now"),
            dcc.Interval(id="cluster-tick", interval=POLL_MS),
        ]
    )


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the page."""

    @app.callback(Output("cluster-now", "children"), Input("cluster-tick", "n_intervals"), prevent_initial_call=True)
    def refresh(tick: int | None) -> list[Component]:
        return content(context)


def content(context: PageContext) -> list[Component]:
    """Why nothing is computed, if so; counts, then machines, then dispatchers."""
    now, workers = time.time(), context.store.workers()
    status = cluster_status(workers)
    problem = [] if status.problem is None else [problem_message(status.problem)]
    if not workers:
        return [*problem, cards(context, now, workers, [])]
    hosts = status.machines
    return [
        *problem,
        cards(context, now, workers, hosts),
        html.H2("Machines"),
        machines(hosts) if hosts else empty_state("No live dispatcher reports a machine."),
        html.H2("Dispatchers"), dispatchers(workers),
    ]  # fmt: skip


def cards(context: PageContext, now: float, workers: Sequence[Worker], hosts: Sequence[Machine]) -> Component:
    """Single numbers: runs by state, throughput, load.

    Args:
        context: The page's context.
        now: UTC epoch seconds.
        workers: All dispatchers.
        hosts: Their machines.
    """
    alive = [worker for worker in workers if worker.is_alive]
    counts = {state: context.store.count_runs(state=state) for state in STATES}
    slots, held = sum(worker.slots or 0 for worker in alive), sum(worker.held or 0 for worker in alive)
    gpus = _sum((machine.gpus_used, machine.gpus) for machine in hosts)
    pairs = {
        "runs queued": f"{counts['queued']:,}",
        "runs active": f"{counts['running'] + counts['cancelling']:,}",
        "runs per hour": throughput(context, now),
        "CPUs in use": _sum((machine.cpus_used, machine.cpus) for machine in hosts) or "–",
        **({"GPUs in use": gpus} if gpus else {}),
        "live dispatchers": str(len(alive)),
        "slots in use": f"{held} of {slots}" if slots else "–",
        "runs failed": f"{counts['failed']:,}",
    }
    divs = [html.Div([html.Strong(value), html.Span(name)], className="card") for name, value in pairs.items()]
    return html.Div(divs, className="cards")


def machines(hosts: Sequence[Machine]) -> Component:
    """A row per machine, with its load."""
    rows = [
        (
            f"{machine.name} (draining)" if machine.draining else machine.name,
            _bar(machine.cpus_used, machine.cpus),
            _bar(machine.gpus_used, machine.gpus),
            _memory(machine.memory_used, machine.memory),
        )
        for machine in hosts[:MAX_ROWS]
    ]
    more = f", the first {MAX_ROWS} of {len(hosts):,}" if len(hosts) > MAX_ROWS else ""
    return table(("Machine", "CPUs in use", "GPUs in use", "Memory in use"), rows, f"Machines that compute runs{more}")


def dispatchers(workers: Sequence[Worker]) -> Component:
    """A row per dispatcher, latest heartbeat first."""
    rows = [
        (
            worker.name,
            badge("alive" if worker.is_alive else "silent"),
            f"{duration(max(worker.age, 0))} ago",
            "–" if worker.slots is None else f"{worker.held or 0} of {worker.slots}",
            f"{worker.claims:,}",
            timestamp(worker.first_seen),
        )
        for worker in workers[:MAX_ROWS]
    ]
    head = ("Dispatcher", "State", "Heartbeat", "Slots in use", "Runs claimed", "First seen (UTC)")
    return table(head, rows, "Dispatchers, latest heartbeat first")


def throughput(context: PageContext, now: float) -> str:
    """Runs that succeeded within the last hour; if they are many, extrapolated from the latest ones."""
    ended = [run.finished for run in context.store.runs(state="succeeded", order="-finished", limit=RECENT)]
    times = [end for end in ended if end is not None and now - end < HOUR]
    if len(times) < RECENT:
        return str(len(times))
    return number(HOUR * RECENT / max(now - min(times), 1.0), 3)


def _sum(pairs: Iterable[tuple[float, float]]) -> str:
    used, have = (sum(numbers) for numbers in zip((0.0, 0.0), *pairs, strict=True))
    return f"{used:g} of {have:g}" if have else ""


def _bar(used: float, have: float, words: str = "") -> Any:
    """How much is in use, as a bar and in words."""
    if not have:
        return "–"
    bar = html.Span(className="bar", style={"--share": round(min(used / have, 1.0), 3)})
    return html.Span([bar, words or f"{used:g} of {have:g}"], className="share")


def _memory(used: int | None, have: int | None) -> Any:
    """Memory in use, which is known of a dispatcher's own node only; of others, the total."""
    if used is None or have is None:
        return "–" if have is None else f"{have / GIB:.1f} GiB in total"
    return _bar(used, have, f"{used / GIB:.1f} of {have / GIB:.1f} GiB")


PAGE = DashboardPage("Cluster", "cluster", layout, install)
