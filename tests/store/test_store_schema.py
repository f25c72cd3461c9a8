"""The schema's versions, on both databases and with data in every table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text
from stores import checkpoint, filled, new_runs, result, row, submitted

from evornn.store import upgrades
from evornn.store.database import Database
from evornn.store.errors import StoreError
from evornn.store.records import Event, StoredRun
from evornn.store.schema import HEAD, VERSION_TABLE, metadata
from evornn.store.store import Store, open_store
from evornn.store.upgrades import check, upgrade
from evornn.training.records import Result


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/evornn.db"
    return str(request.getfixturevalue("postgres").database())


def test_head_is_the_newest_migration_and_the_tables_are_the_models(url: str) -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(upgrades._config()).get_current_head() == HEAD
    filled(url).close()
    assert check(url) == upgrades.Health(HEAD, HEAD, ())
    assert str(check(url)) == f"schema {HEAD} is up to date and the database is sound"
    for table in metadata.tables:
        found = execute(url, f"SELECT count(*) FROM {table}")[0][0]
        assert found or table == "readers", f"the tests put nothing into {table}"


def test_a_result_is_stored() -> None:
    names = {field.name for field in fields(Result)} - {"genome", "environment"}
    assert not names - set(metadata.tables["runs"].c.keys()), "add a column in evornn/store/schema.py and a migration"
    assert not names - {field.name for field in fields(StoredRun)}, "add the field in evornn/store/records.py"


def test_down_and_up_again_with_data(url: str) -> None:
    store = filled(url)
    before = (store.runs(), store.curves([1, 2]), _without_actors(store), store.logs(), store.spec(1), store.result(1))
    before = repr((before, store.checkpoint(2)))
    store.close()
    assert upgrade(url, "0001") == "0001"
    with pytest.raises(StoreError, match=f"has schema 0001, this evornn wants {HEAD}: .*`evornn db upgrade --store "):
        open_store(url)
    assert "evornn db upgrade" in check(url).problems[0]
    assert upgrade(url) == HEAD == upgrade(url)
    with open_store(url) as store:
        after = (
            store.runs(),
            store.curves([1, 2]),
            _without_actors(store),
            store.logs(),
            store.spec(1),
            store.result(1),
        )
        assert repr((after, store.checkpoint(2))) == before
        assert store.query("SELECT count(*) FROM learning_curves")[1] == [[3]]
        assert store.tokens() == [] and store.workers()[0].slots is None, "the first version had none"
    assert upgrade(url, "base") == ""
    with pytest.raises(StoreError, match="empty: `evornn db upgrade --store "):
        open_store(url, create=False)
    with open_store(url) as store:
        assert store.jobs() == []


def _without_actors(store: Store) -> list[Event]:
    """Events as earlier versions kept them."""
    return [replace(event, actor="") for event in store.events()]


def test_owners_came_with_the_eighth_version(url: str) -> None:
    with open_store(url) as store:
        needs = replace(new_runs(1)[0], fragments={**new_runs(1)[0].fragments, "resources": {"gpus": 1.0}})
        submitted(store, 2, owner="ann")
        store.submit({"name": "gpu"}, [needs], owner="bob")
    assert upgrade(url, "0007") == "0007"
    assert not {"owner", "batch", "gpu"} & {c["name"] for c in _inspected(url, lambda found: found.get_columns("runs"))}
    assert upgrade(url) == HEAD and check(url).problems == ()
    with open_store(url) as store:
        assert store.claim("me", gpu=True).run.job == 2 and store.claim("me", gpu=True) is None
        store.set_quota("ann", {"running": 1})
        assert [claim and claim.run.job for claim in (store.claim("me"), store.claim("me"))] == [1, None]
        assert [job.id for job in store.jobs()] == [2, 1] and store.jobs(archived=True) == []
        assert store.query("SELECT count(*) FROM results")[1] == [[3]]


def test_scores_came_with_the_third_version(url: str) -> None:
    with open_store(url) as store:
        submitted(store)
        claim = store.claim("me")
        assert claim is not None
        store.finish(claim.run.id, claim.lease, result(score="NRMSE", test_score=0.5, solved=False))
    assert upgrade(url, "0002") == "0002"
    names = {column["name"] for column in _inspected(url, lambda found: found.get_columns("runs"))}
    assert not {"score", "test_score", "solved"} & names and "test_loss" in names
    assert execute(url, "SELECT median_test_loss FROM leaderboard") == [(0.25,)]
    assert upgrade(url) == HEAD
    with open_store(url) as store:
        assert (store.run(1).test_loss, store.run(1).score, store.run(1).solved) == (0.25, None, None)


def test_a_migration_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(url).close()
    upgrade(url, "0001")
    monkeypatch.setattr(upgrades, "version_of", _fails_the_second_time(upgrades.version_of))
    with pytest.raises(OSError, match="crash"):
        upgrade(url)
    monkeypatch.undo()
    assert check(url).version == "0001"
    assert _inspected(url, lambda found: found.get_view_names()) == []


def test_a_newer_schema_is_left_alone(url: str) -> None:
    filled(url).close()
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for use in (open_store, upgrade):
        with pytest.raises(StoreError, match=r"schema 9999 of a newer evornn.*upgrade evornn.*`evornn db upgrade`"):
            use(url)


def test_what_is_not_ours_is_left_alone(empty: str) -> None:
    execute(empty, "CREATE TABLE photos (name TEXT)")
    for create in (True, False):
        with pytest.raises(StoreError, match="is not evornn's"):
            open_store(empty, create=create)
    assert _inspected(empty, lambda found: found.get_table_names()) == ["photos"]


def test_what_was_changed_by_hand_is_seen(url: str) -> None:
    filled(url).close()
    execute(url, "ALTER TABLE runs ADD COLUMN mine TEXT")
    assert len(check(url).problems) == 1 and "mine" in check(url).problems[0]


def test_several_open_a_new_database_at_once(empty: str) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with open_store(empty) as store:
                submitted(store, 2)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with open_store(empty) as store:
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


def _fails_the_second_time(function: Callable[..., str | None]) -> Callable[..., str | None]:
    calls: list[int] = []

    def wrapped(*arguments: object) -> str | None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("crash")
        return function(*arguments)

    return wrapped


def execute(url: str, sql: str) -> list[tuple[Any, ...]]:
    database = Database(url)
    if database.path is not None:
        database.path.touch()
    try:
        with database.write_transaction() as connection:
            found = connection.execute(text(sql))
            return [tuple(row) for row in found] if found.returns_rows else []
    finally:
        database.close()


def _inspected(url: str, ask: Callable[[Any], Any]) -> Any:
    database = Database(url)
    with database.read_transaction() as connection:
        found = ask(inspect(connection))
    database.close()
    return found
