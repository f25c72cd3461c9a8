"""The API as a program sees it: routes and scopes, problems, streams, metrics, headers, and what operators are told."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from postgres import Postgres
from serving import CODE, Server, serving
from small_models import small_model, text_model
from specs import SMALL_SPEC, with_changes

import evornn
from evornn.library import SilentListener, work
from evornn.service.api.app import create_app
from evornn.service.api.examples import SPEC as EXAMPLE
from evornn.service.api.examples import SPEC_BODY
from evornn.service.api.serving import is_loopback, read_token_file
from evornn.store.records import LogLine
from evornn.store.store import open_store

SCOPES = ("read", "submit", "admin")
API = "/api/v1"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db"
    with evornn.run(SMALL_SPEC, store=url, workers=0) as results:
        results.service.register_model("load", small_model("recursive").to_bytes())
    return url


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[Server]:
    with serving(database) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(server: Server) -> dict[str, str]:
    """A token of each scope."""
    made = {s: server.post(f"{API}/tokens", json={"name": f"of-{s}", "scope": s}).json()["token"] for s in SCOPES}
    revoked = server.post(f"{API}/tokens", json={"name": "gone"}).json()["token"]
    assert server.ask("DELETE", f"{API}/tokens/gone").status_code == 204
    return {**made, "revoked": revoked, "unknown": "evornn_" + "x" * 43, "none": ""}


# ---- routes and scopes, from the description -----------------------------------------------------------------------


def description(database_url: str = "") -> dict[str, Any]:
    """The OpenAPI description, from an app that is never started."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/x.db") as store:
        found: dict[str, Any] = create_app(store).openapi()
    return found


DESCRIPTION = description()
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
]
OPEN = {"/healthz", "/readyz"}
REMOVALS = {
    ("DELETE", f"{API}/jobs/{{job}}"),
    ("POST", f"{API}/jobs/{{job}}/archive"),
    ("DELETE", f"{API}/models/{{model}}"),
    ("DELETE", f"{API}/models/{{model}}/aliases/{{alias}}"),
}
OF_ITS_OWNER = ("{change}", "{alias}", f"{API}/models/{{model}}")  # what belongs to the operator here


def needed(operation: dict[str, Any]) -> str | None:
    """The scope that a route is described to need."""
    for requirement in operation.get("security", []):
        for scopes in requirement.values():
            return str(scopes[-1])
    return None


def filled(path: str) -> str:
    values = {"job": "1", "run": "1", "change": "cancel", "name": "nobody", "alias": "production"}
    values["model"] = "load" if path.endswith("{model}") else "load:1"  # further versions come from a run
    query = {"curves": "?runs=1", "compare": "?job=1"}.get(path.rpartition("/")[2], "")
    return re.sub(r"{(\w+)}", lambda found: values[found[1]], path) + query


def body_of(operation: dict[str, Any], who: str) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example")
    if isinstance(example, dict) and "scope" in example:
        example = {**example, "name": f"{who}-{uuid4().hex[:8]}"}
    return {} if example is None else {"json": example}


def test_every_route_is_closed_but_health() -> None:
    assert {path for _, path, operation in OPERATIONS if needed(operation) is None} == OPEN
    assert {needed(operation) for _, path, operation in OPERATIONS if path not in OPEN} == set(SCOPES)
    writes = [(path, operation) for method, path, operation in OPERATIONS if method != "GET"]
    assert all(
        needed(operation) != "read"
        for path, operation in writes
        if path not in (f"{API}/query", *(f"{API}/models/{{model}}/{what}" for what in ("predict", "evaluate")))
    )


