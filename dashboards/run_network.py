"""The network of a run as pictures: of a live run the best so far, drawn again while better ones are found."""

from __future__ import annotations

import time
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import ALWAYS, ENDED, LIVE_MS, NEVER, drawings, nothing
from evornn.dashboards.page_context import Desk
from evornn.errors import EvornnError
from evornn.experiments.analysis.narrative import number as rounded
from evornn.service.reading.figures import DrawnNetwork
from evornn.store.records import StoredRun

TAB = "Network"
PAUSE_MS = 5 * LIVE_MS  # between two looks, at least
LONGEST_MS = 60 * LIVE_MS
RARE = 10  # times as long as drawing took is the pause after it: the helper draws for others too
LEAD = {
    "succeeded": "The champion",
    "failed": "The best network that was found before the run failed",
    "cancelled": "The best network that was found before the run was cancelled",
}
NONE_YET = {
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


def install(app: Dash, desk: Desk) -> None:
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
    def look(tab: str, tick: int | None, ended: bool | None, number: int, drawn: str | None) -> dict[str, Any]:
        """Pictures only where the champion is another than the one that was `drawn`; words always."""
        unchanged = dict.fromkeys(("words", "pictures", "drawn", "pause"), no_update)
        if tab != TAB:
            return unchanged | {"ticks": NEVER}
        run = desk.store.run(number)
        found = shown(desk, run) if drawn is None or drawn != champion(run.champion_valid) else {"words": words(run)}
        return unchanged | found | {"ticks": NEVER if run.state in ENDED else ALWAYS}


def shown(desk: Desk, run: StoredRun) -> dict[str, Any]:
    """The network as it is now, or why there is none; and how long to wait until the next look."""
    begin = time.perf_counter()
    try:
        found = desk.verbs.network_drawn(run.id) if run.mark else None
        parts = none_yet(run) if found is None else drawn(run, found, desk.theme)
    except EvornnError as error:
        parts = {"words": "", "pictures": nothing(str(error)), "drawn": None}
    took = round(1000 * RARE * (time.perf_counter() - begin))
    return parts | {"pause": min(max(PAUSE_MS, took), LONGEST_MS)}


def none_yet(run: StoredRun) -> dict[str, Any]:
    text = NONE_YET.get(run.state, "The network shows from the first budget mark on; the run has not come to it yet.")
    return {"words": "", "pictures": nothing(text), "drawn": None}


def drawn(run: StoredRun, found: DrawnNetwork, theme: str) -> dict[str, Any]:
    seen = words(run, found.champion_valid, found.updates, found.mark)
    return {"words": seen, "pictures": drawings(found.drawings, theme), "drawn": champion(found.champion_valid)}


def words(run: StoredRun, valid: float | None = None, updates: int | None = None, mark: int | None = None) -> str:
    """Which network this is; by default the run's champion as it stands."""
    loss = run.champion_valid if valid is None else valid
    lead = LEAD.get(run.state, "The best network so far")
    known = "" if loss is None else f": validation loss {rounded(loss)}"
    when = f"after {updates or run.updates or 0:,} updates (generations or gradient steps)"
    return f"{lead}{known}, {when}, mark {mark or run.mark or 0} of {run.budget.get('marks', 100)}."


def champion(valid: float | None) -> str | None:
    """What tells a champion from the next one: there is a new one where this is lower. None where there is none."""
    return None if valid is None else repr(float(valid))
