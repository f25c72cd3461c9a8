"""What an enemy may send: never an error of the server, nothing read or written outside, nothing given back."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hostile import Case, cases
from serving import Server, serving

from evornn.errors import EvornnError
from evornn.models.standalone import StandaloneModel
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy

SECRET = "TOP-SECRET"
SERIES = "y\n" + "".join(f"{k % 7}\n" for k in range(60))


@dataclass(frozen=True)
class Place:
    """A server with one data set, beside what is none of an enemy's business."""

    server: Server
    folder: Path
    cookie: str  # of somebody's session on the dashboard

    def everything(self) -> dict[str, tuple[int, int]]:
        """All files outside of the store: size and when they were changed."""
        found = sorted(path for path in self.folder.rglob("*") if "store" not in path.parts)
        return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hostile")
    data, outside, store = (folder / name for name in ("data", "outside", "store"))
    for made in (data, outside, store):
        made.mkdir()
    (data / "series.csv").write_text(SERIES)
    (outside / "secret.csv").write_text(SERIES + f"{SECRET}\n")
    (data / "link.csv").symlink_to(outside / "secret.csv")
    (data / "linked").symlink_to(outside)
    (data / "loop.csv").symlink_to(data / "loop.csv")
    os.mkfifo(data / "pipe.csv")
    (folder / "evil.py").write_text("raise SystemExit('imported')")
    with serving(f"sqlite:///{store}/evornn.db", "--data", str(data), PYTHONPATH=_path(folder)) as server:
        yield Place(server, folder, _session(server))


def _path(folder: Path) -> str:
    return os.pathsep.join([str(Path(__file__).parents[2]), str(folder)])


def _session(server: Server) -> str:
    answer = server.post("/ui/login", data={"token": server.token}, headers={"Origin": server.url})
    return answer.cookies["evornn"]


def sent(place: Place, case: Case) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer; status 0 where there is none."""
    at = urlsplit(place.server.url)
    raw = case.raw.replace(b"{TOKEN}", place.server.token.encode()).replace(b"{HOST}", at.netloc.encode())
    raw = raw.replace(b"{COOKIE}", place.cookie.encode())
    with socket.create_connection((str(at.hostname), at.port or 0), timeout=70) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # answered before all was sent
            connection.sendall(raw)
        try:
            answer = HTTPResponse(connection, method="HEAD" if raw.startswith(b"HEAD") else None)
            answer.begin()
            body = answer.read()
        except (HTTPException, ConnectionResetError, ValueError):
            return 0, {}, b""
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_there_are_enough_cases() -> None:
    names = [case.name for case in cases("/outside")]
    assert len(names) >= 200 and len(set(names)) == len(names)


@pytest.mark.slow
def test_no_case_does_harm(place: Place) -> None:
    before, wrong = place.everything(), []
    for case in cases(str(place.folder / "outside")):
        status, headers, body = sent(place, case)
        if problem := _problem(case, status, headers, body, place):
            wrong.append(f"{case.name}: {problem}")
    assert wrong == []
    assert place.everything() == before
    assert place.server.get("/readyz").json() == {"status": "ready"} and place.server.process.poll() is None
    names = {job["experiment"] for job in place.server.get("/api/v1/jobs?limit=1000").json()["items"]}
    assert "<script>alert(1)</script>" in names and SECRET not in names


def _problem(case: Case, status: int, headers: dict[str, str], body: bytes, place: Place) -> str:
    if status >= 500 or status not in case.good:
        return f"{status} {body[:200]!r}, expected {case.good}"
    if SECRET.encode() in body or b"root:" in body or b"Traceback" in body or place.server.token.encode() in body:
        return f"gives away {body[:200]!r}"
    if status and headers.get("content-type") == "application/problem+json" and len(body) > 20_000:
        return f"gives back {len(body)} bytes"
    if status and b"<script>" in body and "json" not in headers.get("content-type", ""):
        return f"script in {headers.get('content-type')}"
    if status and "set-cookie" in headers:
        return "a header that was made from outside"
    return ""


def test_a_data_set_is_read_where_it_may(place: Place) -> None:
    task = {"kind": "csv", "path": "series.csv", "targets": ["y"], "window": 4}
    spec = {
        "name": "series",
        "tasks": [task],
        "networks": [{"kind": "elman", "units": 2}],
        "trainers": [{"kind": "snes", "population": 4}],
        "seeds": 1,
        "budget": 20_000,
    }
    answer = place.server.post("/api/v1/jobs", json=spec)
    assert answer.status_code == 201, answer.text
    job = answer.json()["id"]
    assert place.server.get(f"/api/v1/jobs/{job}/spec").json()["tasks"] == [task]
    (run,) = place.server.get(f"/api/v1/runs?job={job}").json()["items"]
    assert run["fragments"]["task"]["path"] == "series.csv", "the folder is the server's own affair"


@pytest.mark.parametrize(
    "name", ["../outside/secret.csv", "link.csv", "linked/secret.csv", "pipe.csv", "loop.csv", "none"]
)
def test_rules_keep_files_within_the_folder(name: str, place: Place) -> None:
    with pytest.raises(EvornnError, match="no data set"):
        SubmissionPolicy(place.folder / "data").resolve_file(name)
    with pytest.raises(EvornnError, match="has no data sets"):
        SubmissionPolicy().resolve_file(name)


# ---- the helper ----------------------------------------------------------------------------------------------------


def forever() -> None:
    while True:
        pass


def greedy() -> int:
    return len(bytearray(2**34))


def dies() -> None:
    os._exit(1)


def fails() -> None:
    raise EvornnError("as told")


def broken() -> None:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (forever, "took longer than 0.5 s"),
        (greedy, "needs too much memory"),
        (dies, "needs too much memory"),
        (fails, "as told"),
        (broken, r"can't be computed \(ZeroDivisionError\)"),
    ],
)
def test_the_helper_survives(function: object, problem: str) -> None:
    helper = HelperProcess(memory=2**30, seconds=20.0)
    try:
        assert helper.call(len, "started") == 7
        helper.seconds = 0.5 if function is forever else 20.0
        with pytest.raises(EvornnError, match=problem):
            helper.call(function)  # type: ignore[arg-type]
        helper.seconds = 20.0
        assert helper.call(len, "again") == 5
    finally:
        helper.close()


@pytest.mark.parametrize("damaged", [b"", b"\x80\x04.", b"\xff" * 20, (2).to_bytes(8, "little") + b"{}", b"[" * 5000])
def test_a_damaged_model_is_refused(damaged: bytes) -> None:
    with pytest.raises(EvornnError, match="damaged"):
        StandaloneModel.from_bytes(damaged)
