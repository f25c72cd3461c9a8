"""One contract for the verbs, on a store and through a server: the same answers, the same errors, the same output."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine
from serving import Server, serving
from small_models import small_model, text_model
from specs import SMALL_SPEC, SPEC_MISTAKES, write_spec
from stores import new_runs, result, row

import evornn as library
from evornn.client.http import HttpClient
from evornn.client.remote import RemoteService
from evornn.client.token import default_token
from evornn.errors import EvornnError
from evornn.library import SilentListener, work
from evornn.models.standalone import StandaloneModel
from evornn.service.reading.results import Results
from evornn.store.errors import Conflict, NotFound, Unreachable
from evornn.store.records import LogLine
from evornn.store.store import open_store

HOW = ("local", "http")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two jobs: one that was computed, and one whose runs have losses that are no numbers, log lines, and errors."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db"
    library.run(SMALL_SPEC, store=url, workers=0).close()
    with open_store(url) as store:
        store.submit({"name": "strange", "note": "∂ <script>alert(1)</script>"}, new_runs(3), owner="me")
        first, second = store.claim("a:1:1"), store.claim("b:2:2")
        assert first is not None and second is not None
        rows = [row(1, best=math.nan, extra={"sigma": math.inf}), row(2, valid=-math.inf)]
        line = LogLine("<b>hello</b> \x1b[31m", time=1.5)
        store.record(first.run.id, first.lease, rows, log=[line], network_steps=20)
        store.finish(
            first.run.id,
            first.lease,
            result(genome=np.ones(17, np.float32), test_loss=math.nan, hits={"0.1": 7}),
            [row(3)],
        )
        store.fail(second.run.id, second.lease, "out of luck", retry=False)
    with library.open(url) as results:
        results.service.register_model("load", small_model("recursive").to_bytes(), note="by hand")
        results.service.register_model("text", text_model().to_bytes())
        results.register_model("adding", 1)
        results.store.set_model_alias("load", "production")
    return url


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[Server]:
    with serving(database) as found:
        yield found


@pytest.fixture(scope="module")
def both(database: str, server: Server) -> Iterator[dict[str, Results]]:
    with library.open(database) as local, library.connect(server.url, server.token) as remote:
        yield {"local": local, "http": remote}


# ---- reading -------------------------------------------------------------------------------------------------------

READS: dict[str, Callable[[Results], Any]] = {
    "jobs": lambda r: r.jobs(),
    "jobs in pages": lambda r: [r.store.jobs(limit=1), r.store.jobs(limit=1, before=2), r.store.jobs(before=1)],
    "jobs by state": lambda r: [r.store.jobs(state=s) for s in ("succeeded", "failed", "running", "queued")],
    "jobs by owner and name": lambda r: [r.store.jobs(owner="me"), r.store.jobs(experiment="small")],
    "job": lambda r: [r.store.job(1), r.store.job(2)],
    "spec": lambda r: [r.store.spec(1), r.store.spec(2)],
    "runs": lambda r: r.store.runs(),
    "runs of a job": lambda r: r.store.runs(job=2),
    "runs by label": lambda r: r.store.runs(task="adding", network="elman", trainer="adam", state="succeeded"),
    "runs of none": lambda r: r.store.runs(job=99),
    "runs in pages": lambda r: [r.store.runs(limit=2), r.store.runs(limit=2, after=2), r.store.runs(after=6)],
    "runs from the third on": lambda r: [r.store.runs(offset=2), r.store.runs(limit=2, offset=1)],
    "runs by loss": lambda r: [r.store.runs(order="-test_loss"), r.store.runs(order="test_loss", limit=3, offset=1)],
    "run": lambda r: [r.store.run(1), r.store.run(5), r.store.run(6)],
    "curve": lambda r: [r.store.curve(1), r.store.curve(5), r.store.curve(7)],
    "curves": lambda r: r.store.curves([5, 1, 7]),
    "no curves": lambda r: r.store.curves([]),
    "champion": lambda r: [r.store.champion(1), r.store.champion(5)],
    "result": lambda r: [r.store.result(1), r.store.result(5)],
    "events": lambda r: [r.store.events(job=1), r.store.events(run=6), r.store.events(job=2, after=20, limit=2)],
    "logs": lambda r: [r.store.logs(job=2), r.store.logs(run=5), r.store.logs(run=6), r.store.logs(job=2, after=9)],
    "workers": lambda r: [dataclasses.replace(worker, age=0.0) for worker in r.store.workers()],
    "query": lambda r: r.store.query("SELECT run, test_loss, 9e999 AS big, 'NaN' AS text, NULL AS none FROM results"),
    "query, cut": lambda r: r.store.query("SELECT run FROM results ORDER BY run", limit=2),
    "frames": lambda r: [f.to_dict("list") for f in (r.runs(), r.runs(job=1), r.run(5).curve(), r.query("SELECT 1"))],
    "design": lambda r: r.service.design(1),
    "model": lambda r: r.run(1).model.to_bytes(),
    "network": lambda r: r.run(1).network.losses(r.run(1).genome[None], *examples()),
    "compare": lambda r: r.compare(1),
    "compare runs": lambda r: r.compare(runs=[1, 3]),
    "models": lambda r: [r.models(), r.models("load"), r.store.models(owner="me"), r.store.models(limit=1, before=2)],
    "a model": lambda r: [r.store.model("load@production"), r.store.model("adding:1"), r.store.model_file("load")],
    "a model to use": lambda r: r.model("adding").genome,
    "predictions": lambda r: r.predict("load", {"load": [50.0, 51.0, 52.0, 49.0, 48.0]}),
    "predictions beyond the end": lambda r: r.predict("load:1", [{"load": float(k)} for k in range(9)], next=3),
    "bits of a text": lambda r: r.predict("text", {"text": "abc cab\n"}),
    "a text that goes on": lambda r: r.predict("text", {"text": "abc"}, next=9, temperature=0.5, seed=2),
    "pages of news": lambda r: list(r.follow(1)),
}


def examples() -> tuple[Any, Any]:
    inputs = np.random.default_rng(0).standard_normal((4, 10, 2)).astype(np.float32)
    return inputs, inputs[:, :, :1]


def plain(value: Any) -> Any:
    """For comparison: NaN equals NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [(f.name, plain(getattr(value, f.name))) for f in dataclasses.fields(value)]
    if isinstance(value, dict):
        return [(key, plain(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    return "nan" if isinstance(value, float) and math.isnan(value) else value


@pytest.mark.parametrize("name", READS)
def test_answers_are_equal(name: str, both: dict[str, Results]) -> None:
    local, remote = (plain(READS[name](both[how])) for how in HOW)
    assert local == remote


def test_reports_are_equal(both: dict[str, Results], tmp_path: Path) -> None:
    pages = [both[how].report(tmp_path / f"{how}.html", job=1).read_text() for how in HOW]
    assert pages[0] == pages[1] and "small" in pages[0]


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT sum(x) FROM n"
ERRORS: dict[str, Callable[[Results], Any]] = {
    "no job": lambda r: r.store.job(99),
    "no spec": lambda r: r.store.spec(99),
    "no run": lambda r: r.run(99),
    "no curve": lambda r: r.store.curve(99),
    "no champion": lambda r: r.run(6).genome,
    "no result": lambda r: r.run(7).result,
    "no state": lambda r: r.store.runs(state="suceeded"),
    "no state of jobs": lambda r: r.store.jobs(state="done"),
    "no column": lambda r: r.store.runs(order="test_lossy"),
    "no comparison": lambda r: r.compare(99),
    "no run to compare": lambda r: r.compare(runs=[1, 99]),
    "no table": lambda r: r.query("SELECT * FROM token"),
    "no column of a view": lambda r: r.query("SELECT validation_loss FROM results"),
    "secrets": lambda r: r.query("SELECT * FROM tokens"),
    "no SELECT": lambda r: r.query("DELETE FROM runs"),
    "no SQL": lambda r: r.query("SELEC"),
    "too slow": lambda r: r.store.query(ENDLESS, timeout=0.2),
    "nothing to cancel": lambda r: r.cancel(99),
    "nothing to retry": lambda r: r.retry(run=99),
    "nothing to resume": lambda r: r.resume(99),
    "token twice": lambda r: [r.store.add_token("twin", ["read"]), r.store.add_token("twin", ["read"])],
    "no model": lambda r: r.model("lod"),
    "no version": lambda r: r.store.model_file("load:9"),
    "no alias": lambda r: r.store.delete_model_alias("load", "staging"),
    "no run to register": lambda r: r.register_model("load", 99),
    "an alias in use": lambda r: r.store.delete_model("load:1"),
    "no token": lambda r: r.store.revoke_token("nobody/../x"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_equal(name: str, both: dict[str, Results]) -> None:
    errors = []
    for how in HOW:
        with pytest.raises(EvornnError) as caught:
            ERRORS[name](both[how])
        errors.append(caught.value)
    local, remote = errors
    assert str(local) == str(remote)
    assert isinstance(local, type(remote)) and type(remote) is not EvornnError


@pytest.mark.parametrize("changes", [changes for changes, _ in SPEC_MISTAKES], ids=lambda c: json.dumps(c)[:50])
def test_mistakes_in_specs_are_told_alike(changes: dict[str, Any], both: dict[str, Results]) -> None:
    errors = []
    for how in HOW:
        with pytest.raises(EvornnError) as caught:
            both[how].submit({**SMALL_SPEC, **changes})
        errors.append(caught.value)
    assert isinstance(errors[0], type(errors[1]))
    assert str(errors[0]).split(" would take")[0] == str(errors[1]).split(" would take")[0]


# ---- changing ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Fresh:
    """An empty store, by itself or behind a server."""

    results: Results
    url: str
    server: Server | None


@pytest.fixture(scope="module", params=HOW)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """Empty when the first test begins: a server takes its time to start."""
    url = f"sqlite:///{tmp_path_factory.mktemp('fresh')}/evornn.db"
    if request.param == "local":
        with library.open(url, create=True) as results:
            yield Fresh(results, url, None)
        return
    with serving(url) as server, library.connect(server.url, server.token) as results:
        yield Fresh(results, url, server)


@pytest.mark.slow
def test_a_job_from_submit_to_end(fresh: Fresh) -> None:
    results, url = fresh.results, fresh.url
    with pytest.raises(EvornnError, match="no job yet"):
        results.compare()
    job = results.submit(SMALL_SPEC, idempotency_key="one", priority=3)
    assert results.submit(SMALL_SPEC, idempotency_key="one", priority=3) == job
    with pytest.raises(Conflict, match="was used for another request"):
        results.submit({**SMALL_SPEC, "seeds": 1}, idempotency_key="one")
    other = results.submit(SMALL_SPEC)
    assert other != job and {run.priority for run in results.store.runs(job=job)} == {3}
    assert [results.cancel(other, run=None), results.cancel(run=1), results.cancel(run=1)] == [4, 1, 0]
    assert results.store.job(other).state == "cancelled" and results.retry(other) == 0
    assert results.resume(run=1) == 1 and results.store.job(job).counts == {"queued": 4}
    with open_store(url) as store:
        for _ in range(4):
            claim = store.claim("x:1:1", job=job)
            assert claim is not None
            store.fail(claim.run.id, claim.lease, "bad luck", retry=False)
    assert results.store.job(job).state == "failed"
    with pytest.raises(EvornnError, match=rf"all runs failed: `evornn ls {job}` says why.*`evornn retry {job}`"):
        results.compare(job)
    with pytest.raises(EvornnError, match="all of these runs failed: `evornn show RUN` says why"):
        results.compare(runs=[1, 2])
    assert results.retry(run=2) == 1 and results.retry(job) == 3 and results.store.job(job).counts == {"queued": 4}
    with open_store(url) as store:
        work(store, job, 0, None, SilentListener())
    news = list(results.follow(job))
    assert news[-1].job.counts == {"succeeded": 4} and not news[-1].running
    kinds = [event.kind for part in news for event in part.events]
    assert kinds[0] == "submitted" and kinds.count("succeeded") == 4 and kinds.count("retried") == 4
    assert len(results.compare(job).tasks) == 1


def test_models_from_first_to_last(fresh: Fresh, tmp_path: Path) -> None:
    results = fresh.results
    small_model("recursive").save(file := tmp_path / "load.safetensors")
    first = results.register_model("load", file, "from a file")
    assert (first.version, first.note, first.question, first.network) == (1, "from a file", "forecast", "gru")
    assert results.register_model("load", file).version == 2
    assert results.store.set_model_alias("load:1", "production").aliases == ("production",)
    assert results.model("load@production").to_bytes() == file.read_bytes()
    assert results.predict("load@production", {"load": [50.0] * 5}) == results.predict("load:2", {"load": [50.0] * 5})
    results.store.delete_model_alias("load", "production")
    assert results.store.delete_model("load:1").version == 1 and [m.version for m in results.models()] == [2]
    (tmp_path / "no.safetensors").write_bytes(b"no model")
    with pytest.raises(EvornnError, match="is not a model of evornn, or is damaged"):
        results.register_model("load", tmp_path / "no.safetensors")
    with pytest.raises(EvornnError, match=r"the name of a model begins with"):
        results.register_model("a/b", file)
    with pytest.raises(EvornnError, match="the rows: no column 'load': did you mean 'lod'"):
        results.predict("load", {"lod": [1.0]})


@pytest.mark.slow
def test_models_travel(fresh: Fresh, tmp_path: Path) -> None:
    results, url = fresh.results, fresh.url
    job = results.submit(SMALL_SPEC)
    with open_store(url) as store:
        work(store, job, 0, None, SilentListener())
    run = results.run(results.store.runs(job=job)[0].id)
    run.model.write(file := tmp_path / "model.safetensors")
    model = StandaloneModel.load(file)
    assert (
        SMALL_SPEC["networks"][0].items() <= model.architecture.items()
        and model.genome.tobytes() == run.genome.tobytes()
    )
    inputs, targets = examples()
    again = model.network.losses(model.genome[None], inputs, targets)
    assert again.tobytes() == run.network.losses(run.genome[None], inputs, targets).tobytes()
    whole = (tmp_path / "model.safetensors").read_bytes()
    for damaged in (b"", whole[:7], whole[:50], whole[:-1], b"\x80\x04.", b"\xff" * 8 + whole[8:], whole + b"x"):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(EvornnError, match="damaged"):
            StandaloneModel.load(tmp_path / "damaged")


# ---- the command line ----------------------------------------------------------------------------------------------

WORDS = [
    ["ls"],
    ["ls", "1"],
    ["ls", "2", "--limit", "2"],
    ["ls", "--trainer", "adam"],
    ["show", "1"],
    ["show", "5"],
    ["show", "6"],
    ["logs", "1"],
    ["logs", "2"],
    ["logs", "-f", "1"],
    ["logs", "--run", "5"],
    ["compare", "1"],
    ["query", "SELECT run, network, test_loss, 9e999 FROM results ORDER BY run"],
    ["token", "ls"],
    ["models", "ls"],
    ["models", "show", "load@production"],
    ["models", "download", "adding"],
    ["models", "alias", "load", "production"],
    ["submit", "spec.yaml", "--key", "same"],
    ["cancel", "1"],
    ["retry", "1"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_output_is_equal(
    words: list[str],
    as_json: bool,
    evornn: CommandLine,
    database: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVORNN_TOKEN", server.token)
    write_spec(tmp_path)
    further = ["--json"] if as_json else []
    local = evornn(*words, "--store", database, *further)
    remote = evornn(*words, "--server", server.url, *further)
    assert local.status == remote.status == 0, (local.err, remote.err)
    another = words[0] == "submit"  # job of another owner, at another place
    assert (masked(local.out) == masked(remote.out)) if another else (local.out == remote.out)
    assert local.out


def masked(text: str) -> str:
    return re.sub(r"\d+", "#", without_target(text))


def without_target(text: str) -> str:
    return re.sub(r" --(store|server) [^`\s]+", "", text)


def test_exports_are_equal(
    evornn: CommandLine,
    database: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVORNN_TOKEN", server.token)
    for what in ("runs", "curves"):
        evornn("export", "a.csv", "--what", what, "--job", "1", "--store", database)
        evornn("export", "b.csv", "--what", what, "--job", "1", "--server", server.url)
        assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    evornn("model", "1", "a.safetensors", "--store", database)
    evornn("model", "1", "b.safetensors", "--server", server.url)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("words", [["show", "99"], ["compare", "99"], ["query", "SELECT x FROM results"]])
def test_mistakes_are_answered_alike(
    words: list[str],
    evornn: CommandLine,
    database: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVORNN_TOKEN", server.token)
    local = evornn.refuses(*words, "--store", database)
    remote = evornn.refuses(*words, "--server", server.url)
    assert without_target(local) == without_target(remote)  # commands that they suggest have the target of each


@pytest.mark.slow
def test_run_there_and_follow(
    evornn: CommandLine,
    fresh: Fresh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`evornn run --server` shows what `evornn run` shows; who computes is somebody else."""
    import threading

    results, url = fresh.results, fresh.url
    if fresh.server is None:
        expected = evornn("run", write_spec(tmp_path), "--store", url, "--workers", "0").out
        assert "4/4 runs" in expected and "try       evornn query" in expected
        return
    monkeypatch.setenv("EVORNN_TOKEN", fresh.server.token)

    before = {job.id for job in results.store.jobs()}

    def compute() -> None:
        with open_store(url) as store:
            while not (new := {job.id for job in store.jobs()} - before):
                time.sleep(0.05)
            work(store, *new, 0, None, SilentListener())

    thread = threading.Thread(target=compute)
    thread.start()
    answer = evornn("run", write_spec(tmp_path), "--server", results.store.display_url, "--report", "r.html")
    thread.join()
    assert answer.status == 0, answer.err
    job = results.store.jobs()[0].id
    assert answer.out.startswith(f"job {job}: 4 runs\n") and "4/4 runs" in answer.out and "server    http" in answer.out
    assert "<html" in (tmp_path / "r.html").read_text()[:200]
    again = evornn("resume", str(job), "--server", results.store.display_url, "--json")
    assert again.status == 0 and again.data["job"] == job


def test_an_interrupt_detaches(
    evornn: CommandLine,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from evornn.service import progress

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("EVORNN_TOKEN", server.token)
    monkeypatch.setattr(progress, "watch", interrupted)
    answer = evornn("run", write_spec(tmp_path), "--server", server.url)
    assert answer.status == 130 and "continues on the server" in answer.err and "evornn cancel" in answer.err


# ---- the connection ------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there(evornn: CommandLine) -> None:
    http = HttpClient("http://127.0.0.1:1", None, tries=1)
    with pytest.raises(Unreachable, match="can't be reached"):
        http.raw("/jobs")
    http.close()
    for url in ("localhost:8000", "ftp://x", "http://", "http://me:secret@localhost"):
        with pytest.raises(EvornnError, match="is not a server's address"):
            HttpClient(url, None)
    assert "--store and --server" in evornn.refuses("ls", "--store", "sqlite:///x.db", "--server", "http://x")
    refused = evornn.refuses("run", "spec.yaml", "--workers", "1", "--server", "http://x")
    assert "a server has its own dispatchers" in refused


@pytest.mark.parametrize(
    ("token", "problem"),
    [(None, "in EVORNN_TOKEN"), ("x" * 40, "valid token in EVORNN_TOKEN"), ("ä" * 40, "copy it")],
)
def test_a_token_that_is_wrong(
    token: str | None, problem: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVORNN_TOKEN_FILE", "")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(EvornnError, match=problem), library.connect(server.url, token) as results:
        results.jobs()


def test_where_tokens_lie(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(server.token + "\n")
    file.chmod(0o644)
    monkeypatch.delenv("EVORNN_TOKEN", raising=False)
    monkeypatch.setenv("EVORNN_TOKEN_FILE", str(file))
    with pytest.raises(EvornnError, match="can be read by others: chmod 600"):
        library.connect(server.url)
    file.chmod(0o600)
    with library.connect(server.url) as results:
        assert results.jobs()
    monkeypatch.setenv("EVORNN_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(EvornnError, match="can't be read"):
        library.connect(server.url)


@pytest.mark.parametrize("home", ["/dev/null", "of another user", "none"])
def test_without_a_home_there_is_no_token(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without access is what sudo may leave."""

    def fail(self: Path) -> Any:
        raise PermissionError(13, "Permission denied") if home == "of another user" else RuntimeError("no home")

    for variable in ("EVORNN_TOKEN", "EVORNN_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    if home == "/dev/null":
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.setattr(Path, "is_file" if home == "of another user" else "expanduser", fail)
    assert default_token() is None


class Flaky:
    """A transport that fails a few times."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        import httpx

        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, content=b"[]" if answer == 200 else b"<html>", headers={"Retry-After": "0"})


@pytest.mark.parametrize("safe", [True, False])
def test_safe_requests_are_tried_again_and_others_are_not(safe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    from evornn.client import http as module

    monkeypatch.setattr(module, "PAUSE", 0.0)
    http = HttpClient("http://127.0.0.1:1", None)
    flaky = Flaky(httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 503, 200)
    monkeypatch.setattr(http._client, "request", flaky)
    if safe:
        assert http.get(list[int], "/x") == [] and flaky.asked == 4
    else:
        with pytest.raises(Unreachable, match="slow"):
            http.post(list[int], "/x")
        assert flaky.asked == 2
    http.close()


def test_something_else_is_told_from_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    http = HttpClient("http://127.0.0.1:1", None)
    for status, problem in ((200, "sends an unexpected response"), (404, "responds 404"), (302, "responds 302")):
        monkeypatch.setattr(http._client, "request", Flaky(status))
        with pytest.raises(EvornnError, match=problem):
            http.get(list[dict[str, int]] if status != 200 else dict[str, int], "/x")
    http.close()


def test_unfinished_things_are_not_found(both: dict[str, Results]) -> None:
    for how in HOW:
        with pytest.raises(NotFound, match="has no result"):
            both[how].run(7).model  # noqa: B018
    assert isinstance(both["http"].service, RemoteService)
