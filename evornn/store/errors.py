"""What can go wrong with a store, each in one line; database drivers' errors become ours here, nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from evornn.errors import EvornnError

_LOCKED = "is locked by another program: wait for it or close it, then try again"
_SQLITE = {  # the family of SQLite's error code → what is wrong and what to do
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_PROTOCOL": _LOCKED,
    "SQLITE_READONLY": "is read-only: make the file and its directory writable, or copy it to where you may write",
    "SQLITE_PERM": "may not be opened: make the file and its directory readable and writable",
    "SQLITE_CANTOPEN": "can't be opened: check that the file and its directory exist, and are readable and writable",
    "SQLITE_NOTADB": "is no SQLite database: name another file with --store",
    "SQLITE_CORRUPT": "is damaged: restore a backup, or save what can be read with `sqlite3 FILE .recover`",
    "SQLITE_FULL": "can't grow (database or disk is full): free some space, then `evornn resume`",
    "SQLITE_IOERR": "can't be read or written (disk I/O error): check the disk, then try again",
    "SQLITE_TOOBIG": "was given a text or blob over SQLite's limit of 1 GB: use a smaller network or population",
}


class StoreError(EvornnError):
    """The store can't do what was asked; the message says what to do."""


class NotFound(StoreError):
    """No job, run, checkpoint or result with that number."""


class Conflict(StoreError):
    """An idempotency key that was used before for something else."""


class Fenced(StoreError):
    """A write whose lease is over or was given to another worker. Nothing was written; drop this attempt."""


class Diverged(StoreError):
    """A recomputed row differs from the stored one in `column`. Nothing was written."""

    def __init__(self, run: int, mark: int, column: str, stored: object, new: object) -> None:
        self.run, self.mark, self.column, self.stored, self.new = run, mark, column, stored, new
        super().__init__(
            f"run {run}, mark {mark}: recomputed {column} is {new!r}, stored is {stored!r}: code, library versions or "
            "CPU type differ from the first attempt's; go on there, or `evornn retry` to start the run again"
        )


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Database errors that a user can mend → `StoreError`; anything else is a bug and passes."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        problem = _problem(error)
        if problem is None:
            raise
        raise StoreError(f"the database {where} {problem}") from None


def _problem(error: DBAPIError | sqlite3.Error) -> str | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        family = "_".join(getattr(cause, "sqlite_errorname", "").split("_")[:2])
        return _SQLITE.get(family)
    if isinstance(error, DBAPIError) and (error.connection_invalidated or type(cause).__name__ == "OperationalError"):
        return f"can't be reached: start it, then try again ({str(cause).splitlines()[0]})"
    return None
