"""A full disk is an outage: dispatcher and server wait for it as for a lost database, and nothing is lost."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from secrets import token_hex

import numpy as np
import psycopg
import pytest
from postgres import ROOT_BECOMES, Postgres
from scripted import Scripted, progress, queued, success, worked
from serving import serving
from small_disk import SmallDisk, small_disk
from stores import new_runs

from evornn.service.api.examples import SPEC
from evornn.service.executors.executor import ProgressEvent
from evornn.store.errors import Unreachable
from evornn.store.store import Store, open_store

API = "/api/v1"
FULL = "disk is full"


@contextmanager
def on_sqlite(request: pytest.FixtureRequest) -> Iterator[tuple[SmallDisk, str]]:
    with small_disk(6) as disk:
        yield disk, f"sqlite:///{disk.folder}/evornn.db"


@contextmanager
def on_postgres(request: pytest.FixtureRequest) -> Iterator[tuple[SmallDisk, str]]:
    """A database in a tablespace on a small disk; the server's log of transactions stays elsewhere."""
    server: Postgres = request.getfixturevalue("postgres")
    with small_disk(20) as disk, closing(psycopg.connect(server.url, autocommit=True)) as connection:
        place = disk.folder / "tables"
        place.mkdir()
        shutil.chown(place, ROOT_BECOMES)
        connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        connection.execute("CREATE DATABASE small TABLESPACE small")
        try:
            yield disk, f"{server.url.rpartition('/')[0]}/small"
        finally:
            connection.execute("DROP DATABASE small WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")


@pytest.fixture(params=[on_sqlite, on_postgres])
def small(request: pytest.FixtureRequest) -> Iterator[tuple[SmallDisk, str]]:
    with request.param(request) as (disk, url):
        open_store(url).close()
        yield disk, url


def test_a_dispatcher_waits_for_it(small: tuple[SmallDisk, str], caplog: pytest.LogCaptureFixture) -> None:
    disk, url = small
    with open_store(url) as store:
        job = queued(store, 3)
        executor = Scripted(lambda a: [*(large(progress(a, mark)) for mark in range(1, 9)), success(a, 9)])
        executor.between = _fill_and_free(store, disk, executor)
        with caplog.at_level(logging.WARNING, "evornn"):
            ends = worked(store, job, executor, patience=float("inf"))
        assert ends == [("succeeded", "")] * 3 and [a.attempt.lease for a in executor.started] == [1] * 3
        assert [row.mark for row in store.curve(1)] == list(range(1, 10))
    first, last = (record.message for record in caplog.records if record.name.startswith("evornn"))
    assert FULL in first and last.startswith("the database is back after")


def large(event: ProgressEvent) -> ProgressEvent:
    """With a checkpoint that grows, and so needs new room in the database."""
    assert event.update.checkpoint is not None
    event.update.checkpoint.arrays["C"] = np.random.default_rng(0).normal(size=5000 * event.update.checkpoint.mark)
    return event


def _fill_and_free(store: Store, disk: SmallDisk, executor: Scripted) -> Callable[[], None]:
    since: list[float] = []

    def act() -> None:
        if not since and store.run(1).mark == 2:
            disk.fill()
            since.append(executor.now)
        if since and executor.now > since[0] + 60:
            disk.free()

    return act


def test_a_server_goes_on_reading(small: tuple[SmallDisk, str]) -> None:
    disk, url = small
    with serving(url) as server, open_store(url) as store:
        job = server.post(f"{API}/jobs", json=SPEC).json()["id"]
        token = store.add_token("reader", ["read"])
        disk.fill()
        for size in (100_000, 10):  # first large, then small: until the pages of all tables have nothing left
            with pytest.raises(Unreachable, match=FULL):
                while True:
                    store.submit({"name": "full", "number": store.count_runs(), "text": token_hex(size)}, new_runs(1))
        for path in (f"{API}/jobs/{job}", f"{API}/runs", "/metrics", "/readyz"):
            assert server.get(path, token=token).status_code == 200, path
        answers = [server.post(f"{API}/jobs", json=SPEC) for _ in range(3)]
        assert {answer.status_code for answer in answers} <= {201, 503} and answers[-1].status_code == 503
        assert FULL in answers[-1].json()["detail"] and answers[-1].headers["Retry-After"] == "2"
        disk.free()
        assert server.post(f"{API}/jobs", json=SPEC).status_code == 201
