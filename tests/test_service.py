"""The dispatcher, whatever happens to runs, machines and other dispatchers; and one contract for every executor."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from stores import checkpoint, new_runs, result, row

from evornn.experiments.execute import execute
from evornn.experiments.spec import experiment, plan
from evornn.service import dispatch
from evornn.service.dispatch import Dispatcher
from evornn.service.executor import Assignment, Ended, Executor, Said
from evornn.service.local import LocalExecutor
from evornn.service.owner import is_dead, own_name
from evornn.service.service import submit
from evornn.store import leasing
from evornn.store.errors import StoreError
from evornn.store.records import StoredRun
from evornn.store.store import Store, open_store
from evornn.training.records import Update

# ---- dispatcher ----------------------------------------------------------------------------------------------------

Script = Callable[[Assignment], list[Said | Ended]]


def progress(a: Assignment, *marks: int) -> Said:
    return Said(a.run, Update([row(mark) for mark in marks], checkpoint(marks[-1]), network_steps=10 * marks[-1]))


def success(a: Assignment, *marks: int) -> Said:
    return Said(a.run, Update([row(mark) for mark in marks], None, result(), network_steps=1000))


class Scripted:
    """An executor that says what a script says: `scripts[k]` for the k-th assignment, the last one for all further."""

    def __init__(self, *scripts: Script, slots: int = 1) -> None:
        self.scripts, self.slots = scripts, slots
        self.started: list[Assignment] = []
        self.stopped: list[int] = []
        self.waiting: list[list[Said | Ended]] = []
        self.between: Callable[[], None] = lambda: None

    def start(self, assignment: Assignment) -> None:
        script = self.scripts[min(len(self.started), len(self.scripts) - 1)]
        self.started.append(assignment)
        self.waiting.append(script(assignment))

    def events(self, timeout: float) -> list[Said | Ended]:
        self.between()
        self.waiting = [events for events in self.waiting if events]
        return [events.pop(0) for events in self.waiting]

    def stop(self, run: int) -> None:
        self.stopped.append(run)
        self.waiting = [[e for e in events if e.run != run] for events in self.waiting]
        self.waiting.append([Ended(run, "stopped")])

    def close(self) -> None: ...


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    def claimed(self, run: StoredRun) -> None: ...
    def updated(self, run: StoredRun, update: Update) -> None: ...
    def ended(self, run: StoredRun, state: str, reason: str) -> None:
        self.ends.append((state, reason))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/evornn.db"


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(leasing, "BACK_OFF", 0.0)
    with open_store(url) as store:
        yield store


def queued(store: Store, count: int = 1) -> int:
    return store.submit({"name": "test"}, new_runs(count))


def worked(store: Store, job: int, executor: Scripted) -> list[tuple[str, str]]:
    heard = Heard()
    Dispatcher(store, executor, heard).work(job)
    return heard.ends


def test_runs_are_worked_off(store: Store) -> None:
    job, executor = queued(store, 5), Scripted(lambda a: [progress(a, 1, 2), success(a, 3)], slots=2)
    assert worked(store, job, executor) == [("succeeded", "")] * 5
    assert store.job(job).counts == {"succeeded": 5}
    assert [a.seed for a in executor.started] == [0, 1, 2, 3, 4]
    assert [r.mark for r in store.curve(1)] == [1, 2, 3]
    assert worked(store, job, executor) == []


def test_a_machine_dies_and_another_goes_on_from_the_checkpoint(store: Store) -> None:
    job = queued(store)
    dying: Script = lambda a: [progress(a, 1, 2), Ended(a.run, "machine", "WorkerCrashedError")]  # noqa: E731
    executor = Scripted(dying, lambda a: [progress(a, 2, 3), success(a, 4)])
    assert worked(store, job, executor) == [("released", "WorkerCrashedError"), ("succeeded", "")]
    marks = [a.checkpoint and a.checkpoint.mark for a in executor.started]
    assert marks == [None, 2]
    assert [r.mark for r in store.curve(1)] == [1, 2, 3, 4] and store.run(1).failures == 0


def test_a_run_that_kills_every_machine_fails(store: Store) -> None:
    job, executor = queued(store), Scripted(lambda a: [Ended(a.run, "machine", "OutOfMemoryError")])
    assert worked(store, job, executor)[-1] == ("failed", "OutOfMemoryError")
    assert len(executor.started) == dispatch.CRASHES + 1


def test_errors_are_tried_again_unless_that_is_useless(store: Store) -> None:
    job, executor = (
        queued(store, 2),
        Scripted(
            lambda a: (
                [Ended(a.run, "error", "disk", retry=True)] if a.seed else [Ended(a.run, "error", "bad", retry=False)]
            )
        ),
    )
    ends = worked(store, job, executor)
    assert sorted(ends) == [("failed", "bad"), ("failed", "disk"), ("queued", "disk"), ("queued", "disk")]
    assert store.job(job).counts == {"failed": 2} and store.run(1).error == "bad"


def test_an_error_that_goes_away_is_forgotten(store: Store) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [progress(a, 1), Ended(a.run, "error", "disk")], lambda a: [success(a, 2)])
    assert [state for state, _ in worked(store, job, executor)] == ["queued", "succeeded"]
    assert store.run(1).state == "succeeded" and store.run(1).error is None


def test_a_zombie_is_fenced_and_stopped(store: Store, url: str) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2)], lambda a: [success(a, 1)])
    taken: list[Any] = []

    def take_away() -> None:
        if not taken and store.run(1).mark == 1:
            store.release_owner(own_name())
            taken.append(store.claim("another:1:1"))
            store.record(1, taken[0].lease, [row(2)], checkpoint(2))
            store.finish(1, taken[0].lease, result(), [row(3)])

    executor.between = take_away
    (state, reason), *rest = worked(store, job, executor)
    assert state == "lost" and "another worker has the run" in reason and rest == []
    assert executor.stopped == [1] and len(executor.started) == 1
    assert [r.mark for r in store.curve(1)] == [1, 2, 3] and store.run(1).state == "succeeded"


def test_a_lease_that_ran_out_here_is_renewed_and_nothing_starts_twice(store: Store) -> None:
    job = queued(store)
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2), success(a, 3)], slots=2)
    aside: list[list[list[Said | Ended]]] = []

    def suspended() -> None:
        """The lease runs out; the run's next word comes a round later."""
        if store.run(1).mark == 1 and not aside:
            store.release_owner(own_name())
            aside.append(executor.waiting)
            executor.waiting = []
        elif aside and aside[0]:
            executor.waiting, aside[0] = aside[0], []

    executor.between = suspended
    assert worked(store, job, executor) == [("succeeded", "")]
    assert len(executor.started) == 1 and store.run(1).lease == 2


