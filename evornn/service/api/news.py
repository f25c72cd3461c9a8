"""Which jobs have news, and what they are: one look at the store, and one reading, for all event streams together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from starlette.concurrency import run_in_threadpool

from evornn.store.records import JobId
from evornn.store.store import Store

T = TypeVar("T")
POLL_SECONDS = 0.5  # between two looks
MOST_JOBS = 10_000  # that are remembered


class NewsFeed:
    """Counts the news of jobs; streams read the store only when the count of theirs has grown.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = asyncio.Lock()
        self._looked = self._oldest = 0
        self._due = 0.0
        self._position: tuple[int, int] | None = None  # the last event and log line that were seen
        self._last: dict[JobId, int] = {}  # job → the look that found its last news
        self._read: dict[Hashable, asyncio.Task[object]] = {}  # what was read since the last look

    async def count(self, job: JobId) -> int:
        """A number that has grown whenever a job had an event or a log line. Raises StoreError."""
        async with self._lock:
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + POLL_SECONDS
                await run_in_threadpool(self._look)
                self._read.clear()
        return self._last.get(job, self._oldest)

    async def read(self, what: Hashable, function: Callable[[], T]) -> T:
        """What a function reads in a thread: once until the next look, for all streams that ask for the same. Raises
        what it raises."""
        if what not in self._read:
            self._read[what] = asyncio.create_task(run_in_threadpool(function))
        return cast("T", await asyncio.shield(self._read[what]))  # others wait for it when this stream has ended

    def _look(self) -> None:
        self._looked += 1
        self._position, jobs = self.store.news(self._position)
        if len(self._last) > MOST_JOBS:
            self._last, self._oldest = {}, self._looked  # all may have news
        self._last |= dict.fromkeys(jobs, self._looked)
