"""Errors of the store, one line each. Only this file translates the errors of database drivers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, ProgrammingError, StatementError

from evornn.errors import EvornnError

P = ParamSpec("P")
T = TypeVar("T")

_LOCKED = "is locked by another program: wait for it or close it, then try again"
_AWAY = "can't be reached: start it, or wait until it is back"
_OUTAGES = (  # errors that end by themselves, or once an operator has mended disk, memory or server: worth waiting for
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_FULL", "SQLITE_IOERR"),
    *("53", "55P03", "57P", "57014", "58", "08"),
)
_VALUES = ("SQLITE_TOOBIG", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "22", "23", "54")  # errors of what is to be written
_SQLITE = {  # the family of SQLite's error code → what is wrong and what to do
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_PROTOCOL": _LOCKED,
    "SQLITE_READONLY": "is read-only: make the file and its directory writable, or copy it to where you may write",
    "SQLITE_PERM": "can't be opened: make the file and its directory readable and writable",
    "SQLITE_CANTOPEN": "can't be opened: check that the file and its directory exist, and are readable and writable",
    "SQLITE_NOTADB": "is not an SQLite database: name another file with --store",
    "SQLITE_CORRUPT": "is damaged: restore a backup, or save what can be read with `sqlite3 FILE .recover`",
    "SQLITE_FULL": "can't grow (database or disk is full): free some space, then `evornn resume`, or "
    "submit again what was not queued yet",
    "SQLITE_IOERR": "can't be read or written (disk I/O error): check the disk and its free space, then try again",
    "SQLITE_TOOBIG": "was given a text or blob over SQLite's limit of 1 GB: use a smaller network or population",
}
_POSTGRES = {  # PostgreSQL's SQLSTATE, or its first two characters, the class → what is wrong and what to do
    "22001": "was given a text that is too long for its column: shorten names to 200 characters",
    "22003": "was given a number beyond 64 bits: use a smaller one",
    "25006": "is read-only (a standby, or set so): name the primary server with --store",
    "42501": "denies this to its user: let the owner of the tables run it, or grant the user rights on them",
    "53100": "can't grow (the server's disk is full): free some space there, then `evornn resume`",
    "53200": "has run out of memory: wait, or give the server more, then try again",
    "53300": _AWAY,
    "53400": "has reached one of the server's limits: raise it, then try again",
    "54": "was given a text or blob over PostgreSQL's limit of 1 GB: use a smaller network or population",
    "55P03": _LOCKED,
    "57014": "has cancelled the statement (statement_timeout, or a user did): try again, or raise the timeout",
    "58": "can't be read or written (disk I/O error on the server): check its disk, then try again",
    "XX001": "is damaged: restore a backup",
    "XX002": "has a damaged index: REINDEX it, or restore a backup",
}
_SERIALIZATION = ("40001", "40P01")  # serialisation failure, deadlock
_LOGIN_ERRORS = {  # what a server says when it refuses a login; such errors carry no SQLSTATE
    "password authentication failed|no password": "refuses the login: check user and password in --store or "
    "EVORNN_STORE",
    "pg_hba.conf": "refuses logins from here: allow user, database and address in the server's pg_hba.conf",
    "database .* does not exist": "does not exist: create it with createdb, or name another with --store",
    "role .* does not exist": "has no such user: create it with createuser, or name another with --store",
    "is not permitted to log in|permission denied for database": "refuses this user: allow it, or name another",
}


class StoreError(EvornnError):
    """The store can't do this; the message says what to do."""


class Unreachable(StoreError):
    """The database can't be reached or can't work now (it is away or locked, its disk is full, it lacks memory), but
    may again. A transaction under way happened as a whole or not at all; which of the two is unknown. Wait, then try
    again."""


class Unstorable(StoreError):
    """Values that this database can't store, now or later. Nothing was written."""


class SerializationFailure(StoreError):
    """The transaction lost against another one (deadlock). Nothing was written; `retry_transaction` tries once more."""


class NotFound(StoreError):
    """No job, run, checkpoint or result with that number."""


class Conflict(StoreError):
    """An idempotency key was used before for another request, or a name is taken."""


