"""Checkpoints that are too large for one transaction: written in portions, and there only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scripted import Scripted, ended, progress, queued, success, worked
from sqlalchemy import func, select
from stores import checkpoint, result, row, submitted

from evornn.service.executors.executor import Assignment, ExecutorEvent, ProgressEvent
from evornn.store import large_checkpoints, leases
from evornn.store.errors import Fenced, StoreError
from evornn.store.large_checkpoints import PortionWriter
from evornn.store.records import Claim
from evornn.store.schema import checkpoint_portions
from evornn.store.store import Store, open_store
from evornn.training.records import Checkpoint, Update


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(leases, "BACK_OFF", 0.0)
    monkeypatch.setattr(large_checkpoints, "PORTION", 1000)
    with open_store(url) as store:
        yield store


def large(mark: int, size: int = 5000) -> Checkpoint:
    return Checkpoint(mark, {"C": np.arange(mark, mark + size // 4, dtype=np.float32)}, {"step": mark})


def claim(store: Store) -> Claim:
    claimed = store.claim("me")
    assert claimed is not None
    return claimed


def count_portions(store: Store) -> int:
    with store.read_transaction() as connection:
        return connection.scalar(select(func.count()).select_from(checkpoint_portions)) or 0


def swept(store: Store) -> int:
    """How many portions are left when all has been swept."""
    while store.sweep():
        pass
    return count_portions(store)


def write(store: Store, ours: Claim, mark: int, most: int = 100) -> PortionWriter:
    writer = PortionWriter(large(mark))
    while writer.checkpoint is None and most:
        store.write_portion(ours.run.id, ours.lease, writer)
        most -= 1
    return writer


def mark_of(store: Store) -> int | None:
    found = store.checkpoint(1)
    if found is not None:
        assert (found.arrays["C"] == large(found.mark).arrays["C"]).all() and found.plain == {"step": found.mark}
    return None if found is None else found.mark


def test_the_one_before_stays_until_the_new_one_is_complete(store: Store) -> None:
    submitted(store)
    ours = claim(store)
    first = write(store, ours, 1)
    assert mark_of(store) is None and count_portions(store) == 6
    store.record(1, ours.lease, [row(1)], first.checkpoint)
    assert mark_of(store) == 1
    write(store, ours, 2, most=3)  # a process that dies in between
    assert mark_of(store) == 1 and count_portions(store) == 9
    assert not store.sweep(), "they may still be written"
    store.release(1, ours.lease)
    assert swept(store) == 6 and mark_of(store) == 1
    ours = claim(store)
    assert ours.checkpoint is not None and ours.checkpoint.mark == 1
    write(store, ours, 2, most=3)  # and again, by this one
    second = write(store, ours, 2)
    assert count_portions(store) == 12, "what the dead one has left is gone"
    assert not store.sweep() and count_portions(store) == 12, "the one that is being written stays"
    store.record(1, ours.lease, [row(2)], second.checkpoint)
    assert mark_of(store) == 2 and swept(store) == 6
    store.record(1, ours.lease, [row(3)], checkpoint(3))  # small again
    assert count_portions(store) == 0 and store.checkpoint(1).arrays["mean"][0] == 3  # type: ignore[union-attr]


def test_whoever_has_lost_the_run_writes_nothing(store: Store) -> None:
    submitted(store)
    lost = claim(store)
    writer = write(store, lost, 1, most=2)
    store.release(1, lost.lease)
    ours = claim(store)
    with pytest.raises(Fenced):
        store.write_portion(1, lost.lease, writer)
    store.record(1, ours.lease, [row(1)], write(store, ours, 1).checkpoint)
    assert mark_of(store) == 1 and count_portions(store) == 6


def test_portions_go_with_the_run(store: Store) -> None:
    job = submitted(store, 3)
    for _ in range(3):
        ours = claim(store)
        store.record(ours.run.id, ours.lease, [row(1)], write(store, ours, 1).checkpoint)
        if ours.run.id == 1:
            store.finish(1, ours.lease, result())
            assert swept(store) == 0
        if ours.run.id == 2:
            store.fail(2, ours.lease, "broken", retry=False)
            store.retry(run=2)
            assert count_portions(store) == 0 and store.checkpoint(2) is None
            store.cancel(run=2)
    store.fail(3, ours.lease, "broken", retry=False)
    assert count_portions(store) == 6
    store.delete(job)
    assert count_portions(store) == 0


def test_missing_portions_are_said(store: Store) -> None:
    submitted(store)
    ours = claim(store)
    store.record(1, ours.lease, [row(1)], write(store, ours, 1).checkpoint)
    with store.write_transaction() as connection:
        connection.execute(checkpoint_portions.delete().where(checkpoint_portions.c.position == 2))
    with pytest.raises(StoreError, match="a stored array is damaged"):
        store.checkpoint(1)
    store.release(1, ours.lease)
    assert store.claim("me") is None
    assert store.run(1).state == "failed" and "a stored array is damaged" in (store.run(1).error or "")


def test_a_dispatcher_stores_them_beside_other_runs(store: Store) -> None:
    """Other runs are reported between two portions; the newest checkpoint of an ended run is complete."""
    job = queued(store, 2)

    def script(a: Assignment) -> list[ExecutorEvent]:
        if a.seed == 1:
            return [*(progress(a, mark) for mark in range(1, 9)), success(a, 9)]
        updates = (Update([row(mark)], large(mark), network_steps=10 * mark) for mark in (1, 2, 3))
        return [*(ProgressEvent(a.attempt, update) for update in updates), ended(a, "error", "broken", retry=False)]

    assert sorted(state for state, _ in worked(store, job, Scripted(script, slots=2))) == ["failed", "succeeded"]
    assert mark_of(store) == 3 and swept(store) == 6 and len(store.curve(1)) == 3
    store.resume(job)
    resumed = Scripted(lambda a: [success(a, 4)])
    assert worked(store, job, resumed) == [("succeeded", "")]
    assert resumed.started[0].checkpoint is not None and resumed.started[0].checkpoint.mark == 3
    assert count_portions(store) == 0, "nothing is left when the queue is empty"


def test_interrupted_while_it_is_written(store: Store) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [ProgressEvent(a.attempt, Update([row(1)], large(1, 20_000), network_steps=10))])

    def interrupt() -> None:
        if count_portions(store) > 1:
            raise KeyboardInterrupt

    executor.between = interrupt
    with pytest.raises(KeyboardInterrupt):
        worked(store, job, executor)
    assert store.run(1).state == "queued" and count_portions(store) == 21
    assert store.checkpoint(1).arrays["C"].nbytes == 20_000  # type: ignore[union-attr]
