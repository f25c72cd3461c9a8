"""On the page of a model of a text: how it goes on with what somebody writes."""

from __future__ import annotations

import json
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import error_message
from evornn.dashboards.page_context import PageContext
from evornn.errors import EvornnError
from evornn.service.predictions import PredictionRequest

MOST_SYMBOLS = 2_000  # of a continuation


def panel() -> list[Component]:
    """The box."""
    return [
        html.H2("Continue a text"),
        dmc.Textarea(id="model-prompt", label="Text that the model goes on from", autosize=True, minRows=3, maxRows=12),
        html.Div(
            [
                dmc.NumberInput(
                    id="model-next", label="Symbols", value=200, min=1, max=MOST_SYMBOLS, allowDecimal=False, w=120
                ),
                dmc.NumberInput(id="model-temperature", label="Temperature", value=0.7, min=0, max=10, step=0.1, w=120),
                dmc.NumberInput(id="model-seed", label="Seed", value=0, min=0, allowDecimal=False, w=120),
                dmc.Button("Continue", id="model-continue"),
            ],
            className="row",
        ),
        html.Div(id="model-continued", role="status"),
    ]


def install(app: Dash, context: PageContext) -> None:
    """Register the callback."""

    @app.callback(
        Output("model-continued", "children"),
        Input("model-continue", "n_clicks"),
        State("model-prompt", "value"),
        State("model-next", "value"),
        State("model-temperature", "value"),
        State("model-seed", "value"),
        State("model-reference", "data"),
        prevent_initial_call=True,
    )
    def go_on(clicks: int | None, prompt: Any, count: Any, temperature: Any, seed: Any, reference: str) -> Any:
        if not clicks:
            return no_update
        said = str(prompt or "")
        try:
            request = _request(str(reference), said, count, temperature, seed)
            (row,) = json.loads(context.caller_service.answer(request))["rows"]
        except EvornnError as error:
            return error_message(str(error))
        return html.Pre([html.Span(said, className="muted"), row["text"]], tabIndex="0")


def _request(reference: str, prompt: str, count: Any, temperature: Any, seed: Any) -> PredictionRequest:
    """Raises EvornnError for numbers that are none or too large."""
    try:
        numbers = int(count), float(temperature), int(seed)
    except (TypeError, ValueError, OverflowError):
        raise EvornnError("give a number of symbols, a temperature and a seed") from None
    if not 1 <= numbers[0] <= MOST_SYMBOLS:
        raise EvornnError(f"a continuation has 1 to {MOST_SYMBOLS:,} symbols")
    return PredictionRequest(reference, {"text": prompt}, numbers[0], temperature=numbers[1], seed=numbers[2])