class QuotaExceeded(StoreError):
    """The owner has reached one of its limits."""


class PriorityRefused(QuotaExceeded):
    """The priority is higher than the owner may use."""


class Fenced(StoreError):
    """A write under a lease that has expired or belongs to another worker. Nothing was written; drop this attempt."""


class Diverged(StoreError):
    """A recomputed row differs from the stored one in `column`. Nothing was written."""

    def __init__(self, run: int, mark: int, column: str, stored: object, new: object) -> None:
        self.run, self.mark, self.column, self.stored, self.new = run, mark, column, stored, new
        super().__init__(
            f"run {run}, mark {mark}: recomputed {column} is {new!r}, stored is {stored!r}: code, library versions or "
            "CPU type differ from the first attempt's; resume there, or `evornn retry` to start the run over"
        )


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Database errors that a user can fix → `StoreError`; anything else is a bug and passes."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OverflowError) as error:
        problem = _translate(url, error)
        if problem is None:
            raise
        raise problem from None


def retry_transaction(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate a method that is one transaction: it is tried once more where it lost against another one."""

    @wraps(method)
    def wrapper(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return method(*arguments, **options)
        except SerializationFailure:
            return method(*arguments, **options)

    return wrapper


def is_of_values(error: Exception) -> bool:
    """Whether an error of a statement is about the values that it writes, not about the database."""
    if not isinstance(error, DBAPIError):  # SQLAlchemy, or Python, could not convert them
        return isinstance(error, (StatementError, TypeError, ValueError, OverflowError))
    code = _code_of(error.orig)
    return code.startswith(_VALUES) if code else isinstance(error, (DataError, ProgrammingError, InterfaceError))


def is_of_memory(error: Exception) -> bool:
    """Whether this process, or a PostgreSQL server, had too little memory for a statement."""
    return isinstance(error, MemoryError) or (isinstance(error, DBAPIError) and _code_of(error.orig) == "53200")


def _code_of(cause: BaseException | None) -> str:
    """SQLite's family of errors, or PostgreSQL's SQLSTATE; empty where the driver found the error by itself."""
    if isinstance(cause, sqlite3.Error):
        return "_".join(getattr(cause, "sqlite_errorname", "").split("_")[:2])
    return getattr(cause, "sqlstate", None) or ""


def _translate(url: str, error: DBAPIError | sqlite3.Error | OverflowError) -> StoreError | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, OverflowError):
        return Unstorable(f"the database {url} {_POSTGRES['22003']}")
    code = _code_of(cause)
    if isinstance(cause, sqlite3.Error):
        return _kind(code)(f"the database {url} {_SQLITE[code]}") if code in _SQLITE else None
    assert isinstance(error, DBAPIError)
    return _translate_postgres(url, error, code, str(cause).strip())


def _translate_postgres(url: str, error: DBAPIError, code: str, text: str) -> StoreError | None:
    message = text.splitlines()[0] if text else "no answer"
    known = _POSTGRES.get(code) or _POSTGRES.get(code[:2])
    if code in _SERIALIZATION:
        return SerializationFailure(
            f"the database {url} is busy with another transaction on the same rows: try again ({message})"
        )
    if known is not None:
        return _kind(code)(f"the database {url} {known} ({message})")
    if code.startswith(_OUTAGES) or error.connection_invalidated:
        return Unreachable(f"the database {url} {_AWAY} ({message})")
    if not code and isinstance(error, OperationalError):
        return _connection_error(url, text)
    return None


def _kind(code: str) -> type[StoreError]:
    """What an error with this code is to a caller: worth waiting for, of its own values, or for an operator."""
    return Unreachable if code.startswith(_OUTAGES) else Unstorable if code.startswith(_VALUES) else StoreError


def _connection_error(url: str, text: str) -> StoreError:
    """No connection was made: the reason is only in the server's message, one line per address that was tried."""
    message = text.splitlines()[-1] if text else "no answer"
    for sign, advice in _LOGIN_ERRORS.items():
        if re.search(sign, text):
            return StoreError(f"the database {url} {advice} ({message})")
    return Unreachable(f"the database {url} {_AWAY} ({message})")
