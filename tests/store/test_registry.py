"""The registry of models: versions, aliases, runs that go, quotas, what queries see."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from hashlib import sha256

import pytest
from sqlalchemy import event
from stores import new_model, result, submitted

from evornn.errors import EvornnError
from evornn.models.origin import ModelMetrics
from evornn.store import registry
from evornn.store.errors import Conflict, NotFound, QuotaExceeded
from evornn.store.names import ModelReference
from evornn.store.quotas import count_stored_bytes
from evornn.store.store import Store, open_store
from evornn.store.upgrades import check, upgrade


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def finished_run(store: Store) -> int:
    submitted(store)
    claim = store.claim("me")
    assert claim is not None
    store.finish(claim.run.id, claim.lease, result())
    return claim.run.id


def test_a_version_keeps_what_its_file_says(store: Store) -> None:
    run, new = finished_run(store), new_model(b"one")
    version = store.register_model("load", new, run=run, note="the first", owner="ann")
    assert (version.name, version.version, version.reference, version.aliases) == ("load", 1, "load:1", ())
    assert version.digest == sha256(b"one").hexdigest() and version.bytes == 3
    assert (version.run, version.run_deleted, version.owner, version.note) == (run, False, "ann", "the first")
    assert (version.question, version.targets, version.horizon) == ("forecast", ("load",), 3)
    assert (version.metrics, version.provenance) == (new.metrics, new.provenance)
    assert store.model("load") == store.models()[0] == version and store.model_file("load") == b"one"


def test_versions_are_counted_and_never_given_twice(store: Store) -> None:
    numbers = [store.register_model("load", new_model(bytes([k]))).version for k in range(3)]
    assert numbers == [1, 2, 3] and store.register_model("wind", new_model()).version == 1
    assert store.delete_model("load:3").version == 3
    with pytest.raises(NotFound, match="no model load:3: `evornn models ls`"):
        store.model("load:3")
    assert store.model("load").version == 2, "the newest that is there"
    assert store.register_model("load", new_model()).version == 4
    for version in (1, 2, 4):
        store.delete_model(f"load:{version}")
    assert store.models(name="load") == [] and store.register_model("load", new_model()).version == 5


def test_an_alias_means_one_version(store: Store) -> None:
    for _ in range(3):
        store.register_model("load", new_model())
    assert store.set_model_alias("load:2", "production").aliases == ("production",)
    assert store.set_model_alias("load@production", "staging").aliases == ("production", "staging")
    assert store.set_model_alias("load", "production").version == 3
    assert [model.aliases for model in store.models()] == [("production",), ("staging",), ()]
    assert (store.model("load@production").version, store.model("load@staging").version) == (3, 2)
    for reference in ("load", "load:1", "load@production", "load@staging"):
        key, version = store.find_model(reference), store.model(reference)
        assert (key.name, key.version, key.digest) == (version.name, version.version, version.digest)
        assert key.reference == version.reference
    with pytest.raises(Conflict, match=r"alias staging means load:2: .*`evornn models alias load staging --remove`"):
        store.delete_model("load:2")
    with pytest.raises(Conflict, match="name the version to delete, as in load:1"):
        store.delete_model("load@staging")
    store.delete_model_alias("load", "staging")
    store.delete_model("load:2")
    for missing in ("load@staging", "load:2", "wind"):
        with pytest.raises(NotFound, match="no model"):
            store.model(missing)
        with pytest.raises(NotFound, match=f"no model {missing}: `evornn models ls` lists all"):
            store.find_model(missing)
    with pytest.raises(NotFound, match="has no alias 'staging'"):
        store.delete_model_alias("load", "staging")
    store.register_model("wind", new_model())
    with pytest.raises(NotFound):
        store.model("wind@production")


@pytest.mark.parametrize("name", ["", "a b", "load:1", "load@x", "../x", "x" * 101, "_x", "läd", "a\0", "a\n"])
def test_names_are_words(name: str, store: Store) -> None:
    with pytest.raises(EvornnError, match="the name of a model begins with a letter or digit"):
        store.register_model(name, new_model())
    assert store.models() == []


@pytest.mark.parametrize("text", ["load:0", "load:x", "load@1", "load@", "@x", "load:1@x", "load:12345678901", ""])
def test_references_that_mean_nothing(text: str, store: Store) -> None:
    with pytest.raises(EvornnError, match="write NAME, NAME@ALIAS or NAME:VERSION"):
        store.model(text)
    assert str(ModelReference.parse("load:12")) == "load:12" and str(ModelReference.parse("load@x")) == "load@x"


def test_a_model_outlives_its_run(store: Store) -> None:
    run = finished_run(store)
    store.register_model("load", new_model(b"kept"), run=run)
    with pytest.raises(NotFound, match="no run 99"):
        store.register_model("load", new_model(), run=99)
    store.begin_delete(1)
    assert store.model("load").run_deleted, "as soon as nobody sees the run any more"
    while store.sweep():
        pass
    version = store.model("load")
    assert (version.run, version.run_deleted, store.model_file("load")) == (run, True, b"kept")
    assert store.query("SELECT name, version, run, CAST(run_deleted AS INT) FROM models")[1] == [["load", 1, run, 1]]
    assert finished_run(store) and store.model("load").run_deleted, "even if a new run has its number"


def test_lists_do_not_read_files(store: Store) -> None:
    for name in ("load", "wind", "load"):
        store.register_model(name, new_model(), owner="ann" if name == "load" else "bob")
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert [model.reference for model in store.models()] == ["load:2", "wind:1", "load:1"]
    assert [model.reference for model in store.models(limit=1, before=3)] == ["wind:1"]
    assert [model.version for model in store.models(name="load", owner="ann")] == [2, 1]
    assert store.models(owner="carl") == []
    assert statements and not any("content" in statement for statement in statements)


def test_queries_see_models_without_bytes(store: Store) -> None:
    odd = ModelMetrics("mse", math.nan, math.inf)
    store.register_model("load", new_model(metrics=odd), owner="ann")
    store.set_model_alias("load", "production")
    assert repr(store.model("load").metrics) == repr(odd)
    columns, rows = store.query("SELECT * FROM models")
    values = dict(zip(columns, rows[0], strict=True))
    assert (values["aliases"], values["test_loss"], values["owner"], values["bytes"]) == ("production", None, "ann", 6)
    assert values["created"].endswith(("Z", "+00:00")) and "content" not in columns
    with pytest.raises(EvornnError, match="no table 'model_files'"):
        store.query("SELECT * FROM model_files")


def test_names_belong_to_their_first_owner(store: Store) -> None:
    store.register_model("load", new_model(), owner="ann")
    assert store.model_owner("load") == "ann"
    with pytest.raises(Conflict, match="belongs to another user"):
        store.register_model("load", new_model(), owner="bob")
    assert store.register_model("load", new_model(), owner="bob", limited=False).version == 2, "an admin"
    assert store.register_model("load", new_model()).version == 3, "who has the database itself"
    with pytest.raises(NotFound):
        store.model_owner("wind")


def test_models_count_towards_stored_bytes(store: Store) -> None:
    store.set_quota("ann", {"stored_bytes": 10})
    store.register_model("load", new_model(b"123456"), owner="ann")
    with pytest.raises(QuotaExceeded, match=r"6 bytes that runs and models of 'ann' .* `evornn models delete`"):
        store.register_model("load", new_model(b"12345"), owner="ann")
    store.register_model("load", new_model(b"1234"), owner="ann")
    with store.read_transaction() as connection:
        assert [count_stored_bytes(connection, owner) for owner in ("ann", "bob")] == [10, 0]
    with pytest.raises(QuotaExceeded):
        submitted(store, owner="ann")
    store.delete_model("load:1")
    assert submitted(store, owner="ann")


def test_sizes_are_limited(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MOST_BYTES", 5)
    with pytest.raises(EvornnError, match="the model has 6 bytes, and the registry takes 5 at most"):
        store.register_model("load", new_model())
    with pytest.raises(EvornnError, match="the note has 10,001 characters"):
        store.register_model("load", new_model(b"1"), note="x" * 10_001)
    assert store.models() == []


def test_several_register_at_once(store: Store) -> None:
    found: list[int] = []

    def work() -> None:
        found.extend(store.register_model("load", new_model()).version for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 21))


def test_models_came_with_the_ninth_version(url: str) -> None:
    with open_store(url) as store:
        run = finished_run(store)
    assert upgrade(url, "0008") == "0008"
    upgrade(url)
    assert check(url).problems == ()
    with open_store(url) as store:
        assert store.models() == [] and store.register_model("load", new_model(), run=run).version == 1