@pytest.mark.parametrize("who", ["none", "unknown", "revoked", *SCOPES])
@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS]
)
def test_every_route_for_everybody(
    method: str, path: str, operation: dict[str, Any], who: str, server: Server, tokens: dict[str, str]
) -> None:
    removes = (method, path) in REMOVALS  # of what isn't there: others need theirs
    where = filled(path)
    if removes:
        where = where.replace("/jobs/1", "/jobs/99").replace("/models/load", "/models/nobody")
    answer = server.ask(method, where, tokens[who] or None, **body_of(operation, who))
    scope = needed(operation)
    if scope is None:
        expected = {200}
    elif who not in SCOPES:
        expected = {401}
    elif SCOPES.index(who) < SCOPES.index(scope):
        expected = {403}
    elif removes:
        expected = {404}
    elif who == "submit" and method == "POST" and path.endswith(OF_ITS_OWNER):
        expected = {403}
    else:
        expected = {200, 201, 404} if "{name}" in path else {200, 201}
    assert answer.status_code in expected, answer.text
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == answer.status_code and problem["title"] and problem["detail"]
        assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
        assert str(answer.status_code) in operation["responses"]


def test_every_error_is_documented() -> None:
    for method, path, operation in OPERATIONS:
        documented = set(operation["responses"])
        wanted = {"401", "403"} if needed(operation) else set()
        wanted |= {"404"} if "{" in path else set()
        wanted |= {"413", "415"} if "requestBody" in operation else set()
        assert wanted <= documented, (method, path, documented)
        if "requestBody" in operation:
            assert all("example" in one for one in operation["requestBody"]["content"].values())


def test_the_example_is_a_spec_that_works(server: Server) -> None:
    assert SPEC_BODY["requestBody"]["content"]["application/json"]["example"] == EXAMPLE
    assert server.post(f"{API}/jobs", json=EXAMPLE).status_code == 201


def test_the_description_is_valid() -> None:
    assert DESCRIPTION["openapi"].startswith("3.1") and len(OPERATIONS) >= 25
    text = json.dumps(DESCRIPTION)
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert reference in DESCRIPTION["components"]["schemas"], reference


# ---- submitting ----------------------------------------------------------------------------------------------------


def test_submit_look_and_change(server: Server, tokens: dict[str, str]) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first = server.ask("POST", f"{API}/jobs?priority=-7", tokens["submit"], json=SMALL_SPEC, headers=key)
    again = server.ask("POST", f"{API}/jobs?priority=-7", tokens["submit"], json=SMALL_SPEC, headers=key)
    other = server.ask("POST", f"{API}/jobs", tokens["submit"], json={**SMALL_SPEC, "seeds": 1}, headers=key)
    job = first.json()
    assert first.status_code == 201 and first.headers["location"] == f"{API}/jobs/{job['id']}"
    assert again.json() == job and job["owner"] == "of-submit" and job["state"] == "queued"
    assert other.status_code == 422 and other.json()["type"] == "urn:evornn:conflict"
    assert server.ask("POST", f"{API}/jobs", None, json=SMALL_SPEC, headers=key).status_code == 401
    mine = server.ask("POST", f"{API}/jobs/{job['id']}/cancel", tokens["submit"])
    assert mine.json() == {"runs": 4}
    assert server.get(f"{API}/jobs/{job['id']}").json()["state"] == "cancelled"
    assert server.ask("POST", f"{API}/jobs/{job['id']}/resume", tokens["submit"]).json() == {"runs": 4}
    assert server.ask("POST", f"{API}/jobs/{job['id']}/explode", tokens["submit"]).status_code == 422


