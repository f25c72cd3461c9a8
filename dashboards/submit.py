"""Submit: a form made from the catalog, the YAML that it produces and its cost; or YAML written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import dash_mantine_components as dmc
import yaml
from dash import ALL, MATCH, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import form, own_data
from evornn.dashboards.components import error_message, heading
from evornn.dashboards.form import PARTS
from evornn.dashboards.page_context import DashboardPage, PageContext
from evornn.dashboards.spec_preview import costs, decode_upload, kinds_by_part, make_settings, mark_errors, read
from evornn.errors import EvornnError
from evornn.service.estimate import estimate

SETTINGS = {"type": "setting", "part": ALL, "kind": ALL, "name": ALL}
KINDS = {"type": "kinds", "part": ALL}


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The page: the form beside the preview."""
    return html.Section([heading("Submit"), html.Div([spec_form(), preview(context)], className="columns")])


def spec_form() -> Component:
    """The form."""
    return html.Div(
        [
            *own_data.upload(),
            dmc.TextInput(id="submit-name", label="Name of the experiment", value="my experiment", debounce=300),
            *(
                html.Div([form.kinds(part), html.Div(id={"type": "settings", "part": part})], className="part")
                for part in PARTS
            ),
            html.Div(
                [
                    dmc.NumberInput(id="submit-seeds", label="Seeds", value=5, min=1, allowDecimal=False, debounce=300),
                    dmc.NumberInput(
                        id="submit-steps", label="Budget per run, in network steps", value=1_000_000, min=1,
                        allowDecimal=False, thousandSeparator=",", debounce=300,
                    ),
                ],
                className="row",
            ),
        ]
    )  # fmt: skip


def preview(context: PageContext) -> Component:
    """The spec that the form makes, and its cost."""
    may = context.caller.has_scope("submit")
    return html.Div(
        [
            dmc.Textarea(
                id="submit-yaml", label="The spec to submit; the form fills it in, and you can edit it",
                autosize=True, minRows=12, maxRows=30, debounce=500, className="yaml", spellCheck=False,
            ),
            dcc.Upload(
                html.Button("Choose or drop a YAML file"),
                id="submit-file", className="upload", accept=".yaml,.yml,.json",
            ),
            html.Div(id="submit-cost", role="status"),
            dmc.Button("Submit", id="submit-go", disabled=True, style={} if may else {"display": "none"}),
            *([] if may else [error_message("This token can only read.")]),
            dcc.Store(id="submit-key", data=uuid4().hex),
        ]
    )  # fmt: skip


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the page."""
    own_data.install(app, context)

    @app.callback(
        Output({"type": "settings", "part": MATCH}, "children"),
        Input({"type": "kinds", "part": MATCH}, "value"),
        State(SETTINGS, "value"),
        State(SETTINGS, "id"),
    )
    def fieldsets(chosen: list[str], texts: list[str], ids: list[dict[str, str]]) -> Any:
        return form.settings(
            ctx.triggered_id["part"] if ctx.triggered_id else ctx.outputs_list["id"]["part"],
            chosen,
            make_settings(texts, ids),
        )

    @app.callback(
        Output("submit-yaml", "value"),
        Input("submit-name", "value"),
        Input(KINDS, "value"),
        Input(SETTINGS, "value"),
        Input("submit-seeds", "value"),
        Input("submit-steps", "value"),
        State(KINDS, "id"),
        State(SETTINGS, "id"),
    )
    def write(name: str, kinds: list[list[str]], texts: list[str], seeds: Any, steps: Any, parts: Any, ids: Any) -> str:
        data = form.spec(name or "", kinds_by_part(kinds, parts), make_settings(texts, ids), seeds, steps)
        text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        return text

    @app.callback(
        Output("submit-cost", "children"),
        Output("submit-go", "disabled"),
        Output(SETTINGS, "error"),
        Output(KINDS, "error"),
        Input("submit-yaml", "value"),
        State(KINDS, "value"),
        State(KINDS, "id"),
        State(SETTINGS, "id"),
    )
    def cost(text: str | None, kinds: list[list[str]], parts: list[Any], ids: list[Any]) -> Any:
        if not text or not context.caller.has_scope("submit"):
            return no_update, True, [None] * len(ids), [None] * len(parts)
        try:
            forecast = estimate(context.caller_service.expand(read(text)), context.store)
        except EvornnError as error:
            return error_message(str(error)), True, *mark_errors(error, kinds_by_part(kinds, parts), ids, parts)
        return costs(forecast), False, [None] * len(ids), [None] * len(parts)

    @app.callback(
        Output("url", "pathname", allow_duplicate=True),
        Output("url", "search", allow_duplicate=True),
        Input("submit-go", "n_clicks"),
        State("submit-yaml", "value"),
        State("submit-key", "data"),
        prevent_initial_call=True,
    )
    def send(clicks: int | None, text: str, key: str) -> Any:
        """Submit the spec. The page's key makes sure that it is submitted once, however often the button is pressed."""
        if not clicks:
            return no_update, no_update
        context.require_scope("submit")
        job = context.caller_service.submit(read(text), idempotency_key=f"ui-{key}")
        return context.prefix, f"?job={job}"

    @app.callback(
        Output("submit-yaml", "value", allow_duplicate=True),
        Input("submit-file", "contents"),
        prevent_initial_call=True,
    )
    def load_file(contents: str | None) -> Any:
        return no_update if contents is None else decode_upload(contents)


PAGE = DashboardPage("Submit", "submit", layout, install)
