"""What to do with the model of a run that succeeded: download it, or register it under a name."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import page_frame
from evornn.dashboards.page_context import PageContext
from evornn.store.records import StoredRun


def row(context: PageContext, run: StoredRun) -> Component:
    """The download, and for those who may register it a name; hidden until the run has succeeded."""
    shown = {} if context.caller.has_scope("submit") else {"display": "none"}
    name: dict[str, Any] = {"aria-label": "Name of the model"}
    parts = [
        html.A("Download model", href=context.link(f"model/{run.id}")),
        dmc.TextInput(id="run-model-name", placeholder="model name", style=shown, **name),
        dmc.Button("Register model", id="run-model-register", variant="default", style=shown),
    ]
    return html.Div(html.Div(parts, className="row middle"), id="run-model", hidden=run.state != "succeeded")


def install(app: Dash, context: PageContext) -> None:
    """Register the callback of the button."""

    @app.callback(
        Output("run-model-name", "value"),
        Output(page_frame.NOTICES, "sendNotifications", allow_duplicate=True),
        Input("run-model-register", "n_clicks"),
        State("run-model-name", "value"),
        State("run-number", "data"),
        prevent_initial_call=True,
    )
    def register(clicks: int | None, name: str | None, number: int) -> Any:
        chosen = str(name or "").strip()
        if not clicks or not chosen:
            return no_update, no_update
        version = context.register_model(chosen, number)
        return "", [page_frame.notice(f"run {number} is {version.reference} now: see Models")]
