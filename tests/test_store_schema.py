"""The schema's versions, and what can be wrong with a database: one line each that says what to do."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text
from stores import checkpoint, result, row, submitted

from evornn.store import upgrading
from evornn.store.database import parse
from evornn.store.errors import StoreError
from evornn.store.schema import HEAD, VERSION_TABLE
from evornn.store.store import Store, open_store
from evornn.store.upgrading import check, upgrade

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evornn.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def _filled(url: str) -> Store:
    store = open_store(url)
    submitted(store, 2)
    claim = store.claim("me")
    assert claim is not None
    store.record(claim.run.id, claim.lease, [row(1, extra={"sigma": 1.0}), row(2)], checkpoint(2))
    store.finish(claim.run.id, claim.lease, result())
    return store


def test_head_is_the_newest_migration_and_the_tables_are_the_models(url: str) -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(upgrading._config()).get_current_head() == HEAD
    _filled(url).close()
    assert check(url) == upgrading.Health(HEAD, HEAD, ())


def test_check_sees_what_was_changed_by_hand(url: str, path: Path) -> None:
    _filled(url).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE runs ADD COLUMN mine TEXT")
        connection.execute("INSERT INTO logs (time, run_id, level, message) VALUES (0, 99, 'info', 'x')")
        connection.commit()
    problems = check(url).problems
    assert len(problems) == 2 and "mine" in problems[0] and "row 1 of logs belongs to no runs" in problems[1]


def test_down_and_up_again_with_data(url: str) -> None:
    store = _filled(url)
    before = (store.runs(), store.curves([1, 2]), store.events(), store.spec(1))
    store.close()
    assert upgrade(url, "0001") == "0001"
    with pytest.raises(StoreError, match=f"has schema 0001, this evornn wants {HEAD}: .*`evornn db upgrade`"):
        open_store(url)
    assert "evornn db upgrade" in check(url).problems[0]
    assert upgrade(url) == HEAD == upgrade(url)
    with open_store(url) as store:
        assert (store.runs(), store.curves([1, 2]), store.events(), store.spec(1)) == before
        assert store.query("SELECT count(*) FROM learning_curves")[1] == [[2]]
    assert upgrade(url, "base") == ""
    with pytest.raises(StoreError, match="empty: `evornn db upgrade`"):
        open_store(url, create=False)
    with open_store(url) as store:
        assert store.jobs() == []


def test_scores_came_with_the_third_version(url: str) -> None:
    with open_store(url) as store:
        submitted(store)
        claim = store.claim("me")
        assert claim is not None
        store.finish(claim.run.id, claim.lease, result(score="NRMSE", test_score=0.5, solved=False))
    assert upgrade(url, "0002") == "0002"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        names = [column[1] for column in connection.execute("PRAGMA table_info(runs)")]
        assert not {"score", "test_score", "solved"} & set(names) and "test_loss" in names
        assert connection.execute("SELECT median_test_loss FROM leaderboard").fetchall() == [(0.25,)]
    assert upgrade(url) == HEAD
    with open_store(url) as store:
        assert (store.run(1).test_loss, store.run(1).score, store.run(1).solved) == (0.25, None, None)


def test_a_migration_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(url).close()
    upgrade(url, "0001")
    monkeypatch.setattr(upgrading, "version_of", _fails_the_second_time(upgrading.version_of))
    with pytest.raises(OSError, match="crash"):
        upgrade(url)
    monkeypatch.undo()
    assert check(url).version == "0001"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'view'").fetchone() == (0,)


def test_a_newer_schema_is_left_alone(url: str, path: Path) -> None:
    _filled(url).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        connection.commit()
    for use in (open_store, upgrade):
        with pytest.raises(StoreError, match=r"schema 9999 of a newer evornn.*upgrade evornn.*`evornn db upgrade`"):
            use(url)


def test_sqlite_is_set_up(url: str, path: Path) -> None:
    with open_store(url) as store:
        assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with pytest.raises(Exception, match="FOREIGN KEY"), store.writing() as connection:
            connection.execute(text("INSERT INTO logs (time, run_id, level, message) VALUES (0, 99, 'info', 'x')"))
        submitted(store)
        with pytest.raises(Exception, match="CHECK"), store.writing() as connection:
            connection.execute(text("UPDATE runs SET state = 'happy'"))


def test_several_open_a_new_database_at_once(url: str) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with open_store(url) as store:
                submitted(store, 2)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with open_store(url) as store:
        assert len(store.jobs()) == 6


def test_one_store_many_threads(url: str) -> None:
    with open_store(url) as store:
        submitted(store, 60)
        claimed: list[int] = []

        def work(owner: str) -> None:
            while (claim := store.claim(owner)) is not None:
                store.record(claim.run.id, claim.lease, [row(1, extra={"sigma": 1.0})], checkpoint(1))
                store.finish(claim.run.id, claim.lease, result())
                claimed.append(claim.run.id)

        threads = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(claimed) == list(range(1, 61)) and store.job(1).state == "succeeded"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("evornn.db", "no database URL: want sqlite:///FILE.db"),
        ("", "no database URL"),
        ("mysql://x/y", "can't use 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x?mode=ro&uri=true", "names no file"),
    ],
)
def test_urls_that_are_none(wrong: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        parse(wrong)


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
        with pytest.raises(StoreError, match="is no SQLite database"):
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
    _filled(url).close()
    with open_store(url, busy_seconds=0.05) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another program"):
            store.claim("me")
        assert store.job(1).counts == {"queued": 1, "succeeded": 1}, "readers don't wait"
        other.execute("COMMIT")
        assert store.claim("me") is not None


def test_a_full_disk_loses_nothing_that_was_committed(url: str) -> None:
    store = _filled(url)
    store.close()
    event.listen(store.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count=1"))
    claim = store.claim("me")
    assert claim is not None
    large = checkpoint(1)
    large.arrays["C"] = result().genome.repeat(100_000)
    with pytest.raises(StoreError, match=r"disk is full.*free some space, then `evornn resume`"):
        store.record(claim.run.id, claim.lease, [row(1)], large)
    assert store.curve(claim.run.id) == [] and len(store.curve(1)) == 2
    store.close()


@pytest.mark.parametrize("loss", [Path.unlink, lambda path: path.rename(path.with_name("moved.db"))])
def test_a_lost_database(url: str, path: Path, loss: Callable[[Path], object]) -> None:
    with _filled(url) as store:
        loss(path)
        with pytest.raises(StoreError, match="is gone"):
            store.claim("me")
        sqlite3.connect(path).close()
        path.touch()
        with pytest.raises(StoreError, match="was replaced"):
            store.jobs()


def test_a_damaged_database(url: str, path: Path) -> None:
    _filled(url).close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged: restore a backup"):
        open_store(url).jobs()


def test_a_read_only_file_or_directory(url: str, path: Path, tmp_path: Path) -> None:
    _filled(url).close()
    with _as_user(tmp_path, path):
        path.chmod(0o444)
        with open_store(url) as store, pytest.raises(StoreError, match="is read-only: make the file"):
            store.claim("me")
        tmp_path.chmod(0o555)
        with pytest.raises(StoreError, match=r"is read-only|can't be opened"):
            open_store(url).claim("me")
        with pytest.raises(StoreError, match=r"directory .* is read-only"):
            open_store(url + ".new")
        tmp_path.chmod(0o755)


@contextmanager
def _as_user(*owned: Path) -> Iterator[None]:
    """Root may write anywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    for place in owned:
        os.chown(place, NOBODY, NOBODY)
    for parent in owned[0].parents:
        os.chmod(parent, os.stat(parent).st_mode | 0o111)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _fails_the_second_time(function: Callable[..., str | None]) -> Callable[..., str | None]:
    calls: list[int] = []

    def wrapped(*arguments: object) -> str | None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("crash")
        return function(*arguments)

    return wrapped
