"""The dispatcher's contract, on every database: whatever happens to runs, machines, the database and other dispatchers.

An executor that follows a script stands for the cluster, and says what time it is: nothing here waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from executors import EndRecorder, dead_identity
from scripted import Script, Scripted, ended, progress, queued, success, worked
from stores import checkpoint, new_runs, result, row

from evornn.service.dispatch import dispatcher
from evornn.service.dispatch.dispatcher import Dispatcher
from evornn.service.dispatch.process_identity import current_identity
from evornn.service.executors.executor import (
    Assignment,
    EndEvent,
    ExecutorEvent,
    ProgressEvent,
    is_final,
)
from evornn.store import leases
from evornn.store.errors import StoreError, Unreachable
from evornn.store.records import Machine
from evornn.store.store import Store, open_store
from evornn.training.records import Checkpoint, Update

ELSEWHERE = "elsewhere:1:1"  # a dispatcher on another machine


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(leases, "BACK_OFF", 0.0)
    with open_store(url) as store:
        yield store


def test_runs_are_worked_off(store: Store) -> None:
    job, executor = queued(store, 5), Scripted(lambda a: [progress(a, 1, 2), success(a, 3)], slots=2)
    assert worked(store, job, executor) == [("succeeded", "")] * 5
    assert store.job(job).counts == {"succeeded": 5}
    assert [a.seed for a in executor.started] == [0, 1, 2, 3, 4]
    assert [r.mark for r in store.curve(1)] == [1, 2, 3]
    assert worked(store, job, executor) == []


def test_a_machine_dies_and_another_goes_on_from_the_checkpoint(store: Store) -> None:
    job = queued(store)
    dying: Script = lambda a: [progress(a, 1, 2), ended(a, "machine", "WorkerCrashedError")]  # noqa: E731
    executor = Scripted(dying, lambda a: [progress(a, 2, 3), success(a, 4)])
    assert worked(store, job, executor) == [("released", "WorkerCrashedError"), ("succeeded", "")]
    marks = [a.checkpoint and a.checkpoint.mark for a in executor.started]
    assert marks == [None, 2]
    assert [r.mark for r in store.curve(1)] == [1, 2, 3, 4] and store.run(1).failures == 0


def test_a_run_that_kills_every_machine_fails(store: Store) -> None:
    job, executor = queued(store), Scripted(lambda a: [ended(a, "machine", "OutOfMemoryError")])
    assert worked(store, job, executor)[-1] == ("failed", "OutOfMemoryError")
    assert len(executor.started) == dispatcher.CRASHES + 1


def test_errors_are_tried_again_unless_that_is_useless(store: Store) -> None:
    job, executor = (
        queued(store, 2),
        Scripted(lambda a: [ended(a, "error", "disk")] if a.seed else [ended(a, "error", "bad", retry=False)]),
    )
    ends = worked(store, job, executor)
    assert sorted(ends) == [("failed", "bad"), ("failed", "disk"), ("queued", "disk"), ("queued", "disk")]
    assert store.job(job).counts == {"failed": 2} and store.run(1).error == "bad"


def test_an_error_that_goes_away_is_forgotten(store: Store) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [progress(a, 1), ended(a, "error", "disk")], lambda a: [success(a, 2)])
    assert [state for state, _ in worked(store, job, executor)] == ["queued", "succeeded"]
    assert store.run(1).state == "succeeded" and store.run(1).error is None


def test_a_zombie_is_fenced_and_stopped(store: Store, url: str) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2)], lambda a: [success(a, 1)])
    taken: list[Any] = []

    def take_away() -> None:
        if not taken and store.run(1).mark == 1:
            store.release_owner(current_identity())
            taken.append(store.claim(ELSEWHERE))
            store.record(1, taken[0].lease, [row(2)], checkpoint(2))
            store.finish(1, taken[0].lease, result(), [row(3)])

    executor.between = take_away
    (state, reason), *rest = worked(store, job, executor)
    assert state == "lost" and "another worker has the run" in reason and rest == []
    assert executor.stopped == [1] and len(executor.started) == 1
    assert [r.mark for r in store.curve(1)] == [1, 2, 3] and store.run(1).state == "succeeded"


def test_a_lease_that_ran_out_here_is_renewed_and_nothing_starts_twice(store: Store) -> None:
    """The process was suspended just before it asked for more work, and its own claim sweeps up its own lease."""
    job, calls = queued(store), []
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2), success(a, 3)], slots=2, tick=0.22)

    def suspended() -> None:
        calls.append(1)
        if len(calls) == 3:  # the next report about all runs is not due yet
            store.release_owner(current_identity())

    executor.between = suspended
    assert worked(store, job, executor) == [("succeeded", "")]
    assert len(executor.started) == 1 and store.run(1).lease == 2 and [r.mark for r in store.curve(1)] == [1, 2, 3]


def test_a_recomputed_row_that_differs_fails_the_run(store: Store) -> None:
    job = queued(store)
    other = Update([row(1, valid=0.123)], checkpoint(1))
    executor = Scripted(
        lambda a: [progress(a, 1), ended(a, "machine")], lambda a: [ProgressEvent(a.attempt, other), success(a, 2)]
    )
    ends = worked(store, job, executor)
    assert ends[-1][0] == "failed" and "recomputed valid" in ends[-1][1] and executor.stopped == [1]
    assert [r.valid for r in store.curve(1)] == [row(1).valid]


def test_cancelling(store: Store) -> None:
    job = queued(store, 3)
    executor = Scripted(lambda a: [progress(a, mark) for mark in range(1, 10)])
    executor.between = lambda: store.cancel(job=job) if store.run(1).mark == 2 else None  # type: ignore[assignment,return-value,func-returns-value]
    assert worked(store, job, executor) == [("cancelled", "")]
    assert store.job(job).counts == {"cancelled": 3} and (executor.asked, executor.stopped) == ([1], [])
    assert len(store.curve(1)) in (2, 3)


def test_a_run_that_does_not_hear_is_cancelled_by_force(store: Store) -> None:
    """Within 5 s, also when it says nothing at all; and its end, told later, changes nothing."""
    job, executor = queued(store), Scripted(lambda a: [progress(a, 1)])
    executor.deaf, times = True, []

    def cancel() -> None:
        if store.run(1).mark == 1 and not times:
            store.cancel(job=job)
            times.append(executor.now)

    executor.between = cancel
    assert worked(store, job, executor) == [("cancelled", "")]
    assert (executor.asked, executor.stopped) == ([1], [1]) and store.run(1).state == "cancelled"
    assert dispatcher.STOP_TIMEOUT <= executor.now - times[0] <= 5


def test_a_result_that_comes_before_the_cancellation_counts(store: Store) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2), success(a, 3)])
    executor.deaf, executor.between = True, lambda: store.cancel(job=job) if store.run(1).mark == 1 else None  # type: ignore[assignment,return-value,func-returns-value]
    assert worked(store, job, executor) == [("succeeded", "")]


def test_a_silent_run_keeps_its_lease_and_its_progress(store: Store) -> None:
    job, leases, steps = queued(store), [], []
    executor = Scripted(lambda a: [progress(a, 3)])

    def silence() -> None:
        leases.append(store.run(1).lease_until or 0.0)
        steps.append(store.run(1).network_steps)
        if len(leases) == 6:
            executor.waiting.append([success(executor.started[0], 4)])

    executor.between = silence
    worked(store, job, executor)
    assert leases == sorted(leases) and leases[-1] > leases[2] > 0 and steps[2:] == [30] * 4


def test_many_runs_report_in_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job, reports = queued(store, 20), []
    record_all = store.record_all

    def counted(given: Any) -> Any:
        reports.append(len(given))
        return record_all(given)

    monkeypatch.setattr(store, "record_all", counted)
    executor = Scripted(lambda a: [*(progress(a, mark) for mark in range(1, 11)), success(a, 11)], slots=20, tick=0.1)
    worked(store, job, executor)
    assert store.job(job).counts == {"succeeded": 20} and len(store.curve(20)) == 11
    assert set(reports) == {20} and len(reports) < 6, "of 220 words"


def test_the_late_end_of_a_lost_try_does_not_end_the_next_one(store: Store) -> None:
    """Another dispatcher took the run and gave it back; the first try's end is told when the second is under way."""
    job = queued(store)
    second: Script = lambda a: [progress(a, 2), progress(a, 3), success(a, 4)]  # noqa: E731
    executor = Scripted(lambda a: [progress(a, 1)], second, slots=2)
    lost: list[Assignment] = []

    def take_away() -> None:
        if store.run(1).mark == 1 and not lost:
            lost.append(executor.started[0])
            store.release_owner(current_identity())
            claim = store.claim(ELSEWHERE)
            assert claim is not None
            store.release(1, claim.lease)
        if len(executor.started) == 1:
            executor.waiting = [events for events in executor.waiting if not events or not is_final(events[0])]
        elif store.run(1).mark == 2:
            executor.waiting.insert(0, [EndEvent(lost[0].attempt, "stopped")])

    executor.between = take_away
    states = [state for state, _ in worked(store, job, executor, slots=1)]
    assert states == ["lost", "succeeded"] and store.run(1).lease == 3


