"""Reports that a server makes: the same as on one's own machine, for those who may, kept, bounded, and of no stranger's
choice of files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from command_line import CommandLine
from serving import Server, serving
from small_models import small_model, small_table, text_model

from evornn import library
from evornn.errors import EvornnError
from evornn.models.table_file import csv_text
from evornn.service.evaluations import Evaluations
from evornn.service.helper_process import HelperProcess, tell
from evornn.service.policy import SubmissionPolicy
from evornn.service.service import Service
from evornn.store.store import open_store

API = "/api/v1"
CSV, TEXT = {"Content-Type": "text/csv"}, {"Content-Type": "text/plain"}
ROWS = csv_text(small_table(rows=90, groups=3), with_names=True)
WORDS = "abc cab\nabba cab " * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluations")
    (folder / "data").mkdir()
    (folder / "data" / "rows.csv").write_text(ROWS)
    (folder / "data" / "words.txt").write_text(WORDS)
    (folder / "secret.csv").write_text(ROWS)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    url = f"sqlite:///{folder}/evornn.db"
    with library.open(url, create=True) as results:
        for name in ("forecast", "classify", "regress", "label"):
            results.service.register_model(name, small_model(name).to_bytes())
        results.service.register_model("text", text_model().to_bytes())
    with serving(url, "--data", str(folder / "data")) as found:
        yield found


@pytest.fixture(scope="module")
def reader(server: Server) -> str:
    return str(server.post(f"{API}/tokens", json={"name": "reader", "scope": "read"}).json()["token"])


def evaluated(server: Server, model: str, content: str = ROWS, query: str = "", **more: Any) -> Any:
    headers = more.pop("headers", CSV)
    return server.post(f"{API}/models/{model}/evaluate{query}", content=content, headers=headers, **more)


@pytest.mark.parametrize("question", ["forecast", "classify", "regress", "label"])
def test_a_server_says_what_ones_own_machine_says(question: str, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    with library.connect(server.url, server.token) as far:
        told = far.evaluate(question, file, report=tmp_path / "far.html")
    with library.open(f"sqlite:///{tmp_path}/x.db", create=True) as near:
        near.service.register_model(question, small_model(question).to_bytes())
        assert near.evaluate(question, file, report=tmp_path / "near.html") == told
    assert (tmp_path / "near.html").read_text() == (tmp_path / "far.html").read_text()
    assert told["source"] == "rows.csv" and told["importance"]
    named = evaluated(server, question, "", "?data=rows.csv", headers={}).json()["report"]
    assert named == told


def test_the_command_line_makes_the_same_page_here_and_there(
    server: Server, evornn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVORNN_TOKEN", server.token)
    Path("rows.csv").write_text(ROWS)
    Path("words.txt").write_text(WORDS)
    small_model("regress").save("regress.safetensors")
    text_model().save("text.safetensors")
    for model, file in (("regress", "rows.csv"), ("text", "words.txt")):
        there = evornn("evaluate", model, file, "--report", "there.html", "--server", server.url, "--json").data
        here = evornn("evaluate", f"{model}.safetensors", file, "--report", "here.html", "--json").data
        assert {**there, "report": ""} == {**here, "report": ""}
        assert Path("there.html").read_text() == Path("here.html").read_text()
    shown = evornn("evaluate", "regress", "rows.csv", "--report", "there.html", "--server", server.url).out
    assert "report written to there.html" in shown and "RMSE" in shown


def test_texts_come_as_json_or_as_they_are(server: Server) -> None:
    plain = evaluated(server, "text", WORDS, headers=TEXT).json()["report"]
    wrapped = server.post(f"{API}/models/text/evaluate", json={"text": WORDS}).json()["report"]
    named = evaluated(server, "text", "", "?data=words.txt", headers={}).json()["report"]
    assert {**plain, "source": ""} == {**wrapped, "source": ""} == {**named, "source": ""}
    assert plain["measures"] == text_model().evaluate(WORDS)


def test_readers_send_rows_and_name_no_files(server: Server, reader: str) -> None:
    path = f"{API}/models/classify/evaluate"
    assert server.ask("POST", path, reader, content=ROWS, headers=CSV).status_code == 200
    refused = server.ask("POST", f"{path}?data=rows.csv", reader)
    assert refused.status_code == 403 and "scope submit" in refused.json()["detail"]
    assert server.ask("POST", path, None, content=ROWS, headers=CSV).status_code == 401


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "secret.csv", "", "rows.csv%00", "x" * 250])
def test_no_file_outside_of_the_folder_is_read(name: str, server: Server, folder: Path) -> None:
    answer = evaluated(server, "classify", "", f"?data={name}", headers={})
    assert answer.status_code in (400, 422) and str(folder) not in answer.text
    assert "no data set" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("model", "content", "headers", "status", "problem"),
    [
        ("none", ROWS, CSV, 404, "no model none"),
        ("classify", "load,temp\n1,2\n", CSV, 422, "no column"),
        ("classify", ROWS.replace("kind", "sort"), CSV, 422, "'kind'"),
        ("classify", "", CSV, 422, ""),
        ("classify", b"\xff\xfe\x00".decode("latin-1"), CSV, 422, ""),
        ("classify", "[" * 100_000, {"Content-Type": "application/json"}, 422, "nested too deep"),
        ("classify", ROWS, {"Content-Type": "image/png"}, 415, "Content-Type"),
        ("classify", "x" * (2**20 + 1), CSV, 413, "larger"),
        ("text", ROWS, CSV, 422, "the model is one of a text"),
        ("text", "a", TEXT, 422, "give at least 2"),
    ],
)
def test_what_can_not_be_judged_is_told_in_a_line(
    model: str, content: str, headers: dict[str, str], status: int, problem: str, server: Server
) -> None:
    answer = evaluated(server, model, content, headers=headers)
    assert answer.status_code == status and problem in answer.json()["detail"], answer.text
    assert "/tmp" not in answer.text and "Traceback" not in answer.text


def test_names_of_rows_are_words(server: Server) -> None:
    assert evaluated(server, "classify", query="?name=of+May.csv").json()["report"]["source"] == "of May.csv"
    for name in ("..%2Fx", "%3Cscript%3E", "a" * 101, ""):
        assert evaluated(server, "classify", query=f"?name={name}").status_code == 422


def test_a_page_is_a_file_and_needs_nothing_else(server: Server) -> None:
    answer = evaluated(server, "classify", headers={**CSV, "Accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "What the model reads" in answer.text and "default-src 'none'" in answer.text


class Counted:
    """Work that waits until it may end, and counts how often it was done."""

    def __init__(self, error: str = "") -> None:
        self.count, self.may_end, self.error = 0, Event(), error

    def __call__(self, tell: Any) -> Any:
        self.count += 1
        tell("half", 0.5)
        self.may_end.wait(30)
        if self.error:
            raise EvornnError(self.error)
        return self.count


def test_the_same_is_computed_once_and_failures_again() -> None:
    evaluations, work = Evaluations(most=2), Counted()
    first = evaluations.start("a", work)
    assert evaluations.start("a", work) is first is evaluations.find("a") and not first.is_done
    work.may_end.set()
    assert first.result() == 1 == work.count and (first.part, first.share) == ("half", 0.5)  # type: ignore[comparison-overlap]
    failing = Counted("no")
    failing.may_end.set()
    for count in (1, 2):
        with pytest.raises(EvornnError, match="no"):
            evaluations.start("b", failing).result()
        assert failing.count == count
    evaluations.start("c", work).result()
    with pytest.raises(EvornnError, match="not kept any more"):
        evaluations.find("a")


def test_uploads_are_listed_for_their_owner_as_long_as_they_are_there(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        ann, bob, admin = (
            Service(store, SubmissionPolicy(tmp_path), owner, limited=owner != "admin")
            for owner in ("ann", "bob", "admin")
        )
        kept = [ann.save_upload(name, content).name for name, content in (("b.csv", b"x\n1\n"), ("a.csv", b"x\n2\n"))]
        assert ann.uploads() == sorted(kept) and bob.uploads() == []
        own = admin.save_upload("c.csv", b"x\n3\n").name
        assert admin.uploads() == [own]
        (tmp_path / kept[0]).unlink()
        assert ann.uploads() == kept[1:]
        assert Service(store).uploads() == []


def tells_and_stays() -> None:
    tell("a half", 0.5)
    time.sleep(60)


def tells(part: str) -> str:
    for share in (0.25, 0.75):
        tell(part, share)
    return part


def test_a_helper_tells_its_progress_and_ends_in_time() -> None:
    helper, told = HelperProcess(seconds=20.0, elsewhere="do it at home"), list[tuple[str, float]]()
    try:
        assert helper.call(tells, "x", on_progress=lambda *news: told.append(news)) == "x" == helper.call(tells, "x")
        assert told == [("x", 0.25), ("x", 0.75)]
        helper.seconds = 1.0
        with pytest.raises(EvornnError, match=r"took longer than 1 s on the server: .*or do it at home"):
            helper.call(tells_and_stays, on_progress=lambda *news: told.append(news))
        assert told[-1] == ("a half", 0.5)
    finally:
        helper.close()
