"""Creates, upgrades and checks the schema. Alembic is imported only where it is used."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from evornn.store import reader
from evornn.store.database import Database
from evornn.store.errors import StoreError, translate_errors
from evornn.store.schema import HEAD, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from alembic.config import Config


@dataclass(frozen=True)
class Health:
    """The result of `check`."""

    version: str | None  # of the schema; None: no evornn tables
    wanted: str  # by this version of evornn
    problems: tuple[str, ...]  # one line each; empty when all is well

    def __str__(self) -> str:
        return "\n".join(self.problems) or f"schema {self.version} is up to date and the database is sound"


def upgrade(url: str, revision: str = "head") -> str:
    """Upgrade a database's schema to this version's, or move it to another revision, up or down.

    All or nothing. Creates a missing SQLite file. Returns the schema's version. Raises StoreError.
    """
    database = Database(url)
    try:
        return _upgrade(database, revision)
    finally:
        database.close()


def check(url: str) -> Health:
    """Check the schema and, of SQLite, the file. Raises StoreError when the database can't be opened."""
    database = Database(url)
    try:
        with database.read_transaction() as connection:
            version = version_of(connection)
            problems = (*_schema_problems(connection, version, database.display_url), *_file_problems(connection))
        return Health(version, HEAD, problems)
    finally:
        database.close()


def ensure_schema(database: Database, create: bool) -> None:
    """Check that the schema is this version's; create it in an empty database if `create`. Raises StoreError."""
    if create and database.path is not None and not database.path.exists():
        _upgrade(database, "head")
    with database.read_transaction() as connection:
        version = version_of(connection)
        foreign = version is None and bool({*inspect(connection).get_table_names()} - {VERSION_TABLE})
    if foreign:
        raise StoreError(f"the database {database.display_url} is not evornn's: name another one with --store")
    if version is None and create:
        _upgrade(database, "head")
    elif version != HEAD:
        raise StoreError(f"the database {database.display_url} {_version_message(version, database.display_url)}")


def version_of(connection: Connection) -> str | None:
    """The schema's version, None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()
    return None if version is None else str(version)


def _version_message(version: str | None, url: str) -> str:
    command = f"evornn db upgrade --store {quote(url)}"
    if version is None:
        return f"is empty: `{command}` creates its tables"
    if version < HEAD:
        return f"has schema {version}, this evornn wants {HEAD}: back it up, then run `{command}`"
    return (
        f"has schema {version} of a newer evornn, this one wants {HEAD}: upgrade evornn "
        "(`evornn db upgrade` never goes back)"
    )


def _upgrade(database: Database, revision: str) -> str:
    """Upgrade in one transaction. A second process that does the same waits for the first, then finds nothing to do."""
    from alembic import command
    from alembic.script import ScriptDirectory

    with translate_errors(database.display_url):
        if database.path is not None:
            _check_directory(database.path.parent)
            database.use_wal()
    config = _config()
    with database.migration_transaction() as connection:
        version = version_of(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if version is not None and version not in known:
            raise StoreError(f"the database {database.display_url} {_version_message(version, database.display_url)}")
        config.attributes["connection"] = connection
        down = version is not None and revision != "head" and (revision == "base" or revision < version)
        (command.downgrade if down else command.upgrade)(config, revision)
        version = version_of(connection)
        if version == HEAD and not database.is_sqlite:
            reader.grant(connection)
        return version or ""


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise StoreError(f"the directory {directory} doesn't exist: create it, or name another with --store")
    if not os.access(directory, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(f"the directory {directory} is read-only: make it writable, or name another with --store")


def _schema_problems(connection: Connection, version: str | None, url: str) -> list[str]:
    if version != HEAD:
        return [f"the database {_version_message(version, url)}"]
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options = {"version_table": VERSION_TABLE, "compare_type": True, "include_object": _index_filter(connection)}
    with warnings.catch_warnings():  # about the index that is left out
        warnings.simplefilter("ignore")
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return [f"the schema was changed by hand: {difference}" for difference in differences]


def _index_filter(connection: Connection) -> Callable[..., bool]:
    """SQLite doesn't report that an index is descending, so `ix_runs_claim` would always seem to differ."""
    return lambda thing, name, *_: connection.dialect.name != "sqlite" or name != "ix_runs_claim"


def _file_problems(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    integrity = [str(row[0]) for row in connection.execute(text("PRAGMA quick_check"))]
    orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    problems = [f"damaged: {line}" for line in integrity if line != "ok"]
    return problems + [f"row {row[1]} of {row[0]} belongs to no {row[2]}" for row in orphans]