def test_what_cannot_be_stored_fails_its_run_alone(store: Store) -> None:
    job = queued(store, 2)
    bad = Checkpoint(1, {}, {"step": {1, 2}})  # a set is no plain data

    def script(a: Assignment) -> list[ExecutorEvent]:
        return [ProgressEvent(a.attempt, Update([row(1)], bad)) if a.seed == 0 else success(a, 1)]

    ends = worked(store, job, Scripted(script, slots=2))
    assert sorted(state for state, _ in ends) == ["failed", "succeeded"]
    assert "can't be stored" in (store.run(1).error or "") and store.curve(1) == []


def test_a_cluster_that_dies_again_and_again_is_no_fault_of_its_runs(store: Store) -> None:
    job, times = queued(store), 2 * dispatcher.CRASHES
    scripts: list[Script] = [lambda a: [ended(a, "cluster", "the head is gone")]] * times
    ends = worked(store, job, Scripted(*scripts, lambda a: [success(a, 1)]))
    assert ends == [("released", "the head is gone")] * times + [("succeeded", "")] and store.run(1).failures == 0


# ---- which runs, and how many ---------------------------------------------------------------------------------------


def in_need(store: Store, *gpus: float, cpus: int = 1) -> int:
    """A job with a run for each number of GPUs."""
    needs = [{"cpus": cpus, "gpus": count} for count in gpus]
    runs = [
        replace(run, fragments={**run.fragments, "resources": need})
        for run, need in zip(new_runs(len(gpus)), needs, strict=True)
    ]
    return store.submit({"name": "needs"}, runs)


