"""The SQL engine: short transactions that commit as a whole or not at all, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from evornn.errors import require
from evornn.store.errors import StoreError, translate_errors

DRIVER = "postgresql+psycopg"
_URL_FORMS = "want sqlite:///FILE.db or postgresql://USER@HOST/NAME"
LONGEST_PAUSE = 1.0  # seconds between two portions of a large change
POOL = {"pool_size": 16, "max_overflow": 21}  # connections that are kept; further ones at once, whose begin costs more
STEP = 10  # ms between two attempts at SQLite's write lock
MIGRATION = 0x65766F726E6E  # "evornn": PostgreSQL's advisory lock for changes of the schema


class Database:
    """One engine. Safe to use from several threads; after a fork, open another one.

    SQLite runs in WAL mode (readers and the writer don't wait for each other) with `synchronous=NORMAL`: a killed
    process loses nothing that was committed; a power cut may lose the last moments, which runs then recompute.
    On PostgreSQL, connections come from a pool and are tested before use, so a server that restarted is reached again.

    Args:
        url: `sqlite:///FILE.db` or `postgresql://USER@HOST/NAME`.
        busy_seconds: How long a write waits for the write of another process.
    """

    def __init__(self, url: str, busy_seconds: float = 10.0) -> None:
        self.url = parse_url(url)
        self.display_url = self.url.difference_update_query(["password"]).render_as_string(hide_password=True)
        self.path = Path(self.url.database or "").absolute() if self.is_sqlite else None
        self.busy_seconds = busy_seconds
        self.engine = _engine(self.url, busy_seconds)
        self._writer = self.engine.execution_options(evornn_write=True)
        self._portions = Lock()
        self._file_id: tuple[int, int] | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an SQLite file; otherwise it is PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read_transaction(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises StoreError."""
        with translate_errors(self.display_url), self.guard_file(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write_transaction(self, busy_seconds: float | None = None) -> Iterator[Connection]:
        """A transaction that commits as a whole at the end, or not at all. Raises StoreError.

        Args:
            busy_seconds: How long it waits for SQLite's write lock; None: as long as all others.
        """
        writer = self._writer if busy_seconds is None else self._writer.execution_options(evornn_busy=busy_seconds)
        with translate_errors(self.display_url), self.guard_file(), writer.begin() as connection:
            yield connection

    @contextmanager
    def portion(self) -> Iterator[Connection]:
        """One of the many write transactions of a large change. A process has one at a time and pauses after it, on
        SQLite for half as long as it held the lock, so that other writers, and other threads, get their turns."""
        with self._portions:
            with self.write_transaction() as connection:
                start = time.monotonic()
                yield connection
            held = time.monotonic() - start
            time.sleep(min(LONGEST_PAUSE, held / (2 if self.is_sqlite else 4)))

    @contextmanager
    def migration_transaction(self) -> Iterator[Connection]:
        """A write transaction for migrations: one at a time, and without SQLite's foreign keys. With them, dropping a
        table to rebuild it would delete all rows that refer to it."""
        migrator = self.engine.execution_options(evornn_write=True, evornn_migrate=True)
        try:
            with translate_errors(self.display_url), self.guard_file(), migrator.begin() as connection:
                if not self.is_sqlite:  # SQLite has one writer anyway
                    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION)))
                yield connection
        finally:
            self.engine.dispose()  # the connection without foreign keys isn't used again

    def use_wal(self) -> None:
        """Set SQLite's journal mode, once, at creation. Waits while another process creates the same file."""
        deadline = time.monotonic() + self.busy_seconds
        while self.path is not None:
            try:
                with closing(sqlite3.connect(self.path, timeout=self.busy_seconds)) as connection:
                    connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:  # changing the mode doesn't wait for locks
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def guard_file(self) -> Iterator[None]:
        """Refuse a file that was deleted or replaced: SQLite would keep writing into the old one, and all would be
        lost."""
        if self.path is not None:
            try:
                status = os.stat(self.path)
            except OSError:
                raise StoreError(
                    f"the database {self.display_url} is gone: put the file back, or submit again"
                ) from None
            self._file_id = self._file_id or (status.st_dev, status.st_ino)
            if self._file_id != (status.st_dev, status.st_ino):
                raise StoreError(f"the database {self.display_url} was replaced by another file: start again")
        yield