def test_yaml_is_a_spec_too(server: Server) -> None:
    text = "name: in yaml\ntasks: [{kind: adding, length: 10, train: 8, valid: 4, test: 4}]\nseeds: 1\nbudget: 1e5\n"
    text += "networks: [{kind: elman, units: 2}]\ntrainers: [{kind: adam}]\n"
    answer = server.post(f"{API}/jobs", content=text, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201 and answer.json()["experiment"] == "in yaml"
    assert server.get(f"{API}/jobs/{answer.json()['id']}/spec").json()["networks"] == [{"kind": "elman", "units": 2}]


def test_a_mistake_says_what_to_do(server: Server) -> None:
    answer = server.post(f"{API}/jobs", json={**SMALL_SPEC, "networks": [{"kind": "elmann"}]})
    problem = answer.json()
    assert answer.status_code == 422 and problem["suggestion"] == "did you mean 'elman'?"
    assert problem["type"] == "urn:evornn:unknown-name" and "elman" in problem["known"]
    long = server.post(f"{API}/jobs", json={**SMALL_SPEC, "networks": [{"kind": "x" * 90_000}]})
    assert long.status_code == 422 and len(long.content) < 5000


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/runs?stat=failed", "unknown query parameter 'stat'"),
        ("/runs?state=failed&state=queued", "query parameter 'state' is given 2 times: give it once"),
        ("/jobs/1?limit=3", "unknown query parameter 'limit'"),
        ("/models/load?next=3", "unknown query parameter 'next'"),
    ],
)
def test_a_query_parameter_that_would_be_ignored_is_refused(server: Server, path: str, problem: str) -> None:
    answer = server.ask("GET", f"{API}{path}")
    assert answer.status_code == 422 and problem in answer.json()["detail"]
    assert httpx.get(f"{server.url}{API}{path}").status_code == 401


def test_lists_come_in_pages(server: Server) -> None:
    whole = server.get(f"{API}/jobs?limit=1000").json()
    assert whole["next"] is None and len(whole["items"]) >= 1
    runs: list[int] = []
    cursor = "0"
    while cursor is not None:
        page = server.get(f"{API}/runs?job=1&limit=3&cursor={cursor}").json()
        runs, cursor = runs + [run["id"] for run in page["items"]], page["next"]
    assert runs == [1, 2, 3, 4]
    first = server.get(f"{API}/runs?job=1&limit=3&order=-seed").json()
    rest = server.get(f"{API}/runs?job=1&limit=3&order=-seed&cursor={first['next']}").json()
    assert [run["seed"] for run in first["items"] + rest["items"]] == [1, 1, 0, 0] and rest["next"] is None


# ---- models --------------------------------------------------------------------------------------------------------


def test_register_name_and_predict(server: Server, tokens: dict[str, str]) -> None:
    content = small_model("recursive").to_bytes()
    kind = {"Content-Type": "application/vnd.safetensors"}
    one = server.ask("POST", f"{API}/models/mine?note=good", tokens["submit"], content=content, headers=kind)
    assert one.status_code == 201 and one.headers["location"] == f"{API}/models/mine:1"
    assert (one.json()["owner"], one.json()["note"], one.json()["targets"]) == ("of-submit", "good", ["load"])
    two = server.ask("POST", f"{API}/models/mine", tokens["submit"], json={"run": 1, "note": "of a run"})
    assert (two.json()["version"], two.json()["run"], two.json()["note"]) == (2, 1, "of a run")
    named = server.ask("POST", f"{API}/models/mine:1/aliases/production", tokens["submit"])
    assert named.json()["aliases"] == ["production"]
    assert server.get(f"{API}/models/mine%40production/file").content == content
    assert [item["version"] for item in server.get(f"{API}/models?name=mine").json()["items"]] == [2, 1]
    page = server.get(f"{API}/models?limit=1").json()
    assert server.get(f"{API}/models?limit=1&cursor={page['next']}").json()["items"][0]["id"] < page["items"][0]["id"]
    rows = {"load": [50.0, 51.0, 52.0, 53.0, 54.0]}
    answers = server.ask("POST", f"{API}/models/mine@production/predict", tokens["read"], json=rows).json()
    assert (answers["name"], answers["version"]) == ("mine", 1)
    assert [list(row) for row in answers["rows"]] == [["row", "load+1", "load+2"]] * 2
    records = [{"load": value, "more": "x"} for value in rows["load"]]
    assert server.post(f"{API}/models/mine:1/predict", json=records).json() == answers
    text = "load;more\n" + "".join(f"{value};x\n" for value in rows["load"])
    csv = {"Content-Type": "text/csv", "Accept": "text/csv"}
    lines = server.post(f"{API}/models/mine:1/predict?next=3", content=text, headers=csv)
    assert lines.headers["content-type"].startswith("text/csv") and lines.text.startswith("ahead,load\n1,")
    assert server.ask("DELETE", f"{API}/models/mine:2", tokens["submit"]).json()["version"] == 2
    kept = server.ask("DELETE", f"{API}/models/mine:1", tokens["submit"])
    assert kept.status_code == 422 and "the alias production means mine:1" in kept.json()["detail"]
    assert server.ask("DELETE", f"{API}/models/mine/aliases/production", tokens["submit"]).status_code == 204