def under_way(store: Store, executor: Scripted) -> list[int]:
    """The runs that are under way after some time in which none ends."""
    engine = Dispatcher(store, executor, EndRecorder(), clock=executor.clock)
    seen: list[list[int]] = []

    def look() -> None:
        seen.append(sorted(engine.active_runs))
        if len(seen) == 10:
            engine.stop()

    executor.between = look
    engine.work()
    assert store.live_owners() == []
    return seen[-1]


def test_a_run_that_waits_for_a_gpu_blocks_no_other(store: Store) -> None:
    in_need(store, 1, 1, 1, 0, 0)
    assert under_way(store, Scripted(lambda a: [], slots=3, gpus=1)) == [1, 4, 5]


def test_runs_that_wait_for_a_cpu_block_no_run_that_needs_a_gpu(store: Store) -> None:
    in_need(store, 0, 0, 0, 0, 0.5, 0.5, 0.5)
    assert under_way(store, Scripted(lambda a: [], slots=2, gpus=1)) == [1, 2, 5, 6]


def test_a_large_run_gets_its_turn_and_no_more_is_claimed_meanwhile(store: Store) -> None:
    in_need(store, 0)
    in_need(store, 0, cpus=4)
    in_need(store, 0, 0)
    assert under_way(store, Scripted(lambda a: [], slots=2)) == [1, 2]


def test_slots_are_a_limit(store: Store) -> None:
    queued(store, 5)
    executor = Scripted(lambda a: [success(a, 1)], slots=5)
    seen: list[int] = []
    executor.between = lambda: seen.append(len(executor.live))
    worked(store, None, executor, slots=2)
    assert max(seen) == 2 and store.runs(state="queued") == []


def test_all_jobs_are_worked_off_by_priority(store: Store) -> None:
    low, high = queued(store, 2), store.submit({"name": "urgent"}, new_runs(2), priority=1)
    executor = Scripted(lambda a: [success(a, 1)])
    worked(store, None, executor)
    assert [a.attempt.run for a in executor.started] == [3, 4, 1, 2]
    assert store.job(low).state == store.job(high).state == "succeeded"