def test_a_recomputed_row_that_differs_fails_the_run(store: Store) -> None:
    job = queued(store)
    other = Update([row(1, valid=0.123)], checkpoint(1))
    executor = Scripted(
        lambda a: [progress(a, 1), Ended(a.run, "machine")], lambda a: [Said(a.run, other), success(a, 2)]
    )
    ends = worked(store, job, executor)
    assert ends[-1][0] == "failed" and "recomputed valid" in ends[-1][1] and executor.stopped == [1]
    assert [r.valid for r in store.curve(1)] == [row(1).valid]


def test_cancelling(store: Store) -> None:
    job = queued(store, 3)
    executor = Scripted(lambda a: [progress(a, mark) for mark in range(1, 10)])
    executor.between = lambda: store.cancel(job=job) if store.run(1).mark == 2 else None  # type: ignore[assignment,return-value,func-returns-value]
    worked(store, job, executor)
    assert store.job(job).counts == {"cancelled": 3} and executor.stopped == [1]
    assert len(store.curve(1)) in (2, 3)


def test_a_silent_run_keeps_its_lease_and_its_progress(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "HEARTBEAT", -1.0)
    job, leases, steps = queued(store), [], []
    executor = Scripted(lambda a: [progress(a, 3)])

    def silence() -> None:
        leases.append(store.run(1).lease_until or 0.0)
        steps.append(store.run(1).network_steps)
        if len(leases) == 6:
            executor.waiting.append([success(executor.started[0], 4)])

    executor.between = silence
    worked(store, job, executor)
    assert leases == sorted(leases) and leases[-1] > leases[0] and steps[2:] == [30] * 4


def test_the_runs_of_a_dead_dispatcher_are_taken_over(store: Store) -> None:
    job = queued(store, 2)
    assert store.claim(gone(), lease_seconds=1000.0)
    executor = Scripted(lambda a: [success(a, 1)])
    worked(store, job, executor)
    assert store.job(job).counts == {"succeeded": 2}