def test_rows_that_a_model_cannot_read(server: Server) -> None:
    def problem(content: Any, query: str = "", **headers: str) -> tuple[int, str]:
        content = content if isinstance(content, (str, bytes)) else json.dumps(content)
        kind = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        answer = server.post(f"{API}/models/load:1/predict{query}", content=content, headers=kind)
        return answer.status_code, answer.json()["detail"]

    good = {"load": [50.0] * 6}
    assert problem({"lod": [1]}) == (422, "the rows: no column 'load': did you mean 'lod'?")
    assert problem({"load": [1.0]}) == (422, "1 rows, and a forecast reads 4: give more rows")
    assert problem({"load": [1, "x"]})[1].startswith("the rows, line 2, column 'load': 'x' is not a number")
    for wrong in ([1], '"x"', {"load": 1}, None):
        assert problem(wrong)[1].startswith("the rows: give a list of objects, one for each row, or an object of lists")
    assert "not valid JSON" in problem("{")[1] and "nested too deep" in problem("[" * 100_000)[1]
    assert problem(b"load\n\xff\xfe", Content_Type="text/csv")[1] == "the rows: are not text in UTF-8"
    assert "are more than 10,000: send fewer" in problem({"load": [1] * 10_001})[1]
    assert "are more than 10,000: send fewer" in problem("load\n" + "1\n" * 10_001, Content_Type="text/csv")[1]
    assert "no calibration" in problem(good, "?coverage=0.9")[1]
    assert problem(good, "?coverage=2")[0] == problem(good, "?next=0")[0] == problem(good, "?next=10001")[0] == 422
    assert problem(good, Content_Type="text/plain")[0] == 415
    assert problem("x" * (2**20 + 1))[0] == 413
    big = server.post(f"{API}/models/big", content=b"x" * 2**21, headers={"Content-Type": "application/octet-stream"})
    assert big.status_code == 422 and "is not a model of evornn, or is damaged" in big.json()["detail"]
    assert (
        server.post(f"{API}/models/big", content=b"1" * 2**21, headers={"Content-Type": "application/json"}).status_code
        == 413
    )


def test_texts_are_answered_within_bounds(server: Server) -> None:
    kind = {"Content-Type": "application/octet-stream"}
    assert server.post(f"{API}/models/text", content=text_model().to_bytes(), headers=kind).status_code == 201
    path = f"{API}/models/text/predict"
    rows = server.post(path, json={"text": "abc?"}).json()["rows"]
    assert [row["character"] for row in rows] == ["a", "b", "c", "<unknown>"] and rows[0]["bits"] is None
    (more,) = server.post(f"{path}?next=20&temperature=0", json={"text": ""}).json()["rows"]
    assert more["text"] == text_model().generate(next=20, temperature=0)
    for body in ({"load": [1.0]}, {"text": 1}, ["abc"], {"text": "a", "more": 1}):
        assert server.post(path, json=body).json()["detail"] == 'the model is one of a text: send JSON, {"text": "…"}'
    csv = {"Content-Type": "text/csv"}
    assert "send JSON" in server.post(path, content="abc", headers=csv).json()["detail"]
    assert "may have 10,000 symbols" in server.post(path, json={"text": "a" * 10_001}).json()["detail"]
    for query in ("next=10001", "next=1&temperature=-1", "next=1&temperature=nan", "next=1&seed=-1", "coverage=0.9"):
        assert server.post(f"{path}?{query}", json={"text": "a"}).status_code == 422


