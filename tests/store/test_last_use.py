"""Whether and when a token's last use is noted never decides whether the token is taken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from postgres import Postgres
from small_disk import small_disk
from sqlalchemy import text
from unprivileged import unprivileged

from evornn.store.errors import StoreError, Unreachable
from evornn.store.store import Store, open_store

FOREVER = 10**6  # seconds that a write would wait, and with it a test that fails


def last_used(store: Store) -> float | None:
    return store.tokens()[0].last_used


def test_another_writer_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "evornn.db"
    with open_store(f"sqlite:///{path}", busy_seconds=FOREVER) as store:
        secret = store.add_token("ci", ["read"])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store.token_for(secret) is not None and last_used(store) is None
            other.execute("COMMIT")
        assert store.token_for(secret) is not None and last_used(store) is not None, "noted the next time"


def test_another_transaction_on_the_same_token_keeps_nobody_out(postgres: Postgres, migrated: str) -> None:
    with open_store(postgres.database(migrated), busy_seconds=FOREVER) as store:
        secret = store.add_token("ci", ["read"])
        with store.write_transaction() as connection:
            connection.execute(text("SELECT * FROM tokens FOR UPDATE"))
            assert store.token_for(secret) is not None and last_used(store) is None
        assert store.token_for(secret) is not None and last_used(store) is not None


def test_a_full_disk_keeps_nobody_out() -> None:
    with small_disk(4) as disk, open_store(f"sqlite:///{disk.folder}/evornn.db") as store:
        secret = store.add_token("ci", ["read"])
        disk.fill()
        assert store.token_for(secret) is not None and last_used(store) is None
        with pytest.raises(Unreachable, match="disk is full"):
            store.add_token("other", ["read"])
        disk.free()
        assert store.token_for(secret) is not None and last_used(store) is not None


def test_a_read_only_file_keeps_nobody_out(open_folder: Path) -> None:
    path = open_folder / "evornn.db"
    with open_store(f"sqlite:///{path}") as store:
        secret = store.add_token("ci", ["read"])
    with unprivileged(open_folder, path):
        path.chmod(0o444)
        with open_store(f"sqlite:///{path}") as store:
            assert store.token_for(secret) is not None and last_used(store) is None


def test_a_standby_keeps_nobody_out(postgres: Postgres, migrated: str) -> None:
    url = postgres.database(migrated)
    with open_store(url) as store:
        secret = store.add_token("ci", ["read"])
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    with open_store(url) as store:
        assert store.token_for(secret) is not None and last_used(store) is None
        with pytest.raises(StoreError, match="is read-only"):
            store.add_token("other", ["read"])
