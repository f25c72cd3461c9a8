"""Whoever waits for runs is told when no dispatcher can compute them, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from stores import submitted

from evornn.service.api.metrics import Metrics
from evornn.service.dispatch.process_identity import current_identity
from evornn.service.reading.cluster_status import NO_CLUSTER, NO_DISPATCHER, NO_MACHINE, cluster_status, problem_here
from evornn.service.reading.tail import poll
from evornn.store.records import Machine, Worker
from evornn.store.schema import workers
from evornn.store.store import Store, open_store

HEAD, NODE = Machine("a", "head", 0, 0), Machine("b", "node", 4, 4)
DRAINING = Machine("c", "old", 4, 1, draining=True)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as store:
        yield store


def worker(*machines: Machine, age: float = 1.0, name: str = "me") -> Worker:
    return Worker(name, 0.0, 100.0, age, 0, 1, 0, machines)


@pytest.mark.parametrize(
    ("workers", "problem", "able"),
    [
        ([], NO_DISPATCHER, 0),
        ([worker(NODE, age=100.0)], NO_DISPATCHER, 0),
        ([worker()], NO_CLUSTER, 0),
        ([worker(HEAD)], NO_MACHINE, 0),
        ([worker(HEAD, DRAINING)], NO_MACHINE, 0),
        ([worker(), worker(HEAD, NODE)], None, 1),
        ([worker(Machine("d", "gpus", 0, 0, 1))], None, 1),
    ],
)
def test_what_is_missing(workers: list[Worker], problem: str | None, able: int) -> None:
    status = cluster_status(workers)
    assert (status.problem, status.able) == (problem, able)


def test_a_job_that_waits_says_why(store: Store) -> None:
    job = submitted(store, 1)
    assert poll(store, job).problem == NO_DISPATCHER
    store.heartbeat("me", 1, 0, [HEAD])
    assert poll(store, job).problem == NO_MACHINE
    store.heartbeat("me", 1, 0, [HEAD, NODE])
    assert poll(store, job).problem is None
    claim = store.claim("another")
    assert claim is not None
    store.heartbeat("me", 1, 0, [])
    assert poll(store, job).problem == NO_CLUSTER, "it was claimed, but nothing computes it"
    store.cancel(job=job)
    store.release(claim.run.id, claim.lease)
    assert poll(store, job).problem is None, "it has finished"


def test_metrics_tell_dispatchers_that_can_compute_from_the_others(store: Store) -> None:
    store.heartbeat("one", 1, 0, [HEAD])
    store.heartbeat("two", 1, 0, [HEAD, NODE])
    text = Metrics(store).text().decode()
    assert "\nevornn_dispatchers 2.0\n" in text and "\nevornn_dispatchers_able 1.0\n" in text


def test_the_health_check_asks_the_dispatchers_of_this_machine(store: Store) -> None:
    def problem() -> str | None:
        return problem_here(store.workers())

    store.heartbeat("elsewhere/12345678/1:1:1", 1, 0, [NODE])
    assert problem() == "no dispatcher runs here, or it has not been heard of for half a minute"
    store.heartbeat(current_identity(), 1, 0, [])
    assert problem() == NO_CLUSTER
    store.heartbeat(current_identity(), 1, 0, [HEAD])
    assert problem() is None
    with store.write_transaction() as connection:
        connection.execute(update(workers).values(last_seen=workers.c.last_seen - 60))
    assert problem() is not None, "it hangs"


def test_folders_and_backups_are_measured(store: Store, tmp_path: Path) -> None:
    from evornn.service.api.folder_metrics import FolderCollector, newest_backup

    folders = FolderCollector({"data": tmp_path, "lost": tmp_path / "nowhere"}, tmp_path / "backups")
    text = Metrics(store, folders).text().decode()
    assert 'evornn_disk_free_bytes{folder="data"}' in text and "lost" not in text and 'folder="backups"' not in text
    assert "\nevornn_last_backup_timestamp_seconds 0.0\n" in text
    (tmp_path / "backups").mkdir()
    for name, content in (("a.dump", "x"), ("b.dump.part", "x"), ("c.dump", "")):
        (tmp_path / "backups" / name).write_text(content)
    assert newest_backup(tmp_path / "backups") == (tmp_path / "backups/a.dump").stat().st_mtime
    assert 'folder="backups"' in Metrics(store, folders).text().decode()
