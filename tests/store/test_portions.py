"""Large jobs are queued, changed and deleted in portions: others write in between; a killed process leaves nothing."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Table, func, select, update
from stores import SPEC, checkpoint, new_runs, result, row, submitted

from evornn.store import filling, removal, submissions
from evornn.store.codec import SharedEncoder, digest, dumps
from evornn.store.errors import Conflict, Fenced, NotFound, StoreError
from evornn.store.records import LogLine, NewRun
from evornn.store.removal import referring_columns
from evornn.store.schema import jobs, metadata, runs
from evornn.store.store import Store, open_store

LARGE = filling.PORTION * 2 + 1  # runs


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def test_a_large_job_is_seen_and_claimed_once_it_is_complete(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    small = submitted(store, 1, owner="bob")
    seen: list[Any] = []

    def look(*arguments: Any) -> None:
        seen.append(([job.id for job in store.jobs()], store.count_runs(), len(store.runs()), store.claim("me")))

    _after_each_portion(monkeypatch, look)
    large = submitted(store, LARGE, owner="ann")
    assert [jobs for jobs, *_ in seen] == [[small]] * 3 and {count for _, count, *_ in seen} == {1}
    assert {len for *_, len, _ in seen} == {1}
    claims = [claim and claim.run.job for *_, claim in seen]
    assert claims == [small, None, None], "no run of a job that isn't there yet"
    assert store.job(large).counts == {"queued": LARGE} and store.count_runs(job=large) == LARGE
    assert [run.position for run in store.runs(job=large)] == list(range(LARGE))
    claim = store.claim("me")
    assert claim is not None and (claim.run.job, claim.run.position) == (large, 0)
    assert store.events(job=large)[0].detail == f"{LARGE} runs"


def test_others_write_between_the_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def write(*arguments: Any) -> None:
        thread = threading.Thread(target=lambda: written.append(submitted(store, 1, owner="bob")))
        thread.start()
        thread.join()  # for ever, if the portions were one transaction

    _after_each_portion(monkeypatch, write)
    submitted(store, LARGE)
    assert len(written) == 3


def test_a_killed_submission_is_continued_by_its_repetition(url: str, store: Store) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_killed_while_submitting, args=(url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and _rows(store, runs) == filling.PORTION
    assert store.jobs() == [] and store.claim("me") is None
    with pytest.raises(NotFound):
        store.job(1)
    with pytest.raises(StoreError, match="is being submitted at this moment: try again in a minute"):
        submitted(store, LARGE, idempotency_key="k")
    with pytest.raises(Conflict, match="use a new key"):
        submitted(store, 1, idempotency_key="k")
    _lapse(store)
    assert submitted(store, LARGE, idempotency_key="k") == 1
    assert [run.position for run in store.runs()] == list(range(LARGE))


def test_a_killed_submission_is_swept(url: str, store: Store) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_killed_while_submitting, args=(url,))
    process.start()
    process.join()
    assert not store.sweep(), "its process may be alive"
    _lapse(store)
    while store.sweep():
        pass
    assert {table: _rows(store, metadata.tables[table]) for table in ("runs", "jobs", "specs", "experiments")} == {
        "runs": 0, "jobs": 0, "specs": 0, "experiments": 0
    }  # fmt: skip


def test_who_has_lost_a_job_adds_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_away(*arguments: Any) -> None:
        _lapse(store)
        store.sweep()

    _after_each_portion(monkeypatch, take_away)
    with pytest.raises(Fenced, match="submit it again"):
        submitted(store, LARGE)
    monkeypatch.undo()
    while store.sweep():
        pass
    assert _rows(store, runs) == 0


def test_a_failed_submission_is_given_up_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*arguments: Any) -> None:
        raise OSError("crash")

    _after_each_portion(monkeypatch, crash)
    with pytest.raises(OSError, match="crash"):
        submitted(store, LARGE, idempotency_key="k")
    monkeypatch.undo()
    assert submitted(store, LARGE, idempotency_key="k") == 1 and store.count_runs() == LARGE


def test_large_jobs_are_changed_as_a_whole(store: Store) -> None:
    job = submitted(store, LARGE)
    assert store.cancel(job) == LARGE and store.job(job).counts == {"cancelled": LARGE}
    assert store.resume(job) == LARGE
    with store.write_transaction() as connection:
        connection.execute(update(runs).values(state="failed"))
    assert store.retry(job) == LARGE and store.job(job).counts == {"queued": LARGE}
    kinds = [event.kind for event in store.events(job=job, limit=10**6)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "submitted": 1, "cancelled": LARGE, "resumed": LARGE, "retried": LARGE
    }  # fmt: skip


@pytest.mark.parametrize(
    "value", [{"b": {"$x": (1, float("nan"))}, "a": 'ä"\n'}, "é", 3, True, None, 1.5, [{"k": 1}], {}]
)
def test_shared_parts_are_encoded_alike(value: Any) -> None:
    encoder = SharedEncoder(most=2)
    assert [encoder.dumps(value), encoder.dumps(value)] == [dumps(value)] * 2


def test_a_request_is_what_it_was_in_earlier_versions() -> None:
    """Else a tuning that was begun by one could not be resumed."""
    given = [dataclasses.replace(run, data_digest="d", parameters=None) for run in new_runs(3)]
    plain = [{n: v for n, v in dataclasses.asdict(run).items() if not n.endswith("_digest")} for run in given]
    assert submissions._request_digest("ä", SPEC, given, 2) == digest(["ä", SPEC, plain, 2])


# ---- deletion ------------------------------------------------------------------------------------------------------


def test_a_deleted_job_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _computed(store, "kept")
    before = _everything(store)
    job = _computed(store, "gone")
    monkeypatch.setattr(removal, "ROWS", 2)
    assert store.delete(job) == 3
    assert _everything(store) == before and store.job(kept).counts == {"succeeded": 1, "queued": 2}
    with pytest.raises(NotFound, match=f"no job {job}"):
        store.delete(job)


def test_all_that_refers_to_runs_and_jobs_is_deleted() -> None:
    """By the schema: whoever adds a table needs to do nothing."""
    named = {column.table.name for table in (runs, jobs) for column in referring_columns(table)}
    by_name = {name for name, t in metadata.tables.items() if {"run_id", "job_id"} & set(t.c.keys())}
    by_name.remove("model_versions")  # a model outlives its run
    assert named == by_name and {"progress", "metrics", "events", "logs", "champions", "checkpoints", "runs"} <= named
    deeper = {c.table.name for name in named - {"runs"} for c in referring_columns(metadata.tables[name])}
    assert deeper == set(), "whatever refers to these must be deleted before them"


def test_a_job_at_work_is_not_deleted(store: Store) -> None:
    job = submitted(store, 2)
    assert store.claim("me") is not None
    with pytest.raises(StoreError, match=rf"2 runs of job {job} are open: `evornn cancel {job}` first"):
        store.delete(job)
    assert store.job(job).counts == {"queued": 1, "running": 1}


def test_a_spec_and_an_experiment_stay_while_others_need_them(store: Store) -> None:
    first, second = submitted(store), submitted(store)
    store.cancel(first)
    store.delete(first)
    assert store.spec(second) == SPEC and [job.experiment for job in store.jobs()] == ["sunspots"]


def test_a_job_is_hidden_as_soon_as_its_deletion_begins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, job = submitted(store, 2), submitted(store, 3)
    store.cancel(job)
    assert store.begin_delete(job) == 3
    assert [one.id for one in store.jobs()] == [kept] and store.count_runs() == len(store.runs()) == 2
    for ask in (lambda: store.job(job), lambda: store.run(3), lambda: store.resume(job), lambda: store.spec(job)):
        with pytest.raises(NotFound):
            ask()
    assert store.query("SELECT count(*) FROM results")[1] == [[2]]
    monkeypatch.setattr(removal, "MOST_RUNS", 1)
    assert [store.sweep() for _ in range(5)] == [True] * 4 + [False]
    assert _rows(store, runs) == 2


def _computed(store: Store, name: str) -> int:
    """A job with something in every table."""
    job = store.submit({**SPEC, "name": name}, new_runs(3), owner=name)
    claim = store.claim("me", job=job)
    assert claim is not None
    rows = [row(1, extra={"sigma": 1.0}), row(2)]
    store.record(claim.run.id, claim.lease, rows, checkpoint(2), [LogLine("hello")])
    store.finish(claim.run.id, claim.lease, result())
    claim = store.claim("me", job=job)
    assert claim is not None
    store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
    store.release(claim.run.id, claim.lease)
    if name == "gone":
        store.cancel(job)
    return job


def _everything(store: Store) -> dict[str, int]:
    with store.read_transaction() as connection:
        found = {n: connection.scalar(select(func.count()).select_from(t)) for n, t in metadata.tables.items()}
        return {n: int(count or 0) for n, count in found.items() if n not in ("workers", "metric_keys")}


def _rows(store: Store, table: Table) -> int:
    with store.read_transaction() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def _lapse(store: Store) -> None:
    """Let the patience with processes that fill a job be over."""
    with store.write_transaction() as connection:
        connection.execute(update(jobs).where(jobs.c.phase != "complete").values(phase_until=1.0))


def _after_each_portion(monkeypatch: pytest.MonkeyPatch, call: Any) -> None:
    original, portions = filling.run_rows, []

    def run_rows(part: list[NewRun], *arguments: Any) -> Any:
        if len(part) == filling.PORTION or portions:
            call()  # before the first portion as well
            portions.append(len(part))
        return original(part, *arguments)

    monkeypatch.setattr(filling, "run_rows", run_rows)


def _killed_while_submitting(url: str) -> None:
    original, portions = filling.run_rows, []

    def run_rows(*arguments: Any) -> Any:
        portions.append(1)
        if len(portions) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    filling.run_rows = run_rows
    submitted(open_store(url), LARGE, idempotency_key="k")
