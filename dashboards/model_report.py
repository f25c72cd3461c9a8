"""On the page of a registered model: its report on data of one's own, as `evornn evaluate --report` has it."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import LIVE_MS, drawings, empty_state, error_message, select, table
from evornn.dashboards.page_context import PageContext
from evornn.errors import EvornnError
from evornn.experiments.reporting.report_table import ReportTable
from evornn.service.datasets import MAX_BYTES
from evornn.service.evaluation_request import EvaluationRequest
from evornn.service.evaluations import Work
from evornn.service.reading.figures import ReportFigures, SectionFigures

LONG = 24  # characters
ADVICE = (
    "Give data with the true answers that the model was not trained on: on others, everything looks better than it is."
)


def panel(context: PageContext) -> list[Component]:
    """The choice of data, and a place for the report."""
    title = html.H2("On data of yours")
    if not context.caller.has_scope("submit"):
        return [title, empty_state("This token can only read: log in with one that may submit, to evaluate the model.")]
    if context.service.policy is None or context.service.policy.data is None:
        return [title, empty_state("This server accepts no data sets: its operator names their folder with --data.")]
    names = context.caller_service.uploads()
    return [
        title,
        html.P(ADVICE, className="muted"),
        dcc.Upload(
            html.Button(f"Choose or drop a file (at most {MAX_BYTES:,} bytes)"),
            id="model-upload", className="upload", max_size=MAX_BYTES,
        ),
        html.Div(
            [
                select("Data set that you have uploaded", names, id="model-data", value=None, searchable=True, w=320),
                dmc.Button("Evaluate", id="model-evaluate"),
            ],
            className="row",
        ),
        html.Div(id="model-state", role="status"),
        html.Div(id="model-report"),
        dcc.Store(id="model-work"),
        dcc.Interval(id="model-tick", interval=LIVE_MS, disabled=True),
    ]  # fmt: skip


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks."""

    @app.callback(
        Output("model-data", "data"),
        Output("model-data", "value"),
        Input("model-upload", "contents"),
        State("model-upload", "filename"),
        prevent_initial_call=True,
    )
    def keep(contents: str | None, name: str) -> Any:
        if contents is None:
            return no_update, no_update
        context.require_scope("submit")
        kept = context.caller_service.save_upload(str(name), b64decode(contents.partition(",")[2]))
        return context.caller_service.uploads(), kept.name

    @app.callback(
        Output("model-work", "data"),
        Output("model-report", "children"),
        Output("model-state", "children"),
        Output("model-tick", "disabled"),
        Input("model-evaluate", "n_clicks"),
        State("model-data", "value"),
        State("model-reference", "data"),
        prevent_initial_call=True,
    )
    def begin(clicks: int | None, name: str | None, reference: str) -> Any:
        if not clicks:
            return (no_update,) * 4
        if not name:
            return no_update, no_update, error_message("Choose a data set first, or drop a file."), True
        context.require_scope("submit")
        try:
            key, work = context.caller_service.start_evaluation(EvaluationRequest(str(reference), data=str(name)))
        except EvornnError as error:
            return no_update, [], error_message(str(error)), True
        return key, *_shown(context, key, work)

    @app.callback(
        Output("model-report", "children", allow_duplicate=True),
        Output("model-state", "children", allow_duplicate=True),
        Output("model-tick", "disabled", allow_duplicate=True),
        Input("model-tick", "n_intervals"),
        State("model-work", "data"),
        prevent_initial_call=True,
    )
    def look(tick: int | None, key: str | None) -> Any:
        context.require_scope("submit")
        try:
            return _shown(context, str(key), context.service.evaluations.find(str(key)))
        except EvornnError as error:
            return [], error_message(str(error)), True


def _shown(context: PageContext, key: str, work: Work) -> tuple[Any, Any, bool]:
    """The report, the state, and whether there is nothing to wait for."""
    if not work.is_done:
        said = f"Computing … {work.part}, {work.share:.0%}" if work.part else "Waiting for the process that computes …"
        return [], html.P(said, className="muted"), False
    try:
        figures = work.result().figures
    except EvornnError as error:
        return [], error_message(str(error)), True
    return _report(context, key, figures), [], True


def _report(context: PageContext, key: str, report: ReportFigures) -> list[Component]:
    """The same as the page that can be downloaded."""
    return [
        html.P([report.about, " ", html.A("Download the report", href=context.link(f"evaluation/{key}"))]),
        html.Ul([html.Li(line) for line in report.answers], className="answers"),
        *(part for section in report.sections for part in _section(context, section)),
    ]


def _section(context: PageContext, section: SectionFigures) -> list[Component]:
    figures = [drawings(section.figures, context.theme)] if section.figures else []
    note = [html.P(section.note, className="muted")] if section.note else []
    return [html.H3(section.title), *figures, *(part for one in section.tables for part in _table(one)), *note]


def _table(one: ReportTable) -> list[Component]:
    title = [html.H4(one.title)] if one.title else []
    rows = [
        [html.Span(cell, className=_class(cell)) if place < one.words else cell for place, cell in enumerate(row)]
        for row in one.rows
    ]
    return [*title, table(one.head, rows, one.caption)]


def _class(words: str) -> str:
    """Long ones need some room on a narrow screen."""
    return "said long" if len(words) > LONG else "said"
