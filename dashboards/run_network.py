"""The network of a run as pictures: of a live run the best so far, drawn again while better ones are found."""

from __future__ import annotations

import time
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import ALWAYS, LIVE_MS, NEVER, TERMINAL_STATES, drawings, empty_state
from evornn.dashboards.page_context import PageContext
from evornn.errors import EvornnError
from evornn.experiments.analysis.narrative import number as rounded
from evornn.service.reading.figures import NetworkFigures
from evornn.store.records import StoredRun

TAB = "Network"
PAUSE_MS = 5 * LIVE_MS  # between two looks, at least
LONGEST_MS = 60 * LIVE_MS
PAUSE_FACTOR = 10  # times as long as drawing took is the pause after it: the helper draws for others too
LEAD = {
    "succeeded": "The champion",
    "failed": "The best network that was found before the run failed",
    "cancelled": "The best network that was found before the run was cancelled",
}
PLACEHOLDERS = {
    "queued": "The run waits to be computed. Its network shows from the first budget mark on.",
    "failed": "The run failed before its first budget mark, so there is no network: the error is above.",
    "cancelled": "The run was cancelled before its first budget mark, so there is no network: resume it to get one.",
}


def panel() -> Component:
    """Empty, until somebody looks at it."""
    return html.Div(
        [
            html.P(id="run-network-words", className="muted", role="status"),
            html.Div(id="run-network"),
            dcc.Store(id="run-network-drawn"),
            dcc.Interval(id="run-network-tick", interval=PAUSE_MS, max_intervals=NEVER),
        ]
    )


def install(app: Dash, context: PageContext) -> None:
    @app.callback(
        output=dict(
            words=Output("run-network-words", "children"),
            pictures=Output("run-network", "children"),
            drawn=Output("run-network-drawn", "data"),
            pause=Output("run-network-tick", "interval"),
            ticks=Output("run-network-tick", "max_intervals"),
        ),
        inputs=dict(
            tab=Input("run-tabs", "value"),
            tick=Input("run-network-tick", "n_intervals"),
            ended=Input("run-tick", "disabled"),
            number=State("run-number", "data"),
            drawn=State("run-network-drawn", "data"),
        ),
        # A newer look makes the page forget the answer of one under way; one that is never answered has no end, so that
        # the page then looks again after the longer time.
        running=[(Output("run-network-tick", "interval"), LONGEST_MS, PAUSE_MS)],
    )
    def refresh(tab: str, tick: int | None, ended: bool | None, number: int, drawn: str | None) -> dict[str, Any]:
        """Pictures only where the champion is another than the one that was `drawn`; words always."""
        unchanged = dict.fromkeys(("words", "pictures", "drawn", "pause"), no_update)
        if tab != TAB:
            return unchanged | {"ticks": NEVER}
        run = context.store.run(number)
        updates = (
            content(context, run)
            if drawn is None or drawn != champion_key(run.champion_valid)
            else {"words": caption(run)}
        )
        return unchanged | updates | {"ticks": NEVER if run.state in TERMINAL_STATES else ALWAYS}


def content(context: PageContext, run: StoredRun) -> dict[str, Any]:
    """The network as it is now, or why there is none; and how long to wait until the next look."""
    begin = time.perf_counter()
    try:
        network = context.caller_service.draw_network(run.id) if run.mark else None
        parts = placeholder(run) if network is None else render(run, network, context.theme)
    except EvornnError as error:
        parts = {"words": "", "pictures": empty_state(str(error)), "drawn": None}
    took = round(1000 * PAUSE_FACTOR * (time.perf_counter() - begin))
    return parts | {"pause": min(max(PAUSE_MS, took), LONGEST_MS)}


def placeholder(run: StoredRun) -> dict[str, Any]:
    text = PLACEHOLDERS.get(
        run.state, "The network shows from the first budget mark on; the run has not come to it yet."
    )
    return {"words": "", "pictures": empty_state(text), "drawn": None}


def render(run: StoredRun, network: NetworkFigures, theme: str) -> dict[str, Any]:
    text = caption(run, network.champion_valid, network.updates, network.mark)
    return {"words": text, "pictures": drawings(network.figures, theme), "drawn": champion_key(network.champion_valid)}


def caption(run: StoredRun, valid: float | None = None, updates: int | None = None, mark: int | None = None) -> str:
    """Which network this is; by default the run's champion as it stands."""
    loss = run.champion_valid if valid is None else valid
    lead = LEAD.get(run.state, "The best network so far")
    known = "" if loss is None else f": validation loss {rounded(loss)}"
    progress = f"after {updates or run.updates or 0:,} updates (generations or gradient steps)"
    return f"{lead}{known}, {progress}, mark {mark or run.mark or 0} of {run.budget.get('marks', 100)}."


def champion_key(valid: float | None) -> str | None:
    """What tells a champion from the next one: there is a new one where this is lower. None where there is none."""
    return None if valid is None else repr(float(valid))
