"""Owners share the slots, and have quotas."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from stores import checkpoint, new_runs, result, row, submitted

from evornn.errors import UnknownName
from evornn.store import claims, filling, submissions
from evornn.store.errors import PriorityRefused, QuotaExceeded, StoreError
from evornn.store.quotas import DEFAULT, NO_LIMIT, count_queued_runs, count_stored_bytes
from evornn.store.records import Claim, Quota
from evornn.store.store import Store, open_store


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def owner_of(store: Store, claim: Claim | None) -> str | None:
    return None if claim is None else store.job(claim.run.job).owner


# ---- fair share ----------------------------------------------------------------------------------------------------


def test_owners_take_turns_within_a_priority(store: Store) -> None:
    submitted(store, 6, owner="ann")
    submitted(store, 2, owner="bob")
    submitted(store, 2, owner="ann")
    assert [owner_of(store, store.claim("me")) for _ in range(7)] == ["ann", "bob"] * 2 + ["ann"] * 3


def test_the_owner_with_the_fewest_at_work_is_next(store: Store) -> None:
    submitted(store, 4, owner="ann")
    submitted(store, 4, owner="bob")
    first = [store.claim("me") for _ in range(4)]  # ann, bob, ann, bob
    for claim in first:
        assert claim is not None
        if owner_of(store, claim) == "ann":
            store.finish(claim.run.id, claim.lease, result())
    assert [owner_of(store, store.claim("me")) for _ in range(4)] == ["ann", "ann", "bob", "bob"]


def test_priority_beats_fairness(store: Store) -> None:
    submitted(store, 2, owner="ann", priority=0)
    submitted(store, 3, owner="bob", priority=1, limited=False)
    assert [owner_of(store, store.claim("me")) for _ in range(4)] == ["bob", "bob", "bob", "ann"]


def test_of_one_owner_the_oldest_runs_first_in_small_and_large_jobs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "PORTION", 3)
    monkeypatch.setattr(filling, "PORTION", 3)
    small, large, late = [submitted(store, count, owner="ann") for count in (1, 7, 1)]
    found = [claim.run.job for _ in range(9) if (claim := store.claim("me", 1e6)) is not None]
    assert found == [small, *[large] * 7, late]


def test_what_waits_for_another_try_blocks_nobody(store: Store) -> None:
    submitted(store, 1, owner="ann")
    claim = store.claim("me")
    assert claim is not None
    store.fail(claim.run.id, claim.lease, "bad luck", retry=True)
    submitted(store, 1, owner="bob")
    assert [owner_of(store, store.claim("me")) for _ in range(2)] == ["bob", None]


def test_runs_with_and_without_gpu(store: Store) -> None:
    plain = new_runs(1)[0]
    needs = dataclasses.replace(plain, fragments={**plain.fragments, "resources": {"gpus": 0.5}})
    store.submit({"name": "x"}, [needs], owner="ann")
    store.submit({"name": "x"}, [plain], owner="bob")
    assert store.claim("me", gpu=True, job=2) is None
    assert [owner_of(store, store.claim("me", gpu=gpu)) for gpu in (False, False, True)] == ["bob", None, "ann"]
    store.submit({"name": "x"}, [plain], owner="ann")
    store.submit({"name": "x"}, [needs], owner="bob")
    assert [owner_of(store, store.claim("me")) for _ in range(3)] == ["ann", "bob", None]


def test_a_claim_is_a_jump_however_many_runs_are_queued(store: Store) -> None:
    """No plan but by the index, in which owners follow one another."""
    submitted(store, 3, owner="ann")
    plans = []
    with store.read_transaction() as connection:
        explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
        if not store.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        for statement, values in ((claims._LEVEL, {"before": None}), (claims._GROUPS, {"priority": 0})):
            found = connection.execute(text(explain + statement.text), {"gpu": False, **values})
            plans.append(" ".join(str(line) for line in found))
    assert all("ix_runs_claim" in plan and "Seq Scan on runs" not in plan for plan in plans)
    assert not any("SCAN r " in plan or "SCAN runs" in plan for plan in plans)


# ---- quotas --------------------------------------------------------------------------------------------------------


def test_limits_of_all_and_of_one(store: Store) -> None:
    assert store.quota("ann") == dataclasses.replace(DEFAULT, owner="ann") and store.quotas() == [DEFAULT]
    store.set_quota("", {"queued": 10, "priority": 5})
    assert store.set_quota("ann", {"queued": 3, "running": NO_LIMIT}) == store.quota("ann")
    assert store.quota("ann") == Quota("ann", 3, NO_LIMIT, 5, DEFAULT.upload_bytes, NO_LIMIT)
    assert store.quota("bob").queued == 10
    assert [quota.owner for quota in store.quotas()] == ["", "ann"]
    assert store.set_quota("ann", {"queued": None}).queued == 10, "as for all again"
    with pytest.raises(UnknownName, match="did you mean 'queued'"):
        store.set_quota("ann", {"queud": 3})
    with pytest.raises(StoreError, match="queued: -2 is no limit: give 0 or more, or -1 for none"):
        store.set_quota("ann", {"queued": -2})


@pytest.mark.parametrize("count", [3, filling.PORTION + 1])
def test_queued_runs_are_limited(store: Store, count: int) -> None:
    store.set_quota("ann", {"queued": count})
    job = submitted(store, count, owner="ann", idempotency_key="k")
    assert submitted(store, count, owner="ann", idempotency_key="k") == job, "the same job is no other one"
    with pytest.raises(QuotaExceeded, match=rf"the quota of {count:,}: wait until .*`evornn quota set ann` --queued"):
        submitted(store, 1, owner="ann")
    assert len(store.jobs()) == 1 and submitted(store, 1, owner="bob") and submitted(store, 1)
    assert submitted(store, count, owner="ann", limited=False) and store.cancel(job) == count
    with pytest.raises(QuotaExceeded):
        store.resume(job, limited=True)
    assert store.job(job).counts == {"cancelled": count} and store.resume(job) == count
    store.set_quota("ann", {"queued": NO_LIMIT})
    assert submitted(store, 1, owner="ann")


def test_what_runs_store_is_limited(store: Store) -> None:
    submitted(store, 2, owner="ann")
    for finished in (True, False):
        claim = store.claim("me")
        assert claim is not None
        store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
        if finished:
            store.finish(claim.run.id, claim.lease, result())
    with store.read_transaction() as connection:
        stored = count_stored_bytes(connection, "ann")
        assert stored > 100 and count_stored_bytes(connection, "bob") == 0
    store.set_quota("", {"stored_bytes": stored})
    with pytest.raises(QuotaExceeded, match=rf"^the {stored:,} bytes .* quota of {stored:,}: delete .*--stored-bytes$"):
        submitted(store, 1, owner="ann")
    assert submitted(store, 1, owner="bob") and submitted(store, 1)
    job = submitted(store, 1, owner="ann", limited=False)
    store.set_quota("ann", {"stored_bytes": stored + 1})
    assert submitted(store, 1, owner="ann")
    store.set_quota("ann", {"stored_bytes": 0})
    assert store.cancel(job) == 1
    with pytest.raises(QuotaExceeded):
        store.resume(job, limited=True)
    assert store.resume(job) == 1


def test_runs_that_are_being_queued_count(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.set_quota("ann", {"queued": filling.PORTION + 10})
    found: list[Any] = []
    original = filling.run_rows

    def look(part: Any, *arguments: Any) -> Any:
        if len(found) < 2:
            found.append(None)
            with pytest.raises(QuotaExceeded):
                submitted(store, 11, owner="ann")
            with store.read_transaction() as connection:
                found[-1] = count_queued_runs(connection, "ann")
        return original(part, *arguments)

    monkeypatch.setattr(filling, "run_rows", look)
    submitted(store, filling.PORTION + 1, owner="ann")
    assert found == [filling.PORTION + 1] * 2


def test_two_submissions_at_once_share_one_quota(store: Store) -> None:
    store.set_quota("ann", {"queued": 5})
    outcomes: list[str] = []

    def submit() -> None:
        try:
            submitted(store, 3, owner="ann")
            outcomes.append("queued")
        except QuotaExceeded:
            outcomes.append("refused")

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {"queued": 1, "refused": 5} and store.count_runs() == 3


def test_priority_is_limited(store: Store) -> None:
    with pytest.raises(PriorityRefused, match=r"priority 1: 'ann' may use at most 0: .* `evornn quota set ann`"):
        submitted(store, 1, owner="ann", priority=1)
    assert store.jobs() == []
    store.set_quota("ann", {"priority": 7})
    assert submitted(store, 1, owner="ann", priority=7) and submitted(store, 1, owner="ann", priority=-7)
    assert submitted(store, 1, priority=1000), "the operator's own"


def test_runs_at_work_are_limited(store: Store) -> None:
    store.set_quota("", {"running": 2})
    store.set_quota("bob", {"running": 1})
    submitted(store, 4, owner="ann")
    submitted(store, 4, owner="bob", priority=0)
    submitted(store, 1)
    held = [store.claim("me") for _ in range(5)]
    assert [owner_of(store, claim) for claim in held] == ["ann", "bob", "", "ann", None]
    assert held[0] is not None and held[2] is not None
    store.finish(held[0].run.id, held[0].lease, result())
    store.finish(held[2].run.id, held[2].lease, result())
    assert [owner_of(store, store.claim("me")) for _ in range(2)] == ["ann", None]
    claim = store.claim("me", job=2)
    assert claim is not None, "who computes one job himself takes no share of the slots"


def test_two_dispatchers_do_not_take_the_last_slot_both(store: Store, url: str) -> None:
    store.set_quota("ann", {"running": 3})
    submitted(store, 20, owner="ann")
    claimed: list[int] = []

    def claim() -> None:
        while (found := store.claim("me")) is not None:
            claimed.append(found.run.id)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 3 and store.count_runs(state="running") == 3


def test_counting_queued_runs_reads_those_of_the_owner_alone(store: Store) -> None:
    submitted(store, 3, owner="ann")
    submitted(store, 5, owner="bob", priority=2, limited=False)
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    with store.read_transaction() as connection:
        assert [count_queued_runs(connection, owner) for owner in ("ann", "bob", "carl")] == [3, 5, 0]
    assert all("runs.priority =" in s for s in statements if "count(*)" in s and "FROM runs" in s)
