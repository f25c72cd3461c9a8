"""Models: the registry. A list of all versions; of one its metrics, its origin, its aliases, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any
from urllib.parse import unquote

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards import model_report, model_text, page_frame
from evornn.dashboards.components import empty_state, facts, heading, table, timestamp
from evornn.dashboards.page_context import DashboardPage, PageContext
from evornn.experiments.analysis.narrative import number, plural
from evornn.store.records import ModelVersion
from evornn.tasks.core.forecast_errors import LABELS

MOST = 500  # versions of the list
TEST = "On its own test split, which it was not trained on:"
NO_TEST = "The file doesn't say how good it was on its own test split."
HEAD = ("Model", "Aliases", "Question", "Network", "Test loss", "Run", "Registered (UTC)", "By")


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The list, or the page of the version that the rest of the path names."""
    if rest:
        return version_page(context, context.store.model(unquote(rest)))
    known = context.store.models(limit=MOST, name=query.get("name"))
    if not known:
        how = html.Pre(f"evornn models register NAME RUN --server {context.server_url}")
        return html.Section([heading("Models"), empty_state("No model is registered yet. Keep that of a run:", how)])
    rows = [_row(context, version) for version in known]
    count = html.Span(plural(len(rows), "version"), className="muted")
    which = f"Versions of {query['name']}, newest first." if query.get("name") else "All versions, newest first."
    return html.Section([heading("Models", count), table(HEAD, rows, which)])


