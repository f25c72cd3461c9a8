"""Charts of a run's champion; those of a live run are redrawn whenever there is a better one."""

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
PAUSE_MS = 5 * LIVE_MS  # between two refreshes, at least
LONGEST_MS = 60 * LIVE_MS  # the same, at most
PAUSE_FACTOR = 10  # the pause is so many times as long as drawing took: the helper process draws for all users
LEAD = {
    "succeeded": "The champion",
    "failed": "The best network before the run failed",
    "cancelled": "The best network before the run was cancelled",
}
PLACEHOLDERS = {
    "queued": "The run is queued. Its network appears at the first budget mark.",
    "failed": "The run failed before its first budget mark with a finite loss, so there is no network: see the error.",
    "cancelled": "The run was cancelled before its first budget mark with a finite loss, so there is no network: "
    "resume it to get one.",
}


def panel() -> Component:
    """The panel, empty until it is opened."""
    return html.Div(
        [
            html.P(id="run-network-words", className="muted", role="status"),
            html.Div(id="run-network"),
            dcc.Store(id="run-network-drawn"),
            dcc.Interval(id="run-network-tick", interval=PAUSE_MS, max_intervals=NEVER),
        ]
    )


def install(app: Dash, context: PageContext) -> None:
    """Register the callback of the panel."""

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
        # The page drops the response of an older request once it has sent a newer one, so it waits long while a request
        # is under way. A request that is never answered is repeated after that time.
        running=[(Output("run-network-tick", "interval"), LONGEST_MS, PAUSE_MS)],
    )
    def refresh(tab: str, tick: int | None, ended: bool | None, number: int, drawn: str | None) -> dict[str, Any]:
        """Draw the champion if it is another than the last `drawn` one; update its caption always."""
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
    """The charts of the champion so far, or why there is none; and the pause until the next refresh."""
    begin = time.perf_counter()
    try:
        network = context.caller_service.draw_network(run.id) if run.mark else None
        parts = placeholder(run) if network is None else render(run, network, context.theme)
    except EvornnError as error:
        parts = {"words": "", "pictures": empty_state(str(error)), "drawn": None}
    took = round(1000 * PAUSE_FACTOR * (time.perf_counter() - begin))
    return parts | {"pause": min(max(PAUSE_MS, took), LONGEST_MS)}


def placeholder(run: StoredRun) -> dict[str, Any]:
    """The update for a run without a network."""
    text = PLACEHOLDERS.get(
        run.state, "The network appears at the first budget mark with a finite loss, which the run has not reached yet."
    )
    return {"words": "", "pictures": empty_state(text), "drawn": None}


def render(run: StoredRun, network: NetworkFigures, theme: str) -> dict[str, Any]:
    """The update that shows a network.

    Args:
        run: The run.
        network: Charts of its champion.
        theme: "light" or "dark".
    """
    text = caption(run, network.champion_valid, network.updates, network.mark)
    return {"words": text, "pictures": drawings(network.figures, theme), "drawn": champion_key(network.champion_valid)}


def caption(run: StoredRun, valid: float | None = None, updates: int | None = None, mark: int | None = None) -> str:
    """Which network is shown; by default the run's champion so far.

    Args:
        run: The run.
        valid: Validation loss of the network.
        updates: Updates of the trainer when it was found.
        mark: Budget mark at which it was found.
    """
    loss = run.champion_valid if valid is None else valid
    lead = LEAD.get(run.state, "The best network so far")
    known = "" if loss is None else f": validation loss {rounded(loss)}"
    progress = f"after {updates or run.updates or 0:,} updates (generations or gradient steps)"
    return f"{lead}{known}, {progress}, mark {mark or run.mark or 0} of {run.budget.get('marks', 100)}."


def champion_key(valid: float | None) -> str | None:
    """Identifies a champion: a new one always has a lower validation loss. None without one."""
    return None if valid is None else repr(float(valid))
