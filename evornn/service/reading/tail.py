"""News of a job: what happened, what was logged and how far its runs are, since the last look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from evornn.service.interface import Reads
from evornn.store.records import Event, JobId, LogLine, StoredJob, StoredRun

EVERY = 1.0  # seconds between two looks
PAGE = 1000  # events, and lines, in one look


@dataclass(frozen=True)
class Cursor:
    """What was seen already: numbers of an event and of a log line."""

    event: int = 0
    line: int = 0


START = Cursor()


@dataclass(frozen=True)
class News:
    """One look. `running` are the runs that are being computed, as they stand."""

    job: StoredJob
    events: list[Event]
    lines: list[LogLine]
    running: list[StoredRun]
    cursor: Cursor

    @property
    def more(self) -> bool:
        """Whether there may be more to see at once."""
        return max(len(self.events), len(self.lines)) == PAGE


def look(store: Reads, job: JobId, since: Cursor = START) -> News:
    """What is new. Raises NotFound."""
    found = store.job(job)  # first: when it has ended by now, what follows is all there will be
    events = store.events(job=job, after=since.event, limit=PAGE)
    lines = store.logs(job=job, after=since.line, limit=PAGE)
    running = [] if found.finished else store.runs(job=job, state="running")
    seen = Cursor(events[-1].id if events else since.event, lines[-1].id if lines else since.line)
    return News(found, events, lines, running, seen)


def pages(store: Reads, job: JobId) -> Iterator[News]:
    """All there is by now. Raises NotFound."""
    news = look(store, job)
    yield news
    while news.more:
        news = look(store, job, news.cursor)
        yield news


def follow(store: Reads, job: JobId, since: Cursor = START, every: float = EVERY) -> Iterator[News]:
    """Look again and again until the job has ended and all was seen."""
    while True:
        news = look(store, job, since)
        yield news
        since = news.cursor
        if news.job.finished and not news.more:
            return
        if not news.more:
            time.sleep(every)