def version_page(context: PageContext, version: ModelVersion) -> Component:
    """All about one version."""
    others = dcc.Link("all its versions", href=context.link("models", name=version.name))
    metrics = _metrics(version)
    said = [version.note, " · "] if version.note else []
    return html.Section(
        [
            heading(version.reference, html.Span(_aliases(version), id="model-aliases", className="muted")),
            html.P([*said, others], className="muted"),
            _actions(context, version),
            html.H2("How good it is"),
            html.P(TEST if metrics else NO_TEST, className="muted"),
            facts(metrics, across=True),
            *(model_report.panel(context) if version.question else []),
            *(model_text.panel() if version.question == "language" else []),
            html.H2("Use it"),
            *(
                html.Div([html.H3(name), html.Pre(text, tabIndex="0")])
                for name, text in _commands(context, version).items()
            ),
            html.H2("Where it comes from"),
            facts(_origin(context, version)),
            dcc.Store(id="model-reference", data=version.reference),
        ]
    )


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the page."""
    model_report.install(app, context)
    model_text.install(app, context)

    @app.callback(
        Output("model-aliases", "children"),
        Output("model-alias", "value"),
        Output(page_frame.NOTICES, "sendNotifications", allow_duplicate=True),
        Input("model-alias-set", "n_clicks"),
        State("model-alias", "value"),
        State("model-reference", "data"),
        prevent_initial_call=True,
    )
    def set_alias(clicks: int | None, alias: str | None, reference: str) -> Any:
        chosen = str(alias or "").strip()
        if not clicks or not chosen:
            return no_update, no_update, no_update
        version = context.set_model_alias(str(reference), chosen)
        return _aliases(version), "", [page_frame.notice(f"{version.name}@{chosen} is {version.reference} now")]


def _actions(context: PageContext, version: ModelVersion) -> Component:
    """The download, and for those who may set it an alias."""
    shown = {} if context.caller.has_scope("submit") else {"display": "none"}
    name: dict[str, Any] = {"aria-label": "Alias"}
    return html.Div(
        [
            html.A("Download", id="model-file", href=context.link(f"model-file/{version.reference}")),
            dmc.TextInput(id="model-alias", placeholder="production", style=shown, **name),
            dmc.Button("Set alias", id="model-alias-set", variant="default", style=shown),
        ],
        className="row middle",
    )


def _row(context: PageContext, version: ModelVersion) -> list[Any]:
    loss = version.metrics.test_loss
    return [
        dcc.Link(version.reference, href=context.link(f"models/{version.reference}")),
        ", ".join(version.aliases),
        _question(version),
        version.network,
        "" if loss is None else number(loss),
        _run(context, version),
        timestamp(version.created),
        version.owner,
    ]


def _metrics(version: ModelVersion) -> dict[str, str]:
    """Numbers on data that it was not trained on."""
    metrics = version.metrics
    losses = {"validation loss": metrics.valid_loss, "test loss": metrics.test_loss, metrics.score or "score": None}
    losses[metrics.score or "score"] = metrics.test_score
    for target, errors in metrics.errors.items():
        of = "" if len(metrics.errors) == 1 else f" of {target}"
        losses |= {f"{LABELS.get(name, name)}{of}": value for name, value in errors.items()}
    shown = {name: number(value) for name, value in losses.items() if value is not None}
    if version.question == "language" and metrics.loss == "cross_entropy" and metrics.test_loss is not None:
        shown["perplexity"] = number(exp(min(metrics.test_loss, 700.0)))
    held = {f"90 % intervals of {target} held": f"{100 * share:.1f} %" for target, share in metrics.coverage.items()}
    return {**shown, **held}


def _origin(context: PageContext, version: ModelVersion) -> dict[str, Any]:
    origin = version.provenance
    return {
        "question": _question(version),
        "network": f"{version.network}, {version.parameters:,} parameters",
        "run": _run(context, version),
        "experiment": origin.experiment,
        "task": origin.task,
        "trainer": origin.trainer,
        "trained": " with evornn ".join(part for part in (origin.trained, origin.evornn) if part),
        "data": " · ".join(part for part in (origin.data_digest, origin.note) if part),
        "registered": timestamp(version.created) + (f" by {version.owner}" if version.owner else ""),
        "file": f"{version.bytes:,} bytes, sha256 {version.digest}",
    }


def _commands(context: PageContext, version: ModelVersion) -> dict[str, str]:
    """Command lines that predict with it."""
    name = f"{version.name}@{version.aliases[0]}" if version.aliases else version.reference
    url = context.server_url
    if version.question == "language":
        return _commands_of_text(name, url)
    column = version.targets[0] if version.question == "forecast" else "COLUMN"
    return {
        "Command line": (
            f"evornn predict {name} new.csv --server {url}\n"
            f"evornn evaluate {name} new.csv --report report.html --server {url}"
        ),
        "curl": (
            f'curl -H "Authorization: Bearer $EVORNN_TOKEN" -H "Content-Type: text/csv" \\\n'
            f'     --data-binary @new.csv "{url}/api/v1/models/{name}/predict"'
        ),
        "Python": (
            f'server = evornn.connect("{url}")\n'
            f'server.predict("{name}", {{"{column}": [1.5, 2.5]}})  # computed there\n'
            f'model = server.model("{name}")  # the model itself'
        ),
    }


def _commands_of_text(name: str, url: str) -> dict[str, str]:
    """The same for a model of a text."""
    return {
        "Command line": (
            f'evornn predict {name} --prompt "Once upon" --next 200 --server {url}\n'
            f"evornn evaluate {name} new.txt --report report.html --server {url}"
        ),
        "curl": (
            'curl -H "Authorization: Bearer $EVORNN_TOKEN" -H "Content-Type: application/json" \\\n'
            f'     -d \'{{"text": "Once upon"}}\' "{url}/api/v1/models/{name}/predict?next=200"'
        ),
        "Python": (
            f'server = evornn.connect("{url}")\n'
            f'server.predict("{name}", {{"text": "Once upon"}}, next=200)  # computed there\n'
            f'model = server.model("{name}")  # the model itself'
        ),
    }


def _aliases(version: ModelVersion) -> str:
    return ", ".join(f"@{alias}" for alias in version.aliases)


def _question(version: ModelVersion) -> str:
    ahead = f", {plural(version.horizon, 'row')} ahead" if version.horizon else ""
    return f"{version.question} {', '.join(version.targets)}{ahead}" if version.question else ""


def _run(context: PageContext, version: ModelVersion) -> Any:
    """The run of this store that it comes from."""
    if version.run is None or version.run_deleted:
        return "" if version.run is None else f"{version.run}, deleted"
    return dcc.Link(str(version.run), href=context.link(f"run/{version.run}"))


PAGE = DashboardPage("Models", "models", layout, install)
