"""Run: one run from its first budget mark on. Its curve grows, its state and its network change."""

from __future__ import annotations

from collections.abc import Mapping

import dash_mantine_components as dmc
from dash import Dash, dcc, html
from dash.development.base_component import Component

from evornn.dashboards import run_live, run_network, run_searcher
from evornn.dashboards.components import LIVE_MS, problem
from evornn.dashboards.page_context import Desk, Page, whole
from evornn.dashboards.run_parts import about, actions, curve_panel, top


def layout(desk: Desk, rest: str, query: Mapping[str, str]) -> Component:
    number = whole(rest)
    if number is None:
        return problem(f"There is no run {rest!r}: the list of runs leads to all that there are.")
    run = desk.store.run(number)
    panels = {
        "Curve": curve_panel(desk, run), "Searcher": run_searcher.panel(desk), "Network": run_network.panel(),
        "Spec and machine": about(desk, run),
        "Events and log": run_live.told_panel(),
    }  # fmt: skip
    return html.Section(
        [
            html.Div(top(desk, run), id="run-top"),
            actions(desk, run),
            dmc.Tabs(
                [
                    dmc.TabsList([dmc.TabsTab(name, value=name) for name in panels]),
                    *(dmc.TabsPanel(panel, value=name, pt="md") for name, panel in panels.items()),
                ],
                id="run-tabs",
                value="Curve",
                keepMounted=True,
            ),
            dcc.Store(id="run-number", data=number),
            dcc.Store(id="run-seen", data={}),
            dcc.Interval(id="run-tick", interval=LIVE_MS),
        ]
    )


def install(app: Dash, desk: Desk) -> None:
    run_live.install(app, desk)
    run_searcher.install(app, desk)
    run_network.install(app, desk)


PAGE = Page("Run", "run", layout, install, listed=False)
