"""The meeting point: who submits, who computes and who looks on meet here and nowhere else."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

from evornn.store.errors import StoreError
from evornn.store.leases import LeaseMixin
from evornn.store.queries import QueryMixin
from evornn.store.reads import ReadMixin
from evornn.store.submissions import SubmissionMixin
from evornn.store.tokens import TokenMixin
from evornn.store.upgrades import ensure_schema


class Store(SubmissionMixin, LeaseMixin, ReadMixin, QueryMixin, TokenMixin):
    """Jobs, runs and results in SQL. The same contract on every database.

    *Atomic.* Each method is one transaction: it happens as a whole or not at all, through any crash. What a method has
    returned from is committed.

    *Concurrent.* A store may be used by several threads, and the same database by several processes, each with its own
    store (open it after forking, never before). A run is claimed by one at a time.

    *Ownership.* `claim` gives a run to its caller until the lease is over; each `record` renews it. Only the holder of
    the current lease number may `record`, `finish`, `fail` or `release`; for anyone else they raise `Fenced` and write
    nothing. The store owns no threads and starts none.

    *Exactly once.* A (run, mark) has one row. Computed again after a crash it must be equal, or `Diverged` is raised.

    *Errors.* What a user can mend is a `StoreError`: locked, full, read-only, damaged or lost databases (any method);
    `Unreachable` while a server is away: the same store goes on once it is back. `NotFound`, `Conflict`, `Fenced`,
    `Diverged` where a method says so. NaN and infinities come back as given.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_store(url: str, create: bool = True, busy_seconds: float = 10.0) -> Store:
    """Open a database, say `sqlite:///evornn.db`; an empty or missing one gets its tables if `create`.

    `busy_seconds` is how long a write waits for another process's. Raises StoreError for a URL that is none, a missing
    directory or file, a file that is no evornn database, and a schema older or newer than this evornn's.
    """
    if sqlite3.sqlite_version_info < (3, 35):
        raise StoreError(f"evornn needs SQLite 3.35, this Python has {sqlite3.sqlite_version}: use a newer Python")
    store = Store(url, busy_seconds)
    if not create and store.path is not None and not store.path.exists():
        raise StoreError(f"no database {store.display_url}: `evornn run` makes one, --store names another")
    try:
        ensure_schema(store, create)
    except BaseException:
        store.close()
        raise
    return store