def test_it_goes_on_until_it_is_stopped(store: Store) -> None:
    """What is submitted later is found; `stop` gives back what is under way, with what it said."""
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2)])
    engine = Dispatcher(store, executor, EndRecorder(), clock=executor.clock)
    calls: list[int] = []

    def later() -> None:
        calls.append(1)
        if len(calls) == 5:
            queued(store)
        if executor.started and not executor.waiting[0]:
            engine.stop()

    executor.between = later
    engine.work(until_empty=False)
    assert store.run(1).state == "queued" and executor.stopped == [1] and len(store.curve(1)) == 2


def test_it_says_that_it_lives(store: Store) -> None:
    queued(store)
    executor, heard = Scripted(lambda a: [*(progress(a, k) for k in range(1, 8)), success(a, 8)]), []
    executor.between = lambda: heard.extend((w.slots, w.held, *w.machines) for w in store.workers() if w.slots)
    worked(store, None, executor)
    assert (1, 0, Machine("a1", "node", 1, 0, memory=2**30)) in heard
    assert (1, 1, Machine("a1", "node", 1, 1, memory=2**30)) in heard


# ---- the database goes and comes back -------------------------------------------------------------------------------


class Away:
    """A store that can't be reached while `away` is true."""

    def __init__(self, store: Store) -> None:
        self.store, self.away = store, False

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any, **options: Any) -> Any:
            if self.away:
                raise Unreachable("the database can't be reached: start it, then try again")
            return getattr(self.store, name)(*arguments, **options)

        return method


def test_runs_go_on_while_the_database_is_away(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    job, proxy = queued(store, 3), Away(store)
    executor = Scripted(lambda a: [*(progress(a, mark) for mark in range(1, 9)), success(a, 9)])
    since: list[float] = []
    claimed: list[float] = []

    def outage() -> None:
        if store.run(1).mark == 2 and not since:
            since.append(executor.now)
        proxy.away = bool(since) and executor.now - since[0] < 60
        claimed.extend([executor.now] * (len(executor.started) - len(claimed)))

    executor.between = outage
    with caplog.at_level(logging.WARNING, "evornn"):
        ends = worked(proxy, job, executor, patience=float("inf"))  # type: ignore[arg-type]
    assert ends == [("succeeded", "")] * 3 and [a.attempt.lease for a in executor.started] == [1] * 3
    assert [r.mark for r in store.curve(1)] == list(range(1, 10))
    assert claimed[1] - since[0] >= 60 + dispatcher.COOLDOWN, "others renew their leases first"
    assert [record.message.partition(".")[0][:28] for record in caplog.records] == [
        "the database can't be reache",
        "the database is back after 6",
    ]


def test_patience_has_an_end(store: Store) -> None:
    job, proxy = queued(store), Away(store)
    executor = Scripted(lambda a: [progress(a, mark) for mark in range(1, 1000)])

    def outage() -> None:
        proxy.away = proxy.away or store.run(1).mark == 2

    executor.between = outage
    with pytest.raises(Unreachable):
        worked(proxy, job, executor, patience=60.0)  # type: ignore[arg-type]
    assert executor.stopped == [1] and 1060 < executor.now < 1070


def test_a_run_that_was_lost_meanwhile_is_dropped(store: Store) -> None:
    job, proxy = queued(store), Away(store)
    executor = Scripted(lambda a: [progress(a, mark) for mark in range(1, 9)])
    taken: list[Any] = []

    def outage() -> None:
        proxy.away = store.run(1).mark == 2 and executor.now < 1010
        if proxy.away and not taken:
            store.release_owner(current_identity())
            taken.append(store.claim(ELSEWHERE))
        elif executor.stopped and store.run(1).state == "running":
            store.finish(1, taken[0].lease, result(), [row(3)])

    executor.between = outage
    ((state, reason),) = worked(proxy, job, executor)  # type: ignore[arg-type]
    assert state == "lost" and "another worker has the run" in reason
    assert [r.mark for r in store.curve(1)] == [1, 2, 3] and store.run(1).state == "succeeded"


def test_what_is_kept_meanwhile_has_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "MAX_ROWS", 50)
    queued(store)
    proxy, executor = Away(store), Scripted(lambda a: [progress(a, mark) for mark in range(1, 1000)])
    heard = EndRecorder()
    engine = Dispatcher(proxy, executor, heard, clock=executor.clock, patience=float("inf"))  # type: ignore[arg-type]

    def outage() -> None:
        proxy.away = proxy.away or store.run(1).mark == 2
        if heard.ends:
            engine.stop()

    executor.between = outage
    engine.work()
    assert heard.ends == [
        ("lost", "reported more than 50 rows while the database was unreachable")
    ] and executor.stopped == [1]
    assert store.checkpoint(1) is not None


