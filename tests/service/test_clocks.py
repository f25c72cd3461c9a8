"""A dispatcher whose clock is ahead takes no runs away from others."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from scripted import Scripted, progress, queued, success, worked
from sqlalchemy import event
from stores import row

from evornn.service.dispatch.clock_watch import ClockWatch
from evornn.store.records import Claim, Worker
from evornn.store.store import Store, open_store

OTHER = "elsewhere:1:1"
HOUR = 3600.0


class Skewed:
    """A store whose SQLite reads a clock that is `seconds` ahead."""

    def __init__(self, url: str, seconds: float) -> None:
        self.store, self.seconds = open_store(url), seconds
        self.store.close()
        event.listen(self.store.engine, "connect", self._replace_clock)

    def _replace_clock(self, connection: Any, _: object) -> None:
        connection.create_function("julianday", 1, lambda _: (time.time() + self.seconds) / 86400 + 2440587.5)


class Neighbour:
    """Another dispatcher, with a right clock, that computes a run and then gives it back."""

    def __init__(self, store: Store) -> None:
        self.store = store
        claim = store.claim(OTHER)
        assert claim is not None
        self.claim: Claim = claim

    def beat(self) -> None:
        self.store.record(self.claim.run.id, self.claim.lease, [row(1)])
        self.store.heartbeat(OTHER, 1, 1)


def test_a_dispatcher_that_is_ahead_claims_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    with open_store(url) as right:
        job = queued(right, 3)
        neighbour, skewed = Neighbour(right), Skewed(url, HOUR)
        executor = Scripted(lambda a: [progress(a, 1), success(a, 2)])

        given_back: list[bool] = []

        def live(until: float = executor.now + 60) -> None:
            if executor.now < until:
                neighbour.beat()
                assert executor.started == [], "nobody's runs are claimed"
            elif skewed.seconds:
                skewed.seconds = 0.0
                neighbour.beat()
            elif executor.now < until + 30:
                neighbour.beat()
            elif not given_back:
                given_back.append(True)
                right.release(neighbour.claim.run.id, neighbour.claim.lease)

        executor.between = live
        with caplog.at_level(logging.WARNING, "evornn"):
            ends = worked(skewed.store, job, executor)
    assert ends == [("succeeded", "")] * 3 and right.run(neighbour.claim.run.id).lease == 2, "given back, never taken"
    warned, over = (record.getMessage() for record in caplog.records)
    assert (
        warned.startswith("the clock of this machine is 3") and f"s ahead of that of {OTHER}: set both right" in warned
    )
    assert over == "the clocks agree again"


def test_a_dispatcher_that_died_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    with open_store(url) as store:
        job = queued(store, 2)
        assert store.claim(OTHER, lease_seconds=-1) is not None
        executor = Scripted(lambda a: [success(a, 1)])
        assert worked(store, job, executor) == [("succeeded", "")] * 2
        assert [assignment.attempt for assignment in executor.started] == [(1, 2), (2, 1)]


@pytest.mark.parametrize(("differs", "ahead"), [(0.0, False), (4.0, False), (20.0, True), (-3600.0, False)])
def test_late_heartbeats_are_no_difference_of_clocks(differs: float, ahead: bool) -> None:
    """However seldom they come and however late they are seen."""
    now = [100.0]
    watch = ClockWatch("me", lambda: now[0])
    for pause in (2.0, 9.0, 25.0, 2.0):
        watch.look([worker("me", 0.0), worker(OTHER, now[0])], now[0] + differs)
        now[0] += pause
    watch.look([worker(OTHER, now[0] - 1)], now[0] + differs)
    assert watch.is_ahead == ahead


def test_one_that_fell_silent_is_forgotten() -> None:
    now = [100.0]
    watch = ClockWatch("me", lambda: now[0])
    for _ in range(3):
        watch.look([worker(OTHER, now[0])], now[0] + HOUR)
        now[0] += 2
    assert watch.is_ahead and not watch.may_take_from([OTHER])
    now[0] += 40
    watch.look([worker(OTHER, 104.0)], now[0] + HOUR)
    assert not watch.is_ahead and watch.may_take_from([OTHER])


def test_one_that_is_new_is_observed_first() -> None:
    now = [100.0]
    watch = ClockWatch("me", lambda: now[0])
    watch.look([worker(OTHER, 50.0)], now[0])
    assert not watch.may_take_from([OTHER]) and watch.may_take_from([])
    now[0] += 7
    watch.look([worker(OTHER, 50.0)], now[0])
    assert watch.may_take_from([OTHER])


def worker(name: str, last_seen: float) -> Worker:
    return Worker(name, 0.0, last_seen, 0.0, 1)
