"""What can be wrong with an SQLite file, and with URLs: one line each that says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text
from stores import checkpoint, filled, result, row, submitted
from unprivileged import unprivileged

from evornn.store.database import parse_url
from evornn.store.errors import StoreError
from evornn.store.store import open_store
from evornn.store.upgrades import check, upgrade


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evornn.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_check_sees_what_was_changed_by_hand(url: str, path: Path) -> None:
    filled(url).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE runs ADD COLUMN mine TEXT")
        connection.execute("INSERT INTO logs (time, run_id, level, message) VALUES (0, 99, 'info', 'x')")
        connection.commit()
    problems = check(url).problems
    assert len(problems) == 2 and "mine" in problems[0] and "row 2 of logs belongs to no runs" in problems[1]


def test_sqlite_is_set_up(url: str, path: Path) -> None:
    with open_store(url) as store:
        assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with pytest.raises(Exception, match="FOREIGN KEY"), store.write_transaction() as connection:
            connection.execute(text("INSERT INTO logs (time, run_id, level, message) VALUES (0, 99, 'info', 'x')"))
        submitted(store)
        with pytest.raises(Exception, match="CHECK"), store.write_transaction() as connection:
            connection.execute(text("UPDATE runs SET state = 'happy'"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("evornn.db", "not a database URL: want sqlite:///FILE.db"),
        ("", "not a database URL"),
        ("mysql://x/y", "can't use 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x?mode=ro&uri=true", r"has a \? in its file's name: write it as %3F"),
    ],
)
def test_urls_that_are_none(wrong: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        parse_url(wrong)


@pytest.mark.parametrize("driver", ["pg8000", "nodriver"])  # SQLAlchemy knows the first, and doesn't find it
def test_another_driver_is_refused(driver: str) -> None:
    with pytest.raises(StoreError, match=rf"no driver for postgresql\+{driver}: want sqlite.* or postgresql://USER"):
        open_store(f"postgresql+{driver}://me@127.0.0.1/x")


def test_a_missing_file_directory_or_table(url: str, path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        open_store(url, create=False)
    assert not path.exists()
    with pytest.raises(StoreError, match=r"directory .*nowhere doesn't exist"):
        open_store(f"sqlite:///{tmp_path}/nowhere/e.db")
    with pytest.raises(StoreError, match="can't be opened"):
        open_store(f"sqlite:///{tmp_path}")
    path.touch()
    with open_store(url) as store:
        assert store.jobs() == [], "an empty file is an empty database"


def test_a_file_that_is_something_else(url: str, path: Path) -> None:
    path.write_text("Date,Sunspots\n" * 1000)
    before = path.read_bytes()
    for use in (open_store, upgrade, check):
        with pytest.raises(StoreError, match="is not an SQLite database"):
            use(url)
    assert path.read_bytes() == before
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (name)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is not evornn's"):
        open_store(url)
    assert path.read_bytes() == before


def test_a_locked_database(url: str, path: Path) -> None:
    filled(url).close()
    with open_store(url, busy_seconds=0.05) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another program"):
            store.claim("me")
        assert store.job(1).counts == {"queued": 1, "succeeded": 1}, "readers don't wait"
        other.execute("COMMIT")
        assert store.claim("me") is not None


def test_a_full_disk_loses_nothing_that_was_committed(url: str) -> None:
    store = filled(url)
    store.close()
    event.listen(store.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count=1"))
    claim = store.claim("me")
    assert claim is not None
    large = checkpoint(1)
    large.arrays["C"] = result().genome.repeat(100_000)
    with pytest.raises(StoreError, match=r"disk is full.*free some space, then `evornn resume`"):
        store.record(claim.run.id, claim.lease, [row(2)], large)
    assert store.curve(claim.run.id) == [row(1)] and len(store.curve(1)) == 2
    store.close()


@pytest.mark.parametrize("loss", [Path.unlink, lambda path: path.rename(path.with_name("moved.db"))])
def test_a_lost_database(url: str, path: Path, loss: Callable[[Path], object]) -> None:
    with filled(url) as store:
        loss(path)
        with pytest.raises(StoreError, match="is gone"):
            store.claim("me")
        sqlite3.connect(path).close()
        path.touch()
        with pytest.raises(StoreError, match="was replaced"):
            store.jobs()


def test_a_damaged_database(url: str, path: Path) -> None:
    filled(url).close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged: restore a backup"):
        open_store(url).jobs()


def test_a_read_only_file_or_directory(open_folder: Path) -> None:
    path = open_folder / "evornn.db"
    url = f"sqlite:///{path}"
    filled(url).close()
    with unprivileged(open_folder, path):
        path.chmod(0o444)
        with open_store(url) as store, pytest.raises(StoreError, match="is read-only: make the file"):
            store.claim("me")
        open_folder.chmod(0o555)
        with pytest.raises(StoreError, match=r"is read-only|can't be opened"):
            open_store(url).claim("me")
        with pytest.raises(StoreError, match=r"directory .* is read-only"):
            open_store(url + ".new")
        open_folder.chmod(0o755)