# ---- other dispatchers ----------------------------------------------------------------------------------------------


def test_the_runs_of_a_dead_dispatcher_are_taken_over(store: Store) -> None:
    job = queued(store, 2)
    assert store.claim(dead_identity(), lease_seconds=1000.0)
    executor = Scripted(lambda a: [success(a, 1)])
    worked(store, job, executor)
    assert store.job(job).counts == {"succeeded": 2}


def test_the_runs_of_a_living_dispatcher_are_waited_for(store: Store) -> None:
    job = queued(store, 2)
    claim = store.claim(ELSEWHERE, lease_seconds=1000.0)
    assert claim is not None
    executor = Scripted(lambda a: [success(a, 1)])
    seen: list[int] = []

    def finish() -> None:
        seen.append(len(executor.started))
        if len(seen) == 5:
            store.finish(1, claim.lease, result(), [row(1)])

    executor.between = finish
    worked(store, job, executor)
    assert len(seen) >= 5 and [a.attempt.run for a in executor.started] == [2]


def test_an_interrupt_gives_the_runs_back(store: Store) -> None:
    job = queued(store, 3)
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2)], slots=2)

    def interrupt() -> None:
        if store.run(2).mark == 1:
            raise KeyboardInterrupt

    executor.between = interrupt
    heard = EndRecorder()
    with pytest.raises(KeyboardInterrupt):
        Dispatcher(store, executor, heard, clock=executor.clock).work(job)
    assert executor.stopped == [1, 2] and heard.ends == [("released", "interrupted")] * 2
    assert store.job(job).counts == {"queued": 3} and store.live_owners() == []
    executor.between, executor.scripts = (lambda: None), (lambda a: [success(a, 2)],)
    worked(store, job, executor)
    assert store.job(job).counts == {"succeeded": 3}


def test_a_store_that_fails_is_the_error_that_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job, executor = queued(store, 2), Scripted(lambda a: [progress(a, 1)], slots=2)

    def full(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    for name in ("record_all", "release"):
        monkeypatch.setattr(store, name, full)
    with pytest.raises(StoreError, match="disk is full"):
        worked(store, job, executor)
    assert executor.stopped == [1, 2]


def test_a_warm_start_carries_the_champion_to_the_worker(store: Store) -> None:
    job = queued(store)
    worked(store, job, Scripted(lambda a: [success(a, 1)]))
    (run,) = new_runs(1)
    for start, state in ((1, "succeeded"), (77, "failed")):
        run.fragments["start_from"] = {"run": start, "spread": 0.25}
        second, executor = store.submit({"name": "warm"}, [run]), Scripted(lambda a: [success(a, 1)])
        ((ended, reason),) = worked(store, second, executor)
        assert ended == state
        if state == "succeeded":
            origin = executor.started[0].origin
            assert origin is not None and origin.initial_std_scale == 0.25
            np.testing.assert_array_equal(origin.genome, result().genome)
        else:
            assert executor.started == [] and "77" in reason


def test_what_an_executor_cannot_do_fails_the_run_alone(store: Store) -> None:
    job = queued(store, 2)

    def script(a: Assignment) -> list[ExecutorEvent]:
        if a.seed == 0:
            raise StoreError("too many CPUs")
        return [success(a, 1)]

    assert sorted(worked(store, job, Scripted(script))) == [
        ("failed", "too many CPUs"),
        ("succeeded", ""),
    ]


def test_dispatchers_share_a_job(url: str, store: Store) -> None:
    job = queued(store, 12)
    executors = [Scripted(lambda a: [progress(a, 1), success(a, 2)], slots=2) for _ in range(3)]

    def work(k: int) -> None:
        with open_store(url) as own:
            Dispatcher(own, executors[k], EndRecorder(), owner=f"elsewhere{k}:1:1", clock=executors[k].clock).work(job)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.attempt.run for executor in executors for a in executor.started) == list(range(1, 13))
    assert store.job(job).counts == {"succeeded": 12}