def test_code_that_a_model_names_is_never_loaded(server: Server) -> None:
    import dataclasses

    model = dataclasses.replace(small_model("recursive"), architecture={"kind": "antigravity:Fly", "units": 6})
    kind = {"Content-Type": "application/octet-stream"}
    kept = server.post(f"{API}/models/code", content=model.to_bytes(), headers=kind)
    assert kept.status_code == 201 and kept.json()["network"] == "antigravity:Fly"
    answer = server.post(f"{API}/models/code/predict", json={"load": [50.0] * 6})
    assert (
        answer.status_code == 422 and "is code, antigravity:Fly, which a server never loads" in answer.json()["detail"]
    )


# ---- streams -------------------------------------------------------------------------------------------------------


def streamed(server: Server, path: str, last: int | None = None) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(id, event, data) until the server ends the stream."""
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "text/event-stream"}
    headers |= {} if last is None else {"Last-Event-ID": str(last)}
    with httpx.stream("GET", server.url + path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        part: dict[str, str] = {}
        for line in answer.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                part[name] = value
            elif part:
                yield int(part.get("id", 0)), part["event"], json.loads(part["data"])
                part = {}


def test_events_stream_until_the_job_has_ended(server: Server) -> None:
    page = server.get(f"{API}/jobs/1/events").json()
    found = list(streamed(server, f"{API}/jobs/1/events"))
    assert [item for _, _, item in found[:-1]] == page["items"] and found[-1][1] == "end"
    assert [event for _, event, _ in found][:1] == ["submitted"]
    third = found[2][0]
    rest = list(streamed(server, f"{API}/jobs/1/events", last=third))
    assert rest == found[3:]


def test_a_stream_tells_what_happens_now(server: Server, database: str) -> None:
    spec = with_changes(seeds=1, trainers=SMALL_SPEC["trainers"][:1])
    job = server.post(f"{API}/jobs", json=spec).json()["id"]
    stream = streamed(server, f"{API}/jobs/{job}/events")
    logs = streamed(server, f"{API}/jobs/{job}/logs")
    assert next(stream)[1] == "submitted"
    with open_store(database) as store:
        claim = store.claim("x:1:1", job=job)
        assert claim is not None
        store.record(claim.run.id, claim.lease, log=[LogLine("two\nlines")])
        store.release(claim.run.id, claim.lease)
        assert next(logs)[2]["message"] == "two\nlines"
        assert next(stream)[1] == "claimed"
        work(store, job, 0, None, SilentListener())
    assert [event for _, event, _ in stream][-2:] == ["succeeded", "end"]
    assert [event for _, event, _ in logs] == ["end"]


# ---- what surrounds it ---------------------------------------------------------------------------------------------


def test_health_and_metrics(server: Server) -> None:
    assert server.get("/healthz", token=None).json() == {"status": "alive"}
    assert server.get("/readyz", token=None).json() == {"status": "ready"}
    server.get(f"{API}/jobs/1")
    text = server.get("/metrics").text
    for name in (
        "evornn_runs",
        "evornn_queue_length",
        "evornn_dispatchers",
        "evornn_claims_total",
        "evornn_cpus",
        "evornn_cpus_used",
        "evornn_gpus",
        "evornn_gpus_used",
    ):
        assert re.search(rf"^{name}({{|\s)", text, re.MULTILINE), name
    assert 'evornn_runs{state="succeeded"}' in text and "evornn_database_up 1.0" in text
    assert 'evornn_http_requests_total{method="GET",route="/api/v1/jobs/{job}",status="200"}' in text
    assert 'evornn_http_request_seconds_bucket{le="0.3",method="GET",route="/api/v1/jobs/{job}"}' in text


def test_headers_keep_browsers_from_harm(server: Server) -> None:
    for path in (f"{API}/jobs", "/nowhere", "/healthz", f"{API}/jobs/1/report", "/docs"):
        headers = server.get(path).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert "content-security-policy" in headers and "server" not in headers
        assert not [name for name in headers if name.startswith("access-control")]
    assert server.get(f"{API}/jobs/1/report").headers["content-security-policy"].startswith("sandbox allow-scripts;")
    assert "default-src 'none'" in server.get(f"{API}/jobs").headers["content-security-policy"]


def test_the_description_is_shown_offline(server: Server) -> None:
    for page in ("/docs", "/redoc"):
        text = server.get(page, token=None).text
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)
        for asset in re.findall(r"""(?:src|href)=["'](/[^"']+)""", text):
            assert server.get(asset, token=None).status_code == 200, asset
    assert server.get("/openapi.json", token=None).json()["info"]["title"] == "evornn"


def test_long_answers_are_compressed(server: Server) -> None:
    with httpx.stream(
        "GET",
        f"{server.url}{API}/runs",
        headers={"Authorization": f"Bearer {server.token}", "Accept-Encoding": "gzip"},
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip" and json.loads(gzip.decompress(raw))["items"]


def test_something_else_may_live_in_the_same_server(tmp_path: Path) -> None:
    import asyncio

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def asked(app: Any) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get("/ui/page"), await client.get("/api/v1/jobs")]

    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        app = create_app(store)
        app.mount("/ui", page)
        shown, closed = asyncio.run(asked(app))
    assert shown.status_code == 200 and shown.headers["x-content-type-options"] == "nosniff"
    assert closed.status_code == 401


# ---- operators -----------------------------------------------------------------------------------------------------


def refused(*words: str) -> str:
    done = subprocess.run([sys.executable, "-c", CODE, "serve", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_an_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/x.db"
    assert "is open to others, and there is no token" in refused("--store", store, "--host", "0.0.0.0", "--port", "0")
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "example.org")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_port_that_is_taken_and_a_folder_that_is_not_there(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    assert "choose another --port" in refused("--store", f"sqlite:///{tmp_path}/x.db", "--port", port)
    assert "no such folder" in refused("--store", f"sqlite:///{tmp_path}/x.db", "--data", str(tmp_path / "none"))


def test_a_token_file_opens_the_server_and_names_are_listed(tmp_path: Path) -> None:
    file, store = tmp_path / "token", f"sqlite:///{tmp_path}/x.db"
    words = ("--host", "0.0.0.0", "--token-file", str(file), "--host-name", "evornn.example")
    with serving(store, *words) as found:
        assert found.token == "" and file.stat().st_mode & 0o777 == 0o600
        server = Server(found.url.replace("0.0.0.0", "127.0.0.1"), read_token_file(file), found.process)
        assert server.get(f"{API}/jobs").json()["items"] == []
        assert server.get(f"{API}/jobs", headers={"Host": "evornn.example"}).status_code == 200
        wrong = server.get(f"{API}/jobs", headers={"Host": "other.example"})
        assert wrong.status_code == 421 and "--host-name" in wrong.json()["detail"]


@pytest.mark.parametrize(("text", "mode", "problem"), [("short", 0o600, "at least 32"), ("x" * 40, 0o622, "chmod 600")])
def test_a_token_file_that_is_no_good(text: str, mode: int, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(evornn.EvornnError, match=problem):
        read_token_file(file)


@pytest.mark.slow
def test_a_database_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with Postgres() as postgres:
        url = postgres.database()
        with serving(url) as server:
            job = server.post(f"{API}/jobs", json=EXAMPLE).json()
            postgres.kill()
            gone = server.get(f"{API}/jobs/{job['id']}")
            assert gone.status_code == 503 and "Retry-After" in gone.headers
            assert gone.json()["type"] == "urn:evornn:unreachable" and "postgres@" not in gone.text.replace(
                "postgres@127", ""
            )
            assert server.get("/readyz", token=None).status_code == 503
            assert server.get("/healthz", token=None).status_code == 200
            postgres.start()
            with evornn.connect(server.url, server.token) as results:  # the client waits by itself
                assert results.store.job(job["id"]).counts == {"queued": 4}
            assert server.get("/readyz", token=None).status_code == 200
