"""Run: one run from its first budget mark on. Its curve grows, its state changes, at the end its network shows."""

from __future__ import annotations

from collections.abc import Mapping

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from evornn.dashboards.desk import Desk, Page, whole
from evornn.dashboards.parts import LIVE_MS, problem
from evornn.dashboards.run_live import install
from evornn.dashboards.run_parts import about, actions, curve_panel, top


def layout(desk: Desk, rest: str, query: Mapping[str, str]) -> Component:
    number = whole(rest)
    if number is None:
        return problem(f"There is no run {rest!r}: the list of runs leads to all that there are.")
    run = desk.store.run(number)
    panels = {
        "Curve": curve_panel(desk, run), "Searcher": html.Div(id="run-searcher"), "Network": html.Div(id="run-network"),
        "Spec and machine": about(desk, run),
        "Events and log": html.Div([html.Div(id="run-events"), html.Pre(id="run-log")]),
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


PAGE = Page("Run", "run", layout, install, listed=False)
