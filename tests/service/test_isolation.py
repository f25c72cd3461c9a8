"""Whatever is wrong with one run, or with what a database has of it, fails that run alone: the others go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scripted import Scripted, ended, progress, queued, success, worked
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from stores import checkpoint, row

from evornn.service.executors.executor import Assignment, ExecutorEvent, ProgressEvent
from evornn.store import leases
from evornn.store.store import Store, open_store
from evornn.training import records
from evornn.training.records import Checkpoint, Update

ONE_GOOD_ONE_BAD = ["failed", "succeeded"]


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(leases, "BACK_OFF", 0.0)
    with open_store(url) as store:
        yield store


def large(size: int) -> Checkpoint:
    return replace(checkpoint(1), arrays={"C": np.zeros(size // 4, np.float32)})


def bad_and_good(store: Store, bad: Update) -> tuple[list[str], str]:
    """The ends of two runs of one dispatcher, of which the first reports `bad`, and the first one's error."""
    job = queued(store, 2)

    def script(a: Assignment) -> list[ExecutorEvent]:
        return [ProgressEvent(a.attempt, bad), success(a, 1)] if a.seed == 0 else [progress(a, 1), success(a, 2)]

    ends = sorted(state for state, _ in worked(store, job, Scripted(script, slots=2)))
    assert store.curve(1) == [] and store.checkpoint(1) is None, "nothing of the bad report is stored"
    error = store.run(1).error or ""
    assert "\n" not in error
    return ends, error


def test_a_checkpoint_over_the_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_CHECKPOINT", 10_000)
    ends, error = bad_and_good(store, Update([row(1)], large(20_000)))
    assert ends == ONE_GOOD_ONE_BAD and store.run(1).failures == 1
    assert error.startswith("a checkpoint of 0.00 GB, which is over the limit of 0.00 GB: use a smaller network")


def test_a_number_that_no_database_takes(store: Store) -> None:
    ends, error = bad_and_good(store, Update([row(1, evaluations=2**70)], None))
    assert ends == ONE_GOOD_ONE_BAD and "its report can't be stored" in error


def test_sqlites_own_limit(store: Store) -> None:
    if not store.is_sqlite:
        return  # PostgreSQL's is beyond the limit of a checkpoint
    event.listen(store.engine, "connect", lambda raw, _: raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000))
    store.close()  # its connections
    ends, error = bad_and_good(store, Update([row(1)], large(100_000)))
    assert ends == ONE_GOOD_ONE_BAD and "its report can't be stored" in error


def test_too_little_memory_for_one_report(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """May be over the next time: the run has its three tries."""
    pack = leases.pack

    def little(arrays: dict[str, np.ndarray]) -> bytes:
        if "C" in arrays:
            raise MemoryError
        return pack(arrays)

    monkeypatch.setattr(leases, "pack", little)
    ends, error = bad_and_good(store, Update([row(1)], large(1000)))
    assert ends == ["failed", "queued", "queued", "succeeded"] and store.run(1).failures == leases.TRIES
    assert "too little memory to store its report" in error


def test_a_checkpoint_that_cannot_be_read(store: Store) -> None:
    """It would end every dispatcher that claims the run."""
    job = queued(store, 3)
    claim = store.claim("earlier")
    assert claim is not None
    store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
    store.release(claim.run.id, claim.lease)
    with store.write_transaction() as connection:
        connection.execute(text("UPDATE checkpoints SET arrays = :bad"), {"bad": b"damaged"})
    assert worked(store, job, Scripted(lambda a: [success(a, 1)])) == [("succeeded", "")] * 2
    run = store.run(claim.run.id)
    assert run.state == "failed" and "a stored array is damaged" in (run.error or "")
    assert store.events(run=run.id)[-1].kind == "failed"
    assert store.retry(job) == 1
    assert worked(store, job, Scripted(lambda a: [success(a, 1)])) == [("succeeded", "")], "it starts over"


def test_an_error_of_any_length_is_stored(store: Store) -> None:
    job = queued(store)
    assert worked(store, job, Scripted(lambda a: [ended(a, "error", "x" * 10**6, retry=False)]))[0][0] == "failed"
    assert len(store.run(1).error or "") == 10**6


def test_what_is_wrong_with_the_database_is_nobodys_fault(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is not of the values goes to whoever runs the dispatcher, and no run fails for it."""
    job = queued(store, 2)

    def broken(connection: Connection, *_: Any) -> None:
        connection.execute(text("SELECT * FROM nothing_of_ours"))

    monkeypatch.setattr(leases.progress, "write", broken)
    with pytest.raises(DBAPIError, match="nothing_of_ours"):
        worked(store, job, Scripted(lambda a: [progress(a, 1), success(a, 2)]))
    assert store.count_runs(job=job, state="failed") == 0
