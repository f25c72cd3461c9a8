"""The store's contract. Every database passes it: the fixture `url` gives one of each kind."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from stores import SPEC, checkpoint, claim_all, result, row, submitted

from evornn.errors import UnknownName
from evornn.store import leases, transitions
from evornn.store.errors import Conflict, Diverged, Fenced, NotFound, SerializationFailure, StoreError
from evornn.store.records import LogLine, Machine
from evornn.store.schema import STATES, tokens
from evornn.store.store import Store, open_store
from evornn.tasks import TASKS

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def test_a_run_from_submission_to_result(store: Store) -> None:
    job = submitted(store, 2)
    assert store.spec(job) == SPEC
    assert store.job(job).counts == {"queued": 2} and store.job(job).state == "queued"
    claim = store.claim("me")
    assert claim is not None and claim.checkpoint is None and claim.run.seed == 0 and claim.run.state == "running"
    assert claim.run.fragments["network"] == {"kind": "elman"} and claim.run.experiment == "sunspots"
    reply = store.record(claim.run.id, claim.lease, [row(1), row(2)], checkpoint(2), [LogLine("hello", "warning")])
    assert not reply.cancel_requested
    assert store.curve(claim.run.id) == [row(1), row(2)]
    assert store.run(claim.run.id).best == 0.5 and store.run(claim.run.id).mark == 2
    store.finish(claim.run.id, claim.lease, result(), [row(3)])
    found = store.result(claim.run.id)
    assert dataclasses.replace(found, genome=None) == dataclasses.replace(result(), genome=None)
    np.testing.assert_array_equal(store.champion(claim.run.id), result().genome)
    assert [r.mark for r in store.curve(claim.run.id)] == [1, 2, 3]
    assert store.checkpoint(claim.run.id) is None, "a finished run needs none"
    assert store.job(job).counts == {"queued": 1, "succeeded": 1} and store.job(job).finished is None
    assert [(line.message, line.level, line.run) for line in store.logs(job=job)] == [("hello", "warning", 1)]
    assert [e.kind for e in store.events(run=claim.run.id)] == ["claimed", "succeeded"]
    assert [(w.name, w.claims) for w in store.workers()] == [("me", 1)]


def test_a_job_is_done_when_its_last_run_is(store: Store) -> None:
    job = submitted(store, 2)
    for _ in range(2):
        claim = store.claim("me")
        assert claim is not None
        store.finish(claim.run.id, claim.lease, result())
    assert store.job(job).state == "succeeded"
    assert store.job(job).finished == max(run.finished or 0 for run in store.runs(job=job))


@pytest.mark.parametrize(
    "judged",
    [
        {"score": "share of strings right", "test_score": 0.75, "solved": False},
        {"score": "share of strings right", "test_score": 1.0, "solved": True},
        {"score": "NRMSE", "test_score": NAN},  # a task that knows no solution
        {},
    ],
)
def test_a_tasks_own_score_goes_with_the_run(store: Store, judged: dict[str, Any]) -> None:
    claim = _claimed(store)
    store.finish(claim.run.id, claim.lease, result(**judged))
    given = {"score": None, "test_score": None, "solved": None} | judged
    for found in (store.run(claim.run.id), store.result(claim.run.id)):
        assert repr({name: getattr(found, name) for name in given}) == repr(given)
    assert [run.id for run in store.runs(order="-test_score")] == [claim.run.id]


def test_not_a_number_survives(store: Store) -> None:
    claim = _claimed(store)
    given = row(1, best=NAN, mean=INF, q25=-INF, champion_valid=NAN, extra={"sigma": NAN, "norm": -INF, "rate": 0.1})
    store.record(claim.run.id, claim.lease, [given])
    assert repr(store.curve(claim.run.id)[0]) == repr(
        dataclasses.replace(given, extra=dict(sorted(given.extra.items())))
    )
    store.record(claim.run.id, claim.lease, [given])  # equal, NaN and all
    store.finish(claim.run.id, claim.lease, result(test_loss=NAN, train_loss=INF))
    found = store.run(claim.run.id)
    assert np.isnan(found.test_loss) and found.train_loss == INF and np.isnan(found.best) and found.valid_loss == 0.2
    assert np.isnan(store.result(claim.run.id).test_loss)


def test_numpy_numbers_are_numbers(store: Store) -> None:
    claim = _claimed(store)
    given = row(1, best=np.float32(0.1), network_steps=np.int64(7), extra={"sigma": np.float32(2.5)})
    store.record(claim.run.id, claim.lease, [given])
    stored = store.curve(claim.run.id)[0]
    assert (stored.best, stored.network_steps, stored.extra) == (float(np.float32(0.1)), 7, {"sigma": 2.5})
    assert type(stored.best) is float and type(stored.network_steps) is int


def test_a_checkpoint_comes_back_to_the_bit(store: Store) -> None:
    claim = _claimed(store)
    arrays = {
        "C": np.asfortranarray(np.random.default_rng(1).normal(size=(3, 4))),
        "t": np.array(3),
        "e": np.zeros((0, 2)),
    }
    plain = {"loss": NAN, "rng": {"state": 2**127 + 1}, "$float": "user's", "list": [1, [2.5, -INF]], "none": None}
    given = dataclasses.replace(checkpoint(4), arrays={**arrays, "ok": np.array([True])}, plain=plain)
    store.record(claim.run.id, claim.lease, [], given)
    found = store.checkpoint(claim.run.id)
    assert found is not None and found.mark == 4 and repr(found.plain) == repr({k: plain[k] for k in sorted(plain)})
    for name, array in given.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_a_recomputed_row_must_be_equal(store: Store) -> None:
    claim = _claimed(store)
    store.record(claim.run.id, claim.lease, [row(1, extra={"sigma": 1.0}), row(2)], checkpoint(2))
    store.record(claim.run.id, claim.lease, [row(2, seconds=99.0), row(3)], checkpoint(3))
    assert [r.seconds for r in store.curve(claim.run.id)] == [0.5, 0.5, 0.5], "the first attempt's seconds stay"
    changes = [{"best": 0.7}, {"valid": NAN}, {"network_steps": 11}, {"extra": {"sigma": 1.1}}, {"extra": {}}]
    for change, column in zip(changes, ["best", "valid", "network_steps", "extra.sigma", "extra.sigma"], strict=True):
        again = row(1, **{"extra": {"sigma": 1.0}, **change})
        with pytest.raises(Diverged, match=f"mark 1: recomputed {column} ") as caught:
            store.record(claim.run.id, claim.lease, [again, row(4)], checkpoint(4))
        assert caught.value.column == column
    assert store.curve(claim.run.id)[-1].mark == 3 and store.checkpoint(claim.run.id).mark == 3, "nothing was written"


def test_a_zombie_writes_nothing(store: Store) -> None:
    submitted(store)
    zombie = store.claim("zombie", lease_seconds=-1)
    assert zombie is not None
    run = zombie.run.id
    store.record(run, zombie.lease, [row(1)], checkpoint(1))
    heir = store.claim("heir")
    assert heir is not None and heir.run.id == run and heir.lease == zombie.lease + 1
    assert heir.checkpoint is not None and heir.checkpoint.mark == 1
    before = (store.run(run), store.curve(run), store.events(), store.logs())
    writes: list[Callable[[], object]] = [
        lambda: store.record(run, zombie.lease, [row(2)], checkpoint(2), [LogLine("late")]),
        lambda: store.finish(run, zombie.lease, result()),
        lambda: store.fail(run, zombie.lease, "late", retry=True),
        lambda: store.release(run, zombie.lease),
        lambda: store.record(run, heir.lease + 1),
        lambda: store.record(run + 1, 1),
    ]
    for write in writes:
        with pytest.raises(Fenced, match="lease"):
            write()
    assert (store.run(run), store.curve(run), store.events(), store.logs()) == before
    assert store.checkpoint(run).mark == 1
    store.finish(run, heir.lease, result())
    with pytest.raises(Fenced):
        store.record(run, heir.lease)


def test_a_silent_worker_may_go_on_while_nobody_else_has_claimed(store: Store) -> None:
    submitted(store)
    claim = store.claim("slow", lease_seconds=-1)
    assert claim is not None and store.live_owners() == []
    store.record(claim.run.id, claim.lease, [row(1)])


def test_a_heartbeat_says_how_far_the_run_is(store: Store) -> None:
    claim = _claimed(store)
    store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
    before = store.run(claim.run.id)
    store.record(claim.run.id, claim.lease, network_steps=14)
    after = store.run(claim.run.id)
    assert (after.network_steps, after.mark, len(store.curve(claim.run.id))) == (14, 1, 1)
    assert after.lease_until > before.lease_until and store.live_owners() == ["me"]


def test_rows_and_checkpoint_commit_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = _claimed(store)
    store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
    before = store.run(claim.run.id)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="crash"):
        patch.setattr(leases, "_save_checkpoint", _crash)
        store.record(claim.run.id, claim.lease, [row(2)], checkpoint(2), [LogLine("lost")])
    assert store.curve(claim.run.id) == [row(1)] and store.checkpoint(claim.run.id).mark == 1
    assert store.run(claim.run.id) == before and store.logs() == []


def test_a_process_killed_within_a_transaction_leaves_nothing(store: Store, url: str) -> None:
    submitted(store)
    process = multiprocessing.get_context("spawn").Process(target=_killed_while_recording, args=(url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert store.curve(1) == [row(1)] and store.live_owners() == ["victim"]
    assert store.release_owner("victim") == 1
    claim = store.claim("heir")
    assert claim is not None and claim.checkpoint is not None and claim.checkpoint.mark == 1
    assert claim.run.failures == 0, "a machine that died is no failure of the run"


def test_two_processes_claim_200_runs_none_twice(store: Store, url: str) -> None:
    submitted(store, 200)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(claim_all, [(url, "a"), (url, "b")])
    assert sorted(first + second) == [run.id for run in store.runs()]
    assert {run.lease for run in store.runs()} == {1}


def test_priority_then_age(store: Store) -> None:
    low, high = submitted(store, 2), submitted(store, 2, priority=5)
    jobs = [claim.run.job for _ in range(2) if (claim := store.claim("me")) is not None]
    assert jobs == [high, high]
    claim = store.claim("me", job=high)
    assert claim is None
    claim = store.claim("me", job=low)
    assert claim is not None and claim.run.position == 0


def test_failures_are_tried_three_times_with_a_pause(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submitted(store)
    claim = store.claim("me")
    assert claim is not None
    assert store.fail(claim.run.id, claim.lease, "CUDA out of memory", retry=True) == "queued"
    assert store.claim("me") is None, "not yet"
    monkeypatch.setattr(leases, "BACK_OFF", 0.0)
    store.cancel(job=job)
    store.resume(job)
    states = []
    for _ in range(3):
        claim = store.claim("me")
        assert claim is not None
        states.append(store.fail(claim.run.id, claim.lease, "again", retry=True))
    assert states == ["queued", "queued", "failed"]
    assert (store.run(1).failures, store.run(1).error, store.job(job).state) == (3, "again", "failed")
    assert store.claim("me") is None


def test_what_will_fail_again_is_not_tried_again(store: Store) -> None:
    claim = _claimed(store)
    assert store.fail(claim.run.id, claim.lease, "bad spec", retry=False) == "failed"


def test_cancel(store: Store) -> None:
    job = submitted(store, 3)
    claims = [store.claim("me"), store.claim("me", lease_seconds=-1)]
    assert store.cancel(job=job) == 3
    assert [run.state for run in store.runs()] == ["cancelling", "cancelled", "cancelled"], "silent ones end at once"
    assert claims[0] is not None and store.record(claims[0].run.id, claims[0].lease, [row(1)]).cancel_requested
    store.release(claims[0].run.id, claims[0].lease)
    assert store.job(job).state == "cancelled"
    assert store.cancel(job=job) == 0
    assert store.resume(job) == 3 and store.job(job).state == "queued"


def test_resume_goes_on_and_retry_starts_again(store: Store) -> None:
    job = submitted(store, 2)
    for _ in range(2):
        claim = store.claim("me")
        assert claim is not None
        store.record(claim.run.id, claim.lease, [row(1, extra={"sigma": 1.0})], checkpoint(1))
        store.fail(claim.run.id, claim.lease, "bug", retry=False)
    assert store.resume(job) == 2
    claim = store.claim("me")
    assert claim is not None and claim.checkpoint is not None and claim.run.failures == 0 and claim.run.error is None
    store.finish(claim.run.id, claim.lease, result())
    claim = store.claim("me")
    assert claim is not None
    store.fail(claim.run.id, claim.lease, "bug", retry=False)
    assert store.retry(job) == 1
    assert store.curve(claim.run.id) == [] and store.checkpoint(claim.run.id) is None
    assert store.run(claim.run.id).best is None and store.run(claim.run.id).seed == 1
    again = store.claim("me")
    assert again is not None and again.checkpoint is None
    store.record(again.run.id, again.lease, [row(1, best=7.0)])  # other numbers than before: no quarrel


def test_one_idempotency_key_one_job(store: Store) -> None:
    first = submitted(store, 2, idempotency_key="k")
    assert submitted(store, 2, idempotency_key="k") == first
    assert submitted(store, 2, idempotency_key="k", owner="somebody else") != first
    with pytest.raises(Conflict, match="use a new key"):
        submitted(store, 3, idempotency_key="k")
    assert submitted(store) != submitted(store), "no key, no such promise"
    assert len(store.jobs()) == 4 and len({job.spec_id for job in store.jobs()}) == 1


def test_lists(store: Store) -> None:
    job = submitted(store, 3, experiment="other")
    for loss in (0.3, NAN, 0.1):
        claim = store.claim("me")
        assert claim is not None
        store.finish(claim.run.id, claim.lease, result(test_loss=loss))
    assert [run.id for run in store.runs(order="test_loss")] == [3, 1, 2]
    assert [run.id for run in store.runs(order="-test_loss", limit=2)] == [1, 3]
    assert store.runs(state="failed") == [] and len(store.runs(job=job, network="elman", experiment="other")) == 3
    assert store.runs(trainer="cma_es") == [] and store.jobs(experiment="none") == []
    assert store.curves([1, 2]) == {1: [], 2: []}
    assert [e.id for e in store.events(job=job, after=2, limit=2)] == [3, 4]
    with pytest.raises(UnknownName, match="did you mean 'succeeded'"):
        store.runs(state="success")
    with pytest.raises(UnknownName, match="did you mean 'test_loss'"):
        store.runs(order="test_los")


def test_pages_of_runs(store: Store) -> None:
    first, second = submitted(store, 3), submitted(store, 4, experiment="other")
    assert [run.id for run in store.runs(limit=3, offset=2)] == [3, 4, 5]
    assert [run.id for run in store.runs_by_id([5, 2, 5])] == [5, 2, 5]
    with pytest.raises(NotFound, match="no run 99"):
        store.runs_by_id([1, 99])
    assert [run.id for run in store.runs(limit=2, after=5)] == [6, 7] and store.runs(after=7) == []
    assert [run.id for run in store.runs(after=2, job=first)] == [3]
    assert [run.id for run in store.runs(order="-id", limit=2, offset=1)] == [6, 5]
    assert [run.position for run in store.runs(order="-position", job=second, offset=3)] == [0]
    assert (store.count_runs(), store.count_runs(job=second), store.count_runs(experiment="other")) == (7, 4, 4)
    assert store.count_runs(state="queued", task="sunspots", network="elman", trainer="adam") == 7
    assert store.count_runs(state="failed") == store.count_runs(job=9) == store.count_runs(experiment="none") == 0
    with pytest.raises(StoreError, match="by offset"):
        store.runs(order="-test_loss", after=3)
    with pytest.raises(UnknownName, match="did you mean 'failed'"):
        store.count_runs(state="fialed")


def test_pages_of_jobs(store: Store) -> None:
    ids = [submitted(store, owner=owner) for owner in ("ann", "ben", "ann", "ann")]
    assert [job.id for job in store.jobs(owner="ann", limit=2)] == [ids[3], ids[2]]
    assert [job.id for job in store.jobs(owner="ann", before=ids[2])] == [ids[0]]
    assert [job.id for job in store.jobs(before=ids[1])] == [ids[0]] and store.jobs(owner="eve") == []


def test_jobs_are_found_by_the_state_that_they_show(store: Store) -> None:
    for kinds in itertools.product([None, "succeeded", "failed", "cancelled", "running", "cancelling"], repeat=2):
        job = submitted(store, 3)
        for kind in filter(None, kinds):
            _lead_to(store, job, kind)
        if None not in kinds:
            _lead_to(store, job, kinds[0])
    shown: dict[str, list[int]] = {}
    for job in store.jobs():
        shown.setdefault(job.state, []).append(job.id)
    assert set(shown) == set(STATES)
    assert {state: [job.id for job in store.jobs(state=state)] for state in STATES} == shown
    with pytest.raises(UnknownName, match="did you mean 'queued'"):
        store.jobs(state="queue")


def test_one_run_is_cancelled_resumed_and_retried(store: Store) -> None:
    submitted(store, 2)
    assert store.cancel(run=1) == 1 and store.resume(run=1) == 1
    assert [run.state for run in store.runs()] == ["queued", "queued"]
    for _ in range(2):
        claim = store.claim("me")
        assert claim is not None
        store.record(claim.run.id, claim.lease, [row(1)])
        store.fail(claim.run.id, claim.lease, "bug", retry=False)
    assert store.retry(run=2) == 1 and store.curves([1, 2]) == {1: [row(1)], 2: []}
    assert [run.state for run in store.runs()] == ["failed", "queued"]
    for verb in (store.cancel, store.resume, store.retry):
        with pytest.raises(StoreError, match="either a job or a run"):
            verb()
        with pytest.raises(NotFound, match="no run 9"):
            verb(run=9)


def test_tokens(store: Store) -> None:
    secret = store.add_token("ci", ["submit", "read"])
    assert len(secret) > 40 and secret != store.add_token("boss", ["admin"])
    found = store.token_for(secret)
    assert found is not None and (found.name, found.scopes, found.revoked) == ("ci", ("read", "submit"), None)
    assert [(t.name, t.last_used is None) for t in store.tokens()] == [("ci", False), ("boss", True)]
    used = store.tokens()[0].last_used
    store.token_for(secret)
    assert store.tokens()[0].last_used == used, "one write a minute, not one each request"
    for wrong in ("", secret + "x", secret[:-1], "ci", "\0", "\ud800"):
        assert store.token_for(wrong) is None
    with pytest.raises(Conflict, match="choose another name"):
        store.add_token("ci", ["read"])
    store.revoke_token("ci")
    assert store.token_for(secret) is None and store.tokens()[0].revoked is not None
    store.revoke_token("ci")
    with pytest.raises(NotFound, match="no token 'me'"):
        store.revoke_token("me")
    with pytest.raises(UnknownName, match="did you mean 'admin'"):
        store.add_token("x", ["admn"])
    for name, scopes in (("", ["read"]), ("x", []), ("x" * 201, ["read"]), ("a\0b", ["read"])):
        with pytest.raises(StoreError):
            store.add_token(name, scopes)


def test_no_secret_is_stored(store: Store) -> None:
    secret = store.add_token("ci", ["read"])
    with store.read_transaction() as connection:
        assert secret not in repr(connection.execute(select(tokens)).all())


def test_heartbeats_of_dispatchers(store: Store) -> None:
    submitted(store)
    store.heartbeat("here", slots=4, held=0)
    first = store.workers()
    assert [(w.name, w.claims, w.slots, w.held) for w in first] == [("here", 0, 4, 0)]
    store.claim("here")
    machines = (Machine("a", "here", 4, 1, 0.5, 0.25, 2**40, 1), Machine("b", "there", 2, 0))
    store.heartbeat("here", slots=4, held=1, machines=machines)
    again = store.workers()
    assert [(w.claims, w.slots, w.held, w.machines) for w in again] == [(1, 4, 1, machines)] and first[0].machines == ()
    assert again[0].first_seen == first[0].first_seen and again[0].last_seen > first[0].last_seen


def test_text_that_a_program_wrote_is_taken_as_it_is(store: Store) -> None:
    claim = _claimed(store)
    store.record(claim.run.id, claim.lease, log=[LogLine("\0 \ud800 <b>ü"), LogLine("x" * 100_000)])
    store.fail(claim.run.id, claim.lease, "Error: \0", retry=False)
    assert store.logs()[0].message == "␀ ? <b>ü" and store.run(claim.run.id).error == "Error: ␀"


@pytest.mark.parametrize(
    "options",
    [{"experiment": "x" * 201}, {"owner": "x" * 201}, {"idempotency_key": "a\0"}, {"experiment": "\ud800"}],
)
def test_names_that_a_database_may_not_take(store: Store, options: dict[str, str]) -> None:
    with pytest.raises(StoreError, match=r"characters"):
        submitted(store, **options)
    assert store.jobs() == []


def test_numbers_beyond_64_bits(store: Store) -> None:
    submitted(store)
    with pytest.raises(StoreError):
        store.run(2**70)
    with pytest.raises(StoreError, match="64 bits"):
        submitted(store, priority=2**70)
    assert len(store.jobs()) == 1


def test_a_transaction_that_lost_is_tried_once_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fence(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) in (1, 3, 4):
            raise SerializationFailure("deadlock")
        return transitions.fence(*arguments)

    monkeypatch.setattr(leases, "fence", fence)
    claim = _claimed(store)
    store.record(claim.run.id, claim.lease, [row(1)])
    assert store.curve(claim.run.id) == [row(1)] and len(calls) == 2
    with pytest.raises(SerializationFailure):
        store.record(claim.run.id, claim.lease, [row(2)])
    assert store.curve(claim.run.id) == [row(1)] and len(calls) == 4


def test_what_is_not_there(store: Store) -> None:
    missing: list[Callable[[], object]] = [
        lambda: store.job(7),
        lambda: store.spec(7),
        lambda: store.run(7),
        lambda: store.curve(7),
        lambda: store.checkpoint(7),
        lambda: store.result(7),
        lambda: store.cancel(run=7),
        lambda: store.resume(7),
        lambda: store.retry(7),
    ]
    for read in missing:
        with pytest.raises(NotFound, match="7"):
            read()
    submitted(store)
    with pytest.raises(NotFound, match="run 1 has no result, it is queued"):
        store.champion(1)
    with pytest.raises(StoreError, match="no run"):
        store.submit(SPEC, [])
    assert store.claim("me", job=9) is None


def _claimed(store: Store) -> leases.Claim:
    submitted(store)
    claim = store.claim("me")
    assert claim is not None
    return claim


def _lead_to(store: Store, job: int, state: str) -> None:
    """Bring one more run of the job into a state."""
    claim = store.claim("me", job=job)
    if claim is None:
        return
    if state == "succeeded":
        store.finish(claim.run.id, claim.lease, result())
    elif state == "failed":
        store.fail(claim.run.id, claim.lease, "bug", retry=False)
    elif state != "running":
        store.cancel(run=claim.run.id)
        if state == "cancelled":
            store.release(claim.run.id, claim.lease)


def _crash(*_: object) -> None:
    raise OSError("crash")


def _killed_while_recording(url: str) -> None:
    store = open_store(url)
    claim = store.claim("victim")
    assert claim is not None
    store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
    leases._save_checkpoint = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    store.record(claim.run.id, claim.lease, [row(2)], checkpoint(2))


@pytest.mark.parametrize("kind", ["sunspots", "adding", "single_pole"])
def test_what_judges_runs_is_kept_as_it_was(store: Store, kind: str) -> None:
    data = TASKS.build({"kind": kind}).data().evaluation.keepable()
    for _ in range(2):  # the second time it is there already
        store.keep_evaluation_data({"0123": data})
    kept = store.evaluation_data("0123")
    assert kept is not None and store.evaluation_data("4567") is store.evaluation_data(None) is None
    assert (kept.sizes, kept.loss, kept.labels, kept.note) == (data.sizes, data.loss, data.labels, data.note)
    assert kept.preparation == data.preparation and (kept.preparation is None) == (kind != "sunspots")
    assert [(b.name, b.valid, b.test, b.errors) for b in kept.baselines] == [
        (b.name, b.valid, b.test, b.errors) for b in data.baselines
    ]
    for ours, theirs in [
        (kept.test, data.test),
        (kept.chart, data.chart),
        *zip(kept.baselines, data.baselines, strict=True),
    ]:
        assert (ours is None) == (theirs is None)
        for name, value in vars(ours).items() if ours else ():
            assert np.array_equal(value, getattr(theirs, name)) and type(value) is type(getattr(theirs, name))


def test_errors_of_a_forecast_are_columns_of_the_run(store: Store) -> None:
    one = {"load": {"rmse": 2.0, "mae": 1.0, "mase": None, "r2": 0.5}}
    two = {**one, "price": {"rmse": 200.0, "mae": 100.0, "mase": None, "r2": 0.7}}
    submitted(store, 3)
    for errors, columns in ((one, (2.0, 1.0, None, 0.5)), (two, (None, None, None, 0.6)), (None, (None,) * 4)):
        claim = store.claim("me")
        assert claim is not None
        store.finish(claim.run.id, claim.lease, result(forecast_errors=errors))
        record = store.run(claim.run.id)
        assert (record.rmse, record.mae, record.mase, record.r2) == columns
        assert record.forecast_errors == store.result(claim.run.id).forecast_errors == errors