def parse_url(url: str) -> URL:
    """Parse a database URL. Raises StoreError if it is invalid, names another kind of database, or SQLite without a
    file."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        shown = re.sub(r":[^:/@]*@", ":***@", url)
        raise StoreError(f"{shown!r} is not a database URL: {_URL_FORMS}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"evornn can't use {parsed.get_backend_name()!r}: {_URL_FORMS}")
    if parsed.get_backend_name() == "sqlite" and "?" in url:  # SQLAlchemy would leave out what follows
        raise StoreError(f"{url!r} has a ? in its file's name: write it as %3F")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"{url!r} names no file: {_URL_FORMS}")
    return parsed.set(drivername=DRIVER) if parsed.drivername == "postgresql" else parsed


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Part of a transaction: an error within takes back this part alone, unless it has ended the whole transaction, as
    a full disk does on SQLite."""
    nested, driver = connection.begin_nested(), connection.connection.driver_connection
    try:
        yield
    except BaseException:
        if not isinstance(driver, sqlite3.Connection) or driver.in_transaction:
            nested.rollback()
        raise
    nested.commit()


def _engine(url: URL, busy_seconds: float) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    if url.drivername == DRIVER:
        with require("server", "a PostgreSQL store"):
            import psycopg  # noqa: F401  # which SQLAlchemy looks for
    arguments = {"timeout": busy_seconds, "isolation_level": None} if is_sqlite else _postgres_args(url, busy_seconds)
    try:
        engine = create_engine(url, connect_args=arguments, pool_pre_ping=not is_sqlite, **POOL)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise StoreError(f"no driver for {url.drivername}: {_URL_FORMS} ({error})") from None
    if is_sqlite:
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", partial(_begin, busy_seconds))
    return engine


def _postgres_args(url: URL, busy_seconds: float) -> dict[str, Any]:
    """Timeouts of a connection: to a server, to a machine that went silent, and for the locks of other transactions."""
    given = url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    return {
        "connect_timeout": 10,  # seconds, for each address of the host
        "keepalives_idle": 20,  # seconds
        "tcp_user_timeout": 30_000,  # ms
        "application_name": "evornn",
        "options": f"{options} -c lock_timeout={max(1, round(1000 * busy_seconds))}".strip(),
    }


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA temp_store=MEMORY")  # a full disk of temporary files is none of the database's


def _begin(busy_seconds: float, connection: Connection) -> None:
    """Begin a transaction. One that reads before it writes must take the write lock at once: a plain BEGIN would fail
    with "database is locked" as soon as another process has written in between."""
    options = connection.get_execution_options()
    if options.get("evornn_migrate"):
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")  # has no effect within a transaction
    if options.get("evornn_write"):
        _take_write_lock(connection, options.get("evornn_busy", busy_seconds), busy_seconds)
    else:
        connection.exec_driver_sql("BEGIN")


def _take_write_lock(connection: Connection, seconds: float, afterwards: float) -> None:
    """Wait for the lock in short steps. The steps of SQLite's own wait grow up to 0.1 s, so newcomers overtake those
    that have waited long: of 16 busy writers, some got no turn in 10 s.

    Args:
        connection: A connection outside of a transaction.
        seconds: How long to wait.
        afterwards: How long statements of the connection wait from then on.
    """
    driver: Any = connection.connection.driver_connection
    deadline = time.monotonic() + seconds
    driver.execute(f"PRAGMA busy_timeout={STEP}")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
    finally:
        driver.execute(f"PRAGMA busy_timeout={round(1000 * afterwards)}")