def test_the_runs_of_a_living_dispatcher_are_waited_for(store: Store) -> None:
    job = queued(store, 2)
    claim = store.claim("elsewhere:1:1.00", lease_seconds=1000.0)
    assert claim is not None
    executor = Scripted(lambda a: [success(a, 1)])
    seen: list[int] = []

    def finish() -> None:
        seen.append(len(executor.started))
        if len(seen) == 5:
            store.finish(1, claim.lease, result(), [row(1)])

    executor.between = finish
    worked(store, job, executor)
    assert len(seen) == 5 and [a.run for a in executor.started] == [2]


def test_an_interrupt_gives_the_runs_back(store: Store) -> None:
    job = queued(store, 3)
    executor = Scripted(lambda a: [progress(a, 1), progress(a, 2)], slots=2)

    def interrupt() -> None:
        if store.run(2).mark == 1:
            raise KeyboardInterrupt

    executor.between = interrupt
    heard = Heard()
    with pytest.raises(KeyboardInterrupt):
        Dispatcher(store, executor, heard).work(job)
    assert executor.stopped == [1, 2] and heard.ends == [("released", "interrupted")] * 2
    assert store.job(job).counts == {"queued": 3} and store.live_owners() == []
    executor.between, executor.scripts = (lambda: None), (lambda a: [success(a, 2)],)
    worked(store, job, executor)
    assert store.job(job).counts == {"succeeded": 3}


def test_a_store_that_fails_is_the_error_that_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job, executor = queued(store, 2), Scripted(lambda a: [progress(a, 1)], slots=2)

    def full(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    for name in ("record", "release"):
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
            assert origin is not None and origin.spread == 0.25
            np.testing.assert_array_equal(origin.genome, result().genome)
        else:
            assert executor.started == [] and "77" in reason


def test_what_an_executor_cannot_do_fails_the_run_alone(store: Store) -> None:
    job = queued(store, 2)

    def script(a: Assignment) -> list[Said | Ended]:
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
            Dispatcher(own, executors[k], Heard(), owner=f"elsewhere{k}:1:1.00").work(job)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.run for executor in executors for a in executor.started) == list(range(1, 13))
    assert store.job(job).counts == {"succeeded": 12}


# ---- whose process is dead -----------------------------------------------------------------------------------------


def gone() -> str:
    """The name of a dispatcher whose process has ended."""
    code = "from evornn.service.owner import own_name; print(own_name())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_dead_process_is_told_from_a_living_one() -> None:
    host, pid, start = own_name().rsplit(":", 2)
    assert not is_dead(own_name())
    assert is_dead(f"{host}:{pid}:{float(start) - 10:.2f}")  # a later process with the same pid
    assert not is_dead(f"elsewhere:{pid}:1.00")
    assert is_dead(gone())
    for name in ("", "worker", f"{host}:x:1.0", f"{host}:{pid}:x", f"{socket.gethostname()}:-3:1.0"):
        assert not is_dead(name)


def test_a_zombie_process_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        process = psutil.Process(child.pid)
        name = f"{socket.gethostname()}:{child.pid}:{process.create_time():.2f}"
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert is_dead(name)


# ---- executors -----------------------------------------------------------------------------------------------------

SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "cma_es", "population": 6}],
    "seeds": 2,
    "budget": {"steps": 30_000, "marks": 5},
}
ENDLESS = {"steps": 10**12, "marks": 10**6}


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Ray starts once."""
    if request.param == "local":
        local = LocalExecutor()
        yield local
        local.close()
        return
    from evornn.workers import cluster

    with cluster.executor(workers=2) as working:
        yield working


def assignment(run: int, **changes: Any) -> Assignment:
    spec = experiment({**SPEC, **{k: v for k, v in changes.items() if k in SPEC}})
    first = plan(spec)[0]
    values = {
        "fragments": first.fragments,
        "seed": first.seed,
        "budget": first.budget,
        "checkpoint": None,
        "origin": None,
    }
    return Assignment(run, **{**values, **{k: v for k, v in changes.items() if k in values}})  # type: ignore[arg-type]


def heard(executor: Executor, run: int, until: Callable[[Said | Ended], bool]) -> list[Said | Ended]:
    """Events of a run up to the first that is waited for."""
    events: list[Said | Ended] = []
    while True:
        for event in executor.events(0.2):
            if event.run == run:
                events.append(event)
                if until(event):
                    return events


def last(event: Said | Ended) -> bool:
    return isinstance(event, Ended) or event.update.result is not None


def test_a_run_is_computed_to_its_end(executor: Executor) -> None:
    asked = assignment(1)
    executor.start(asked)
    updates = [event.update for event in heard(executor, 1, last) if isinstance(event, Said)]
    expected = list(execute(asked.fragments, asked.seed, asked.budget))[-1].result
    found = updates[-1].result
    assert found is not None and expected is not None and executor.slots >= 1
    assert found.genome.tobytes() == expected.genome.tobytes() and found.hits == expected.hits
    assert [r.mark for update in updates for r in update.rows] == [1, 2, 3, 4, 5]


def test_a_run_goes_on_from_a_checkpoint(executor: Executor) -> None:
    asked = assignment(2, budget={**ENDLESS, "steps": 10**8, "marks": 10**4})
    executor.start(asked)
    first = heard(executor, 2, lambda event: isinstance(event, Said) and event.update.checkpoint is not None)[-1]
    executor.stop(2)
    assert heard(executor, 2, last)[-1] == Ended(2, "stopped")
    assert isinstance(first, Said) and first.update.checkpoint is not None
    executor.start(assignment(2, budget=asked.budget, checkpoint=first.update.checkpoint))
    again = heard(executor, 2, lambda event: isinstance(event, Said) and bool(event.update.rows))[-1]
    assert isinstance(again, Said) and again.update.rows[0].mark > first.update.rows[-1].mark
    executor.stop(2)
    heard(executor, 2, last)


def test_errors_come_as_words(executor: Executor) -> None:
    executor.start(assignment(3, fragments={**assignment(3).fragments, "network": {"kind": "elmann"}}))
    (end,) = heard(executor, 3, last)
    assert end == Ended(3, "error", "unknown network 'elmann': did you mean 'elman'?", retry=False)
    executor.start(assignment(4, seed="no number"))
    (end,) = heard(executor, 4, last)
    assert isinstance(end, Ended) and end.cause == "error" and end.retry and "Error: " in end.reason


def test_a_run_is_stopped_by_force_and_others_go_on(executor: Executor) -> None:
    executor.start(assignment(5, budget=ENDLESS))
    executor.start(assignment(6))
    if executor.slots > 1:
        heard(executor, 6, last)
    executor.stop(5)
    assert heard(executor, 5, lambda event: isinstance(event, Ended))[-1] == Ended(5, "stopped")
    if executor.slots == 1:
        heard(executor, 6, last)
    executor.stop(5)  # has ended: nothing happens


def test_a_job_through_an_executor(executor: Executor, store: Store) -> None:
    job = submit(store, SPEC)
    Dispatcher(store, executor, Heard()).work(job)
    assert store.job(job).counts == {"succeeded": 2}
    for run in store.runs(job=job):
        end = list(execute(run.fragments, run.seed, run.budget))[-1].result
        assert end is not None and store.champion(run.id).tobytes() == end.genome.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray"], indirect=True)
def test_a_dead_worker_is_a_dead_machine(executor: Executor) -> None:
    executor.start(assignment(8, budget=ENDLESS))
    heard(executor, 8, lambda event: isinstance(event, Said))
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any("run 8" in word for word in process.cmdline()):
                process.kill()
    end = heard(executor, 8, last)[-1]
    assert isinstance(end, Ended) and end.cause == "machine" and end.retry


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray"], indirect=True)
def test_what_no_machine_has_is_refused(executor: Executor) -> None:
    wanted = {**assignment(9).fragments, "resources": {"cpus": 3, "gpus": 0}}
    with pytest.raises(Exception, match=r"no machine has 3 CPUs .* \(at most 2 CPUs\): lower resources.cpus"):
        executor.start(assignment(9, fragments=wanted))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray"], indirect=True)
def test_nothing_to_wait_for_is_waited_for(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a dispatcher that waits for others would keep the database busy."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for _ in range(20):  # the first ones may still bring the ends of earlier runs
        executor.events(0.125)
    assert slept and set(slept) == {0.125}
