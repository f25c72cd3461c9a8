"""Run: one run, live: its curve, state, network, events and log."""

from __future__ import annotations

from collections.abc import Mapping

import dash_mantine_components as dmc
from dash import Dash, dcc, html
from dash.development.base_component import Component

from evornn.dashboards import run_live, run_model, run_network, run_searcher
from evornn.dashboards.components import LIVE_MS, error_message
from evornn.dashboards.page_context import DashboardPage, PageContext, parse_id
from evornn.dashboards.run_parts import about, actions, curve_panel, top


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The page of the run whose number is the rest of the path."""
    number = parse_id(rest)
    if number is None:
        return error_message(f"There is no run {rest!r}: choose one from the list of runs.")
    run = context.run(number)
    panels = {
        "Curve": curve_panel(context), "Searcher": run_searcher.panel(context), "Network": run_network.panel(),
        "Spec and machine": about(context, run),
        "Events and log": run_live.events_panel(),
    }  # fmt: skip
    return html.Section(
        [
            html.Div(top(context, run), id="run-top"),
            actions(context, run),
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


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of all panels."""
    run_live.install(app, context)
    run_model.install(app, context)
    run_searcher.install(app, context)
    run_network.install(app, context)


PAGE = DashboardPage("Run", "run", layout, install, in_menu=False)
