"""On the page Submit, data of one's own: what was understood of an uploaded file, its doubts as questions, and the spec
for the columns that are chosen."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from evornn.dashboards.components import error_message, facts, select, table
from evornn.dashboards.page_context import PageContext
from evornn.data.doubts import Doubt
from evornn.data.sampling import NONE
from evornn.data.understanding import Understanding
from evornn.errors import EvornnError
from evornn.experiments.data_spec import text_spec
from evornn.experiments.own_data import OwnData
from evornn.experiments.yaml import to_text
from evornn.service.datasets import MAX_BYTES, SpecProposal

FOUND = "found out"  # the choice that leaves group and time to be found out
MOST_ANSWERS, LONGEST_ANSWER = 50, 10_000
ANSWERS = {"type": "submit-doubt", "place": ALL}
SHOWN: dict[str, str] = {}
HIDDEN = {"display": "none"}


def upload() -> list[Component]:
    """The upload, what was understood of it, and the choice of columns."""
    return [
        dcc.Upload(
            html.Button(f"Your own data: choose or drop CSV, Parquet, JSON, NPZ, WAV … (at most {MAX_BYTES:,} bytes)"),
            id="submit-data", className="upload", max_size=MAX_BYTES,
        ),
        html.Div(id="submit-kept", role="status"),
        html.Div(
            [
                dmc.MultiSelect(id="submit-target", label="Column to predict", data=[], value=[], searchable=True),
                select("Tells sequences apart", [FOUND], id="submit-group", value=FOUND),
                select("Times", [FOUND], id="submit-time", value=FOUND),
            ],
            id="submit-columns", className="row", style=HIDDEN,
        ),
        html.Div(id="submit-doubts", className="part"),
        dcc.Store(id="submit-own", data={}),
    ]  # fmt: skip


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks."""

    @app.callback(
        Output("submit-own", "data"),
        Output("submit-target", "value"),
        Output("submit-group", "value"),
        Output("submit-time", "value"),
        Input("submit-data", "contents"),
        State("submit-data", "filename"),
        prevent_initial_call=True,
    )
    def keep(contents: str | None, name: str) -> Any:
        if contents is None:
            return (no_update,) * 4
        context.require_scope("submit")
        kept = context.caller_service.save_upload(name, b64decode(contents.partition(",")[2]))
        return {"path": kept.name, "answers": [], "text": not kept.columns}, [], FOUND, FOUND

    @app.callback(
        Output("submit-own", "data", allow_duplicate=True),
        Input(ANSWERS, "value"),
        State("submit-own", "data"),
        prevent_initial_call=True,
    )
    def answer(values: Sequence[str | None], own: dict[str, Any]) -> Any:
        chosen = [value.partition("=")[::2] for value in values if value]
        return {**own, "answers": [*own.get("answers", []), *chosen]} if chosen else no_update

    @app.callback(
        Output("submit-kept", "children"),
        Output("submit-doubts", "children"),
        Output("submit-columns", "style"),
        Output("submit-target", "data"),
        Output("submit-group", "data"),
        Output("submit-time", "data"),
        Output("submit-yaml", "value", allow_duplicate=True),
        Input("submit-own", "data"),
        Input("submit-target", "value"),
        Input("submit-group", "value"),
        Input("submit-time", "value"),
        prevent_initial_call=True,
    )
    def propose(own: dict[str, Any], targets: list[str], group: str, time: str) -> Any:
        if not own.get("path") or ctx.triggered_id is None:
            return (no_update,) * 7
        if own.get("text"):
            said = [facts({"path": own["path"], "kind": "a text: its next characters are predicted"})]
            return said, [], HIDDEN, [], [FOUND], [FOUND], to_text(text_spec(str(own["path"])))
        context.require_scope("submit")
        asked = _own_data(own, targets, group, time)
        proposal = context.caller_service.propose_spec(asked)
        columns = proposal.facts.columns
        fitting = [[one.name for one in columns if one.kind in kinds] for kinds in GROUPS_AND_TIMES]
        choices = [list(dict.fromkeys((FOUND, NONE, *names))) for names in fitting]
        text = no_update if proposal.spec is None else to_text(proposal.spec)
        named = [one.name for one in columns if one.question or one.name in asked.targets]
        return describe(asked.path, proposal.facts), questions(proposal), SHOWN, named, *choices, text


GROUPS_AND_TIMES = ("category", "text", "number", "boolean"), ("time", "number")


def describe(path: str, found: Understanding) -> list[Component]:
    """What was understood of a file."""
    lengths = f"{found.shortest:,}" if found.shortest == found.longest else f"{found.shortest:,} to {found.longest:,}"
    step = f", every {found.step}" if found.step else ""
    about = {
        "path": path,
        **found.about,
        "rows": f"{found.rows:,}",
        "sequences": f"{found.sequences:,} of {lengths} rows" + (f", by {found.group}" if found.group else ""),
        "time": f"{found.time}{step}" if found.time else "rows are in order",
    }
    head = ("column", "kind", "missing", "from", "to", "may answer")
    rows = [(one.name, one.kind, f"{one.missing:,}", one.low, one.high, one.question or "") for one in found.columns]
    return [facts(about), table(head, rows, "Columns")]


def questions(proposal: SpecProposal) -> list[Component]:
    """Doubts, of which the first one that has to be answered stands alone above the others."""
    first = [] if proposal.doubt is None else [_question(proposal.doubt, 0, "To be answered first")]
    others = [doubt for doubt in proposal.facts.doubts if not doubt.blocking]
    problem = [error_message(proposal.problem)] if proposal.problem else []
    return [*first, *problem, *(_question(doubt, k, "Not certain") for k, doubt in enumerate(others, start=1))]


def _question(doubt: Doubt, place: int, title: str) -> Any:
    if not doubt.answers:
        return html.P([html.B(f"{title}: "), doubt.question])
    choices = [dmc.Radio(label=f"{option}: {value}", value=f"{option}={value}") for option, value in doubt.answers]
    return dmc.RadioGroup(
        dmc.Group(choices), id={"type": "submit-doubt", "place": place}, label=f"{title}: {doubt.question}"
    )


def _own_data(own: Mapping[str, Any], targets: Sequence[str], group: str, time: str) -> OwnData:
    """The question that a page asks, which may come from anybody. Raises EvornnError."""
    answers = own.get("answers", [])
    if len(answers) > MOST_ANSWERS or len(str(answers)) > LONGEST_ANSWER:
        raise EvornnError("too many answers: upload the file once more")
    asked = OwnData(str(own["path"]), tuple(map(str, targets or ())))
    for option, value in answers:
        asked = asked.answer(str(option), str(value))
    for option, value in (("group", group), ("time", time)):
        asked = asked if value in (FOUND, None) else asked.answer(option, str(value))
    return asked
