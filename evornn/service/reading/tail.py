"""Updates of a job since the last poll: its events, its log lines, and the progress of its runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from evornn.service.interface import StoreInterface
from evornn.service.reading.cluster_status import problem_of
from evornn.store.records import Event, JobId, LogLine, StoredJob, StoredRun

POLL_SECONDS = 1.0  # between two polls
PAGE = 1000  # events and lines of one poll, each


@dataclass(frozen=True)
class Cursor:
    """The position of a reader: numbers of the last event and the last log line that it has seen."""

    event: int = 0
    line: int = 0


START = Cursor()


@dataclass(frozen=True)
class JobUpdate:
    """The result of one poll."""

    job: StoredJob
    events: list[Event]  # new ones
    lines: list[LogLine]  # new ones
    running: list[StoredRun]  # runs that are being computed
    problem: str | None  # why none is computed, also of those that wait in a cluster; None if the job has finished
    cursor: Cursor  # where the next poll starts

    @property
    def has_more(self) -> bool:
        """Whether the next poll may return more at once."""
        return max(len(self.events), len(self.lines)) == PAGE


def poll(store: StoreInterface, job: JobId, since: Cursor = START) -> JobUpdate:
    """Read what is new.

    Args:
        store: Where the job is.
        job: The job.
        since: Position of the reader.

    Returns:
        The update, with the reader's new position.

    Raises:
        NotFound: There is no such job.
    """
    record = store.job(job)  # first: if it has finished by now, nothing is added to what follows
    events = store.events(job=job, after=since.event, limit=PAGE)
    lines = store.logs(job=job, after=since.line, limit=PAGE)
    running = [] if record.finished else store.runs(job=job, state="running")
    cursor = Cursor(events[-1].id if events else since.event, lines[-1].id if lines else since.line)
    problem = None if record.finished else problem_of(store)
    return JobUpdate(record, events, lines, running, problem, cursor)


def pages(store: StoreInterface, job: JobId) -> Iterator[JobUpdate]:
    """Everything up to now, in pages. Raises NotFound."""
    update = poll(store, job)
    yield update
    while update.has_more:
        update = poll(store, job, update.cursor)
        yield update


def follow(
    store: StoreInterface, job: JobId, since: Cursor = START, interval: float = POLL_SECONDS
) -> Iterator[JobUpdate]:
    """Poll until the job has finished and everything has been read.

    Args:
        store: Where the job is.
        job: The job.
        since: Position of the reader.
        interval: Seconds between two polls.

    Yields:
        The updates.

    Raises:
        NotFound: There is no such job.
    """
    while True:
        update = poll(store, job, since)
        yield update
        since = update.cursor
        if update.job.finished and not update.has_more:
            return
        if not update.has_more:
            time.sleep(interval)
