"""News of a job: what happened, what was logged and how far its runs are, since the last look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from evornn.service.interface import StoreInterface
from evornn.store.records import Event, JobId, LogLine, StoredJob, StoredRun

POLL_SECONDS = 1.0  # seconds between two looks
PAGE = 1000  # events, and lines, in one look


@dataclass(frozen=True)
class Cursor:
    """What was seen already: numbers of an event and of a log line."""

    event: int = 0
    line: int = 0


START = Cursor()


@dataclass(frozen=True)
class JobUpdate:
    """One look. `running` are the runs that are being computed, as they stand."""

    job: StoredJob
    events: list[Event]
    lines: list[LogLine]
    running: list[StoredRun]
    cursor: Cursor

    @property
    def has_more(self) -> bool:
        """Whether there may be more to see at once."""
        return max(len(self.events), len(self.lines)) == PAGE


def poll(store: StoreInterface, job: JobId, since: Cursor = START) -> JobUpdate:
    """What is new. Raises NotFound."""
    record = store.job(job)  # first: when it has ended by now, what follows is all there will be
    events = store.events(job=job, after=since.event, limit=PAGE)
    lines = store.logs(job=job, after=since.line, limit=PAGE)
    running = [] if record.finished else store.runs(job=job, state="running")
    cursor = Cursor(events[-1].id if events else since.event, lines[-1].id if lines else since.line)
    return JobUpdate(record, events, lines, running, cursor)


def pages(store: StoreInterface, job: JobId) -> Iterator[JobUpdate]:
    """All there is by now. Raises NotFound."""
    update = poll(store, job)
    yield update
    while update.has_more:
        update = poll(store, job, update.cursor)
        yield update


def follow(
    store: StoreInterface, job: JobId, since: Cursor = START, interval: float = POLL_SECONDS
) -> Iterator[JobUpdate]:
    """Look again and again until the job has ended and all was seen."""
    while True:
        update = poll(store, job, since)
        yield update
        since = update.cursor
        if update.job.finished and not update.has_more:
            return
        if not update.has_more:
            time.sleep(interval)
