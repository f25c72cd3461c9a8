"""Data sets that are brought along, files of answers, and what a spec would cost."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from stores import new_runs, result, row

from evornn import settings
from evornn.errors import EvornnError
from evornn.experiments.data_spec import text_spec
from evornn.experiments.own_data import OwnData
from evornn.experiments.spec import RunPlan
from evornn.service.datasets import MAX_BYTES, MOST_VALUES, save_upload
from evornn.service.estimate import estimate
from evornn.service.expansion import expand
from evornn.service.policy import FILES, SubmissionPolicy
from evornn.service.reading.export import encode_table
from evornn.service.service import Service
from evornn.store.records import LogLine
from evornn.store.store import Store, open_store
from evornn.tasks import TASKS

SERIES = b"time,load\n" + b"".join(b"%d,%d\n" % (k, k % 7) for k in range(200))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        yield store


def test_a_data_set_is_kept_once_and_specs_may_name_it(tmp_path: Path, store: Store) -> None:
    rules = SubmissionPolicy(data=tmp_path)
    kept = save_upload(rules, "my load.csv", SERIES)
    assert kept == save_upload(rules, "my load.csv", SERIES) and kept.columns == ("time", "load") and kept.rows == 200
    assert (tmp_path / kept.name).read_bytes() == SERIES and len(list(tmp_path.glob("*.csv"))) == 1
    spec = {
        "name": "own", "tasks": [{"kind": "csv", "path": kept.name, "targets": ["load"], "window": 4, "horizon": 1}],
        "networks": [{"kind": "elman", "units": 2}], "trainers": [{"kind": "adam"}], "seeds": 1, "budget": 1000,
    }  # fmt: skip
    assert len(Service(store, rules).expand(spec).plans) == 1


def test_every_task_with_a_path_reads_from_the_folder_of_data_sets_only() -> None:
    with_path = {kind for kind in TASKS if "path" in settings.names(TASKS[kind])}
    assert with_path == {kind for kind, setting in FILES.items() if setting == "path"}


def test_chorales_come_from_the_folder_of_data_sets_only(tmp_path: Path) -> None:
    """`path` names a file of the server; without it the task names none."""
    (folder := tmp_path / "data").mkdir()
    for name in ("data/chorales.mat", "secret.mat"):
        (tmp_path / name).write_bytes(b"")
    policy = SubmissionPolicy(data=folder)

    def resolve(**task: Any) -> dict[str, Any]:
        plan = RunPlan("", "", "", {"task": {"kind": "jsb_chorales", **task}}, 0, {}, 0)
        return dict(policy.apply([plan])[0].fragments["task"])

    assert resolve() == {"kind": "jsb_chorales"} and resolve(path=None)["path"] is None
    assert resolve(path="chorales.mat")["path"] == str(folder / "chorales.mat")
    for path in ("../secret.mat", str(tmp_path / "secret.mat"), ""):
        with pytest.raises(EvornnError, match="no data set"):
            resolve(path=path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\0b.csv", "…", "", ".htaccess", "x" * 5000, "<b>.csv"]
)
def test_a_name_can_reach_no_other_place(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    kept = save_upload(SubmissionPolicy(data=folder), name, SERIES)
    assert (folder / kept.name).is_file() and [path.name for path in tmp_path.iterdir()] == ["data"]
    assert len(list(folder.iterdir())) == 1 and kept.name.isascii() and "/" not in kept.name


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"\0" * 100, "no rows below"), (b"time,load\n1,x\n2,y\n", "load"), (b"time,other\n1,2\n", "load")],
    ids=["NULs", "text", "column"],
)
def test_the_folder_is_not_told_to_submitters(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    task = {"kind": "csv", "path": "a.csv", "targets": ["load"], "window": 3}
    spec = {"name": "own", "networks": [{"kind": "elman", "units": 2}], "trainers": [{"kind": "snes"}], "seeds": 1}
    spec |= {"tasks": [task], "budget": {"steps": 1000}}
    with pytest.raises(EvornnError, match=problem) as refused:
        expand(spec, SubmissionPolicy(data=tmp_path))
    assert str(tmp_path) not in f"{refused.value} {vars(refused.value)}"
    with pytest.raises(EvornnError) as told:
        expand({**spec, "tasks": [{**task, "path": str(tmp_path / "a.csv")}]}, None)
    assert str(tmp_path) in str(told.value), "one's own command line names the file in full"


def test_records_do_not_tell_the_folder(tmp_path: Path, store: Store) -> None:
    policy = SubmissionPolicy(data=tmp_path)
    file = str(tmp_path / "a.csv")
    (new,) = new_runs(1)
    fragments = {**new.fragments, "task": {"kind": "csv", "path": file, "targets": ["load"], "window": 3}}
    store.submit({"name": "own"}, [replace(new, fragments=fragments)])
    claim = store.claim("me")
    assert claim is not None
    store.record(claim.run.id, claim.lease, [], None, [LogLine(f"reads {file}")])
    store.fail(claim.run.id, claim.lease, f"{file}, line 3: bad", False)
    records = [store.run(1), *store.events(run=1), *store.logs(run=1)]
    assert any(str(tmp_path) in str(vars(record)) for record in records[1:-1])
    shown = [policy.without_folder(record) for record in records]
    assert not any(str(tmp_path) in str(vars(record)) for record in shown)
    assert shown[0].fragments["task"]["path"] == "a.csv" and shown[0].error == "a.csv, line 3: bad"
    assert SubmissionPolicy().without_folder(records[0]) is records[0]


def test_any_format_is_understood_and_asked_about(tmp_path: Path, store: Store) -> None:
    rules = SubmissionPolicy(data=tmp_path)
    service = Service(store, rules)
    lines = "".join(f"{k % 12 + 1:02}/{k // 12 + 1:02}/2001;{k % 7},5\n" for k in range(60))
    kept = service.save_upload("load.csv.gz", gzip.compress(f"day;load\n{lines}".encode()))
    assert kept.name.startswith("load-csv-") and kept.name.endswith(".gz") and kept.columns == ("day", "load")
    own = OwnData(kept.name, ("load",))
    found = service.propose_spec(own)
    assert found.spec is None and found.doubt is not None and found.doubt.answers[0] == ("dates", "day_first")
    assert str(tmp_path) not in str(found)
    task = service.propose_spec(own.answer("dates", "day_first").answer("time", "none")).spec["tasks"][0]
    assert task["path"] == kept.name and task["read"] == {"dates": "day_first"}
    spec = service.propose_spec(own.answer("dates", "day_first").answer("time", "none")).spec
    assert len(service.expand(spec).plans) == 36
    with pytest.raises(EvornnError, match="no data set"):
        service.propose_spec(OwnData("../secret.csv"))


def test_a_text_is_for_the_task_language(tmp_path: Path, store: Store) -> None:
    service = Service(store, SubmissionPolicy(data=tmp_path))
    kept = service.save_upload("book.txt", b"Call me Ishmael. Some years ago,\nnever mind how long,\n" * 40)
    assert kept.columns == () and len(service.expand(text_spec(kept.name)).plans) == 36


@pytest.mark.parametrize(("option", "value"), [("skip", "x"), ("skip", "-1"), ("kinds", "load"), ("none", "1")])
def test_answers_of_strangers_are_checked(option: str, value: str) -> None:
    with pytest.raises(EvornnError):
        OwnData("a.csv").answer(option, value)


def test_another_content_is_another_file(tmp_path: Path) -> None:
    rules = SubmissionPolicy(data=tmp_path)
    assert save_upload(rules, "a.csv", SERIES).name != save_upload(rules, "a.csv", SERIES + b"1,2\n").name


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty file"), (b"a,b\n", "no rows"), (b"\x89PNG" + bytes(99), "a picture"),
     (b"PK\x03\x04" + bytes(99), "damaged"), (b"a\n" + b"1\n" * MAX_BYTES, "at most"),
     (gzip.compress(b"a\n" + b"1\n" * (MOST_VALUES + 1)), "values: an uploaded")],
)  # fmt: skip
def test_what_is_no_data_set_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        save_upload(SubmissionPolicy(data=tmp_path), "a.csv", content)
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_none_are_taken() -> None:
    with pytest.raises(EvornnError, match="accepts no data sets"):
        save_upload(SubmissionPolicy(), "a.csv", SERIES)


def test_an_answer_as_a_file() -> None:
    columns, rows = ["run", "loss", "run"], [[1, 0.5, "x"], [2, None, "=1+1"], [3, float("nan"), "-"]]
    found = encode_table(columns, rows, ".csv").decode().splitlines()
    assert found[:3] == ["run,loss,run", "1,0.5,x", "2,,'=1+1"]
    frame = pd.read_parquet(io.BytesIO(encode_table(columns, rows, ".parquet")))
    assert list(frame) == ["run", "loss", "run_2"] and frame["run_2"].tolist() == ["x", "=1+1", "-"]
    mixed = pd.read_parquet(io.BytesIO(encode_table(["a"], [[1], ["b"]], ".parquet")))
    assert mixed["a"].tolist() == ["1", "b"]


def test_costs_go_by_what_like_runs_took(store: Store) -> None:
    spec: dict[str, Any] = {
        "name": "cost", "tasks": [{"kind": "sines"}], "networks": [{"kind": "elman", "units": 2}],
        "trainers": [{"kind": "adam"}], "seeds": 3, "budget": 2000,
    }  # fmt: skip
    expanded = Service(store).expand(spec)
    found = estimate(expanded, store)
    assert (found.runs, found.network_steps, found.seconds) == (3, 6000, None) and found.parameters[0] > 0
    store.submit({"name": "earlier"}, new_runs(1))
    claim = store.claim("somebody")
    assert claim is not None
    store.finish(claim.run.id, claim.lease, result(), [row(1)])
    assert estimate(expanded, store).seconds == pytest.approx(6000 * 2.5 / 1000)
