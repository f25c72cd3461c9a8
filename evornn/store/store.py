"""The store: submitters, dispatchers and viewers share it and never talk to each other."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

from evornn.store.changes import ChangeMixin
from evornn.store.errors import StoreError
from evornn.store.evaluation_data import EvaluationDataMixin
from evornn.store.leases import LeaseMixin
from evornn.store.queries import QueryMixin
from evornn.store.quotas import QuotaMixin
from evornn.store.reads import ReadMixin
from evornn.store.registry import RegistryMixin
from evornn.store.removal import RemovalMixin
from evornn.store.submissions import SubmissionMixin
from evornn.store.tokens import TokenMixin
from evornn.store.upgrades import ensure_schema
from evornn.store.uploads import UploadMixin


class Store(
    SubmissionMixin,
    ChangeMixin,
    RemovalMixin,
    LeaseMixin,
    ReadMixin,
    QueryMixin,
    EvaluationDataMixin,
    QuotaMixin,
    UploadMixin,
    RegistryMixin,
    TokenMixin,
):
    """Jobs, runs and results in SQL, with the same contract on every database.

    *Atomic.* Each method is one transaction: it happens as a whole or not at all, through any crash. Once a method has
    returned, its writes are committed. What concerns thousands of runs takes several, so that others needn't wait: a
    large job is seen and claimed once all its runs are there, a deleted one isn't seen from the beginning, and an
    interrupted `cancel`, `resume` or `retry` is to be repeated.

    *Concurrent.* Several threads may share a store. Several processes may share a database, each with its own store,
    opened after the fork. A run is claimed by one of them at a time.

    *Ownership.* `claim` gives a run to its caller until the lease expires; each `record` renews the lease. Only the
    holder of the current lease number may `record`, `finish`, `fail` or `release`; for anyone else these raise `Fenced`
    and write nothing. The store starts no threads.

    *Exactly once.* Each (run, mark) has one row. A row that is recomputed after a crash must be equal, or `Diverged` is
    raised.

    *Errors.* Any method raises a `StoreError` for a problem that a user can fix: a locked, full, read-only, damaged or
    missing database. It is `Unreachable` while a server is down: the same store works again once the server is back.
    Methods that raise `NotFound`, `Conflict`, `Fenced` or `Diverged` say so. NaN and infinities are stored as they are.

    Users submit, a dispatcher claims and records, viewers read:

    >>> from evornn.store.records import LogLine, NewRun
    >>> run = NewRun("sine", "gru", "snes", fragments={}, seed=0, budget={"steps": 1000}, position=0)
    >>> with open_store("sqlite:///example.db") as store:
    ...     job = store.submit({"name": "example"}, [run])
    ...     claim = store.claim("a dispatcher")  # the next run of the queue, for 30 s
    ...     _ = store.record(claim.run.id, claim.lease, log=[LogLine("started")])  # renews the lease
    ...     store.release(claim.run.id, claim.lease)  # back into the queue
    ...     print(store.job(job).state, [event.kind for event in store.events(job=job)])
    queued ['submitted', 'claimed', 'released']
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_store(url: str, create: bool = True, busy_seconds: float = 10.0) -> Store:
    """Open a database.

    Args:
        url: `sqlite:///FILE.db` or `postgresql://USER@HOST/NAME`.
        create: Whether to create the tables of an empty or missing database.
        busy_seconds: How long a write waits for the write of another process.

    Returns:
        The store, a context manager that closes it.

    Raises:
        StoreError: The URL is invalid, the directory or file is missing, the file is not an evornn database, or its
            schema is older or newer than this version's.
    """
    if sqlite3.sqlite_version_info < (3, 35):
        raise StoreError(f"evornn needs SQLite 3.35, this Python has {sqlite3.sqlite_version}: use a newer Python")
    store = Store(url, busy_seconds)
    if not create and store.path is not None and not store.path.exists():
        raise StoreError(f"no database {store.display_url}: `evornn run` creates one, --store names another")
    try:
        ensure_schema(store, create)
    except BaseException:
        store.close()
        raise
    return store
