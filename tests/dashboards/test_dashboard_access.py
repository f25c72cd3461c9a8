"""Who gets into the dashboard, and what they may do there: asked over WSGI, as a browser or an enemy would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import stores
from flask.testing import FlaskClient

from evornn.dashboards import PREFIX, dashboard
from evornn.service.api.auth import Guard
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.sandboxed_service import SandboxedService
from evornn.service.service import submit
from evornn.store.records import Machine
from evornn.store.store import Store, open_store

SPEC: dict[str, Any] = {
    "name": "test", "tasks": [{"kind": "sines"}], "networks": [{"kind": "elman"}], "trainers": [{"kind": "adam"}],
    "seeds": 2, "budget": 10_000,
}  # fmt: skip
HERE = {"Origin": "http://localhost"}
PAGES = ("", "run/1", "compare", "submit", "query", "cluster")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db") as store:
        submit(store, SPEC)
        yield store


@pytest.fixture(scope="module")
def app(store: Store) -> Iterator[Any]:
    helper = HelperProcess()
    yield dashboard(SandboxedService(store, helper, SubmissionPolicy()), Guard(store))
    helper.close()


@pytest.fixture
def client(app: Any) -> FlaskClient:
    found: FlaskClient = app.test_client()
    return found


def logged_in(client: FlaskClient, store: Store, scope: str, name: str) -> FlaskClient:
    answer = client.post("/login", data={"token": store.add_token(name, (scope,))}, headers=HERE)
    assert answer.status_code == 302 and answer.headers["Location"] == PREFIX
    return client


def act(client: FlaskClient, action: str, number: int, what: str = "run", press: str = "n_clicks") -> Any:
    """Press a button of a run or a job, or the one that says that the user is sure."""
    listed = client.get("/_dash-dependencies").json
    wanted = next(one for one in listed if one["inputs"] == [{"id": f"{what}-{action}", "property": press}])
    outputs = [part.rpartition(".") for part in wanted["output"].strip(".").split("...")]
    body = {
        "output": wanted["output"], "outputs": [{"id": i, "property": p} for i, _, p in outputs],
        "inputs": [{"id": f"{what}-{action}", "property": press, "value": 1}],
        "state": [{"id": f"{what}-number", "property": "data", "value": number}],
        "changedPropIds": [f"{what}-{action}.{press}"],
    }  # fmt: skip
    return client.post("/_dash-update-component", json=body, headers=HERE)


def test_without_a_session_nothing_is_shown(client: FlaskClient) -> None:
    for path in PAGES:
        answer = client.get(f"/{path}")
        assert answer.status_code == 302 and answer.headers["Location"].startswith(f"{PREFIX}login?next=")
    for path in ("_dash-layout", "_dash-dependencies"):
        assert client.get(f"/{path}").status_code == 401
    assert client.post("/_dash-update-component", json={}, headers=HERE).status_code == 401
    for path in ("model/1", "report/1"):
        assert client.get(f"/{path}").status_code == 302


def test_a_wrong_token_is_refused(client: FlaskClient) -> None:
    for token in ("", "x" * 43, "ä" * 43, "y" * 5000):
        answer = client.post("/login", data={"token": token}, headers=HERE)
        assert (
            answer.status_code == 401 and "unknown or was revoked" in answer.text and "Set-Cookie" not in answer.headers
        )


def test_a_session_is_a_cookie_that_scripts_and_other_sites_have_no_use_for(client: FlaskClient, store: Store) -> None:
    token = store.add_token("cookie", ("read",))
    cookie = client.post("/login", data={"token": token}, headers=HERE).headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and f"Path={PREFIX}" in cookie and token not in cookie


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_of_a_page_that_came_by_https_goes_by_https_only(app: Any, store: Store, scheme: str) -> None:
    """Behind a proxy that ends TLS: the server itself is always asked by http."""
    client, origin = app.test_client(), {"Origin": f"{scheme}://localhost"}
    token = store.add_token(f"cookie by {scheme}", ("read",))
    for path, data in (("/login", {"token": token}), ("/logout", {})):
        cookie = client.post(path, data=data, headers=origin).headers["Set-Cookie"]
        assert cookie.startswith("evornn=") and ("Secure" in cookie.split("; ")) == (scheme == "https")


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://elsewhere.example"}, {"Origin": "null"}])
def test_a_request_from_another_site_is_refused(app: Any, store: Store, headers: dict[str, str]) -> None:
    client = app.test_client()
    token = store.add_token(f"csrf {headers}", ("admin",))
    assert client.post("/login", data={"token": token}, headers=headers).status_code == 403
    assert client.post("/login", data={"token": token}, headers=HERE).status_code == 302
    for path in ("/_dash-update-component", "/logout"):
        assert client.post(path, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "place", ["https://elsewhere.example", "//elsewhere.example", "/ui//x", "/ui/\\x", "/other", None]
)
def test_a_login_leads_nowhere_else(app: Any, store: Store, place: str | None) -> None:
    token = store.add_token(f"next {place}", ("read",))
    answer = app.test_client().post("/login", data={"token": token, "next": place or ""}, headers=HERE)
    assert answer.headers["Location"] == PREFIX


def test_a_revoked_token_ends_its_session(app: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from evornn.service.api import auth

    monkeypatch.setattr(auth, "CACHE_SECONDS", 0.0)
    client = logged_in(app.test_client(), store, "read", "revoked")
    assert client.get("/_dash-dependencies").status_code == 200
    store.revoke_token("revoked")
    assert client.get("/_dash-dependencies").status_code == 401


def test_logging_out_ends_the_session_itself(app: Any, store: Store) -> None:
    client = logged_in(app.test_client(), store, "read", "leaver")
    kept = client.get_cookie("evornn", path=PREFIX)
    client.post("/logout", headers=HERE)
    assert kept is not None
    client.set_cookie("evornn", kept.value, path=PREFIX)
    assert client.get("/_dash-dependencies").status_code == 401


def test_scopes_are_respected_by_every_action(app: Any, store: Store) -> None:
    readers, others = (app.test_client() for _ in range(2))
    for action in ("cancel", "retry", "resume"):
        answer = act(logged_in(readers, store, "read", f"reader {action}"), action, 1)
        assert "this token has the scope read" in answer.text
        answer = act(logged_in(others, store, "submit", f"other {action}"), action, 1)
        assert "belongs to another token" in answer.text
    assert store.run(1).state == "queued"
    answer = act(logged_in(app.test_client(), store, "admin", "boss"), "cancel", 1)
    assert "is being cancelled" in answer.text and store.run(1).state == "cancelled"


def test_a_job_is_changed_as_a_whole_by_those_who_may(app: Any, store: Store) -> None:
    owned = submit(store, {**SPEC, "name": "whole"})
    readers, others, boss = (
        logged_in(app.test_client(), store, scope, f"{scope} of jobs") for scope in ("read", "submit", "admin")
    )
    for action in ("cancel", "retry", "resume"):
        assert "this token has the scope read" in act(readers, action, owned, "job").text
        assert "belongs to another token" in act(others, action, owned, "job").text
    assert store.job(owned).counts == {"queued": 2}
    assert f"2 runs of job {owned} being cancelled" in act(boss, "cancel", owned, "job").text
    assert store.job(owned).counts == {"cancelled": 2}
    assert "nothing to retry" in act(boss, "retry", owned, "job").text
    assert f"2 runs of job {owned} queued to resume" in act(boss, "resume", owned, "job").text
    assert store.job(owned).counts == {"queued": 2}


OUTPUT, INPUT = "cluster-now.children", {"id": "cluster-tick", "property": "n_intervals", "value": 1}
GOOD: dict[str, Any] = {"output": OUTPUT, "inputs": [INPUT], "changedPropIds": ["cluster-tick.n_intervals"],
                        "outputs": {"id": "cluster-now", "property": "children"}}  # fmt: skip
STRANGE: tuple[Any, ...] = (
    None, [], {}, 1, "x", "{", b"", b"\xff\xfe", b"[" * 100_000, b'{"output": ' + b"1" * 5000 + b"}",
    *({**GOOD, "output": output} for output in (None, 1, [], {}, "", "x", "x.y", "..", "os.system", OUTPUT + "@")),
    *({**GOOD, "inputs": inputs} for inputs in (
        None, {}, [], "x", [None], [1], ["x"], [[]], [{}], [{"id": 1}], [INPUT, INPUT], [[INPUT]],
        [{**INPUT, "id": {}}], [{**INPUT, "id": "other"}], [{**INPUT, "property": 1}], [{"value": 1}],
    )),
    *({**GOOD, "state": state} for state in (None, 1, {}, "x", [1], [INPUT], [{}])),
    *({**GOOD, "outputs": outputs} for outputs in (1, "x", {}, [1], [[[]]], [{"id": None, "property": "x"}])),
    *({**GOOD, "changedPropIds": changed} for changed in (1, "x", {}, [1], [None], [{}])),
)  # fmt: skip


@pytest.mark.parametrize("body", STRANGE, ids=lambda body: repr(body)[:80])
def test_a_body_that_no_page_sends_is_refused(client: FlaskClient, store: Store, body: Any, request: Any) -> None:
    logged_in(client, store, "read", request.node.name[:150])
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/_dash-update-component", data=sent, content_type="application/json", headers=HERE)
    assert answer.status_code == 400 and answer.mimetype == "application/problem+json", answer.text
    assert "reload the page" in answer.json["detail"]


def test_the_body_that_a_page_sends_is_answered(client: FlaskClient, store: Store) -> None:
    logged_in(client, store, "read", "a good page")
    answer = client.post("/_dash-update-component", json=GOOD, headers=HERE)
    assert answer.status_code == 200 and "No dispatcher is running" in answer.text
    answer = client.post("/_dash-update-component", data=json.dumps(GOOD), content_type="text/plain", headers=HERE)
    assert answer.status_code == 400 and "application/json" in answer.json["detail"]


def test_the_cluster_shows_machines_and_what_of_them_is_in_use(client: FlaskClient, store: Store) -> None:
    logged_in(client, store, "read", "looks at machines")
    big = Machine("a", "node-7", 8, 3.5, 2, 1, 2**36, 2**35)
    store.heartbeat("here", 8, 3, [big, Machine("b", "node-8", 4, 0, memory=2**34), Machine("c", "head", 0, 0)])
    store.heartbeat("there", 8, 0, [big, Machine("d", "node-9", 4, 1, draining=True)])
    shown = client.post("/_dash-update-component", json=GOOD, headers=HERE).json["response"]["cluster-now"]["children"]
    text = json.dumps(shown)
    for word in (
        "node-7",
        "3.5 of 8",
        "1 of 2",
        "32.0 of 64.0 GiB",
        "16.0 GiB in total",
        "0 of 4",
        "head",
        "node-9 (draining)",
    ):
        assert f'"{word}"' in text, word
    assert '"4.5 of 16"' in text, "a machine that two dispatchers see is one"
    assert "No dispatcher" not in text


@pytest.mark.parametrize("path", ["evil/x.js", "dash/../x.js", "os/x", "dash/deps/..%2f..%2fversion.py"])
def test_a_file_that_no_page_names_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/_dash-component-suites/{path}")
    assert answer.status_code == 404 and "Traceback" not in answer.text


def test_what_a_page_may_load_is_named(client: FlaskClient, store: Store) -> None:
    policy = logged_in(client, store, "read", "policy").get("/").headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts and "http" not in policy and "default-src 'none'" in policy


def test_pages_have_only_files_of_this_server(client: FlaskClient, store: Store) -> None:
    html = logged_in(client, store, "read", "files").get("/").text
    assert "http://" not in html and "https://" not in html and 'src="//' not in html


def test_a_model_that_is_not_there_is_a_sentence(client: FlaskClient, store: Store) -> None:
    answer = logged_in(client, store, "read", "model").get("/model/2")
    assert answer.status_code == 404 and "has no result" in answer.text and answer.mimetype == "text/plain"


def test_layout_is_data(client: FlaskClient, store: Store, tmp_path: Path) -> None:
    layout = logged_in(client, store, "read", "<b>name</b>").get("/_dash-layout")
    assert "<b>name</b> (read)" in json.dumps(layout.json)


def test_jobs_are_archived_and_deleted_by_their_owners_who_are_asked_first(app: Any, store: Store) -> None:
    owner, other = (logged_in(app.test_client(), store, "submit", name) for name in ("keeper", "stranger"))
    job = stores.submitted(store, 2, owner="keeper")
    refused = act(owner, "delete-sure", job, "job", "submit_n_clicks")
    assert f"`evornn cancel {job}` first" in refused.text and store.job(job).counts == {"queued": 2}
    store.cancel(job)
    asked = act(owner, "delete", job, "job").json["response"]["job-delete-sure"]
    assert asked == {"message": ANY, "displayed": True} and f"job {job} with 2 runs" in asked["message"]
    assert "belongs to another token" in act(other, "delete-sure", job, "job", "submit_n_clicks").text
    act(owner, "archive-sure", job, "job", "submit_n_clicks")
    assert [one.id for one in store.jobs(archived=True)] == [job] and store.events(job=job)[-1].actor == "keeper"
    act(owner, "delete-sure", job, "job", "submit_n_clicks")
    assert store.jobs(archived=True) == [] and store.count_runs(job=job) == 0
