"""The page of a registered model, asked over WSGI as an enemy would: whose scope is missing, or who sends nonsense."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_models import small_model, small_table, text_model

from evornn.dashboards import dashboard
from evornn.models.table_file import csv_text
from evornn.service.api.auth import Guard
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.sandboxed_service import SandboxedService
from evornn.service.service import Service
from evornn.store.store import Store, open_store

HERE = {"Origin": "http://localhost"}
ROWS = csv_text(small_table(rows=90, groups=9), with_names=True).encode()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db") as store:
        for name, model in (("kinds", small_model("classify")), ("words", text_model())):
            Service(store).register_model(name, model.to_bytes())
        yield store


@pytest.fixture(scope="module")
def app(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    service = SandboxedService(store, HelperProcess(), SubmissionPolicy(tmp_path_factory.mktemp("data")))
    yield dashboard(service, Guard(store))
    service.close()


@pytest.fixture(scope="module")
def clients(app: Any, store: Store) -> dict[str, FlaskClient]:
    """One of each scope, logged in."""
    found = {}
    for scope in ("read", "submit"):
        found[scope] = app.test_client()
        found[scope].post("/login", data={"token": store.add_token(f"of {scope}", (scope,))}, headers=HERE)
    return found


def call(client: FlaskClient, output: str, values: dict[str, Any]) -> Any:
    """A callback, by a part of its output, with values of its inputs and states."""
    listed = client.get("/_dash-dependencies").json
    wanted = next(one for one in listed if output in one["output"] and all(
        f"{part['id']}.{part['property']}" in values for part in (*one["inputs"], *one["state"])
    ))  # fmt: skip
    outputs = [part.rpartition(".") for part in wanted["output"].strip(".").split("...")]
    given = {
        kind: [{**part, "value": values[f"{part['id']}.{part['property']}"]} for part in wanted[kind]]
        for kind in ("inputs", "state")
    }
    changed = [f"{wanted['inputs'][0]['id']}.{wanted['inputs'][0]['property']}"]
    parts = [{"id": i, "property": p} for i, _, p in outputs]
    body = {"output": wanted["output"], "outputs": parts if len(parts) > 1 else parts[0], **given}
    return client.post("/_dash-update-component", json={**body, "changedPropIds": changed}, headers=HERE)


def upload(client: FlaskClient, content: bytes = ROWS, name: str = "kinds.csv") -> Any:
    sent = f"data:text/csv;base64,{b64encode(content).decode()}"
    return call(client, "model-data.value", {"model-upload.contents": sent, "model-upload.filename": name})


def evaluate(client: FlaskClient, data: Any, reference: Any = "kinds:1") -> Any:
    values = {"model-evaluate.n_clicks": 1, "model-data.value": data, "model-reference.data": reference}
    return call(client, "model-work.data", values)


def go_on(client: FlaskClient, **changes: Any) -> str:
    given = {"prompt": "abc", "next": 5, "temperature": 0.5, "seed": 0, **changes}
    values = {f"model-{name}.value": value for name, value in given.items()}
    values |= {"model-continue.n_clicks": 1, "model-reference.data": "words:1"}
    return str(call(client, "model-continued.children", values).text)


def look(client: FlaskClient, key: Any) -> str:
    return str(call(client, "model-report.children", {"model-tick.n_intervals": 1, "model-work.data": key}).text)


def test_readers_upload_and_evaluate_nothing(clients: dict[str, FlaskClient], app: Any) -> None:
    for answer in (upload(clients["read"]), evaluate(clients["read"], "kinds.csv")):
        assert "log in with one with the scope submit" in answer.text
    assert "log in with one with the scope submit" in look(clients["read"], "x")
    assert clients["read"].get("/evaluation/x").status_code == 403
    assert app.test_client().get("/evaluation/x").status_code == 302
    assert '"text"' not in go_on(clients["read"]) and "Pre" in go_on(clients["read"])


def test_a_report_comes_by_and_by_and_can_be_downloaded(clients: dict[str, FlaskClient]) -> None:
    client = clients["submit"]
    kept = upload(client).json["response"]["model-data"]["value"]
    key = evaluate(client, kept).json["response"]["model-work"]["data"]
    while "process that computes" in (told := look(client, key)) or "Computing" in told:
        assert "model-report" in told
    assert "What the model reads" in told and "plotly" not in told
    page = client.get(f"/evaluation/{key}")
    assert page.headers["Content-Disposition"].startswith("attachment") and "What the model reads" in page.text
    assert "What the model reads" in evaluate(client, kept).text  # at once


@pytest.mark.parametrize("data", ["../evornn.db", "/etc/passwd", "none.csv", 7, ["a"], {"x": 1}])
def test_files_of_others_places_are_not_read(data: Any, clients: dict[str, FlaskClient]) -> None:
    assert "no data set" in evaluate(clients["submit"], data).text


@pytest.mark.parametrize("reference", ["none:1", "../x", 7, {"a": 1}])
def test_what_is_no_model_is_told(reference: Any, clients: dict[str, FlaskClient]) -> None:
    answer = evaluate(clients["submit"], "kinds.csv", reference)
    assert answer.status_code == 200 and "model" in answer.text and "bug" not in answer.text


def test_a_report_that_is_not_kept_is_told(clients: dict[str, FlaskClient]) -> None:
    for key in ("x", None, ["a"]):
        assert "not kept any more: evaluate the model again" in look(clients["submit"], key)
    assert "not kept any more" in clients["submit"].get("/evaluation/x").text


def test_what_is_wrong_with_the_data_is_told(clients: dict[str, FlaskClient]) -> None:
    client = clients["submit"]
    kept = upload(client, b"load,temp\n1,2\n", "few.csv").json["response"]["model-data"]["value"]
    key = evaluate(client, kept).json["response"]["model-work"]["data"]
    while "problem" not in (told := look(client, key)):
        assert "model-report" in told
    assert f"{kept}: no column 'day'" in told and "/tmp" not in told


@pytest.mark.parametrize(
    "changes",
    [{"next": "x"}, {"next": 10**9}, {"next": None}, {"temperature": "nan"}, {"temperature": -1}, {"seed": -1}],
    ids=str,
)
def test_continuations_are_bounded(changes: dict[str, Any], clients: dict[str, FlaskClient]) -> None:
    told = go_on(clients["read"], **changes)
    assert "problem" in told and "bug" not in told and "Pre" not in told


def test_too_long_a_prompt_is_told(clients: dict[str, FlaskClient]) -> None:
    assert "10,000 symbols" in go_on(clients["read"], prompt="a" * 10_001)
