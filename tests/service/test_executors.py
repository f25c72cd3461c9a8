"""One contract for every executor: this process, another one, Ray; and how to tell a dead process from a living one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from executors import EndRecorder, dead_identity, in_subprocess, in_this_process

from evornn.errors import EvornnError
from evornn.experiments.execute import execute
from evornn.experiments.spec import parse_spec, plan
from evornn.service.dispatch import dispatcher, process_identity
from evornn.service.dispatch.dispatcher import Dispatcher
from evornn.service.dispatch.process_identity import current_identity, is_dead
from evornn.service.executors import subprocess_executor
from evornn.service.executors.executor import (
    Assignment,
    Attempt,
    EndEvent,
    Executor,
    ExecutorEvent,
    ProgressEvent,
    ResourceSet,
    is_final,
)
from evornn.service.executors.local_executor import LocalExecutor
from evornn.service.service import submit
from evornn.store.records import StoredRun
from evornn.store.store import Store, open_store

SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "cma_es", "population": 6}],
    "seeds": 2,
    "budget": {"steps": 30_000, "marks": 5},
}
ENDLESS = {"steps": 10**12, "marks": 10**6}
SILENT = {  # a generation takes about two seconds
    **SPEC,
    "tasks": [{"kind": "adding", "length": 100, "train": 2000, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 64}],
    "trainers": [{"kind": "cma_es", "population": 120}],
    "seeds": 1,
    "budget": {"steps": 10**12, "marks": 2},
}


class Cancelling(EndRecorder):
    """Cancels the job as soon as a run is claimed."""

    def __init__(self, store: Store, job: int) -> None:
        super().__init__()
        self.store, self.job = store, job

    def on_claim(self, run: StoredRun) -> None:
        self.store.cancel(job=self.job)


@contextmanager
def on_ray() -> Iterator[Executor]:
    from evornn.workers import cluster

    with cluster.executor(workers=2) as working:
        yield working


KINDS = {
    "local": in_this_process,
    "ray": on_ray,
    "detached ray": partial(in_subprocess, on_ray),
}


def on(*kinds: str) -> pytest.MarkDecorator:
    """Other executors than those of the contract."""
    return pytest.mark.parametrize("executor", params(*kinds), indirect=True)


def params(*kinds: str) -> list[Any]:
    return [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "local")) for kind in kinds]


@pytest.fixture(scope="module", params=params("local", "detached ray"))
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Each starts once. The contract holds for this process and for Ray in another one, which dispatchers use: what can
    go wrong in another process, or in Ray, goes wrong there too."""
    with KINDS[request.param]() as working:  # type: ignore[operator]
        while working.available_resources.cpus <= 0:
            working.events(0.1)
        yield working


def attempt(run: int) -> Attempt:
    return Attempt(run, 1)


def assignment(run: int, **changes: Any) -> Assignment:
    spec = parse_spec({**SPEC, **{k: v for k, v in changes.items() if k in SPEC}})
    first = plan(spec)[0]
    values = {
        "fragments": first.fragments,
        "seed": first.seed,
        "budget": first.budget,
        "checkpoint": None,
        "origin": None,
    }
    return Assignment(attempt(run), **{**values, **{k: v for k, v in changes.items() if k in values}})  # type: ignore[arg-type]


def heard(executor: Executor, run: int, until: Callable[[ExecutorEvent], bool]) -> list[ExecutorEvent]:
    """Events of a run up to the first that is waited for."""
    events: list[ExecutorEvent] = []
    while True:
        for event in executor.events(0.2):
            if event.attempt.run == run:
                events.append(event)
                if until(event):
                    return events


@on("local", "ray", "detached ray")
def test_a_run_is_computed_to_its_end(executor: Executor) -> None:
    asked = assignment(1)
    executor.start(asked)
    updates = [event.update for event in heard(executor, 1, is_final) if isinstance(event, ProgressEvent)]
    expected = list(execute(asked.fragments, asked.seed, asked.budget))[-1].result
    found = updates[-1].result
    assert found is not None and expected is not None
    assert found.genome.tobytes() == expected.genome.tobytes() and found.hits == expected.hits
    assert [r.mark for update in updates for r in update.rows] == [1, 2, 3, 4, 5]


def test_a_run_goes_on_from_a_checkpoint(executor: Executor) -> None:
    asked = assignment(2, budget={**ENDLESS, "steps": 10**8, "marks": 10**4})
    executor.start(asked)
    first = heard(executor, 2, lambda event: isinstance(event, ProgressEvent) and event.update.checkpoint is not None)[
        -1
    ]
    executor.stop(attempt(2))
    assert heard(executor, 2, is_final)[-1] == EndEvent(attempt(2), "stopped")
    assert isinstance(first, ProgressEvent) and first.update.checkpoint is not None
    second = replace(asked, attempt=Attempt(2, 2), checkpoint=first.update.checkpoint)
    executor.start(second)
    again = heard(executor, 2, lambda event: isinstance(event, ProgressEvent) and bool(event.update.rows))[-1]
    assert isinstance(again, ProgressEvent) and again.update.rows[0].mark > first.update.rows[-1].mark
    executor.stop(second.attempt)
    heard(executor, 2, is_final)


def test_errors_come_as_words(executor: Executor) -> None:
    executor.start(assignment(3, fragments={**assignment(3).fragments, "network": {"kind": "elmann"}}))
    (end,) = heard(executor, 3, is_final)
    assert end == EndEvent(attempt(3), "error", "unknown network 'elmann': did you mean 'elman'?", retry=False)
    executor.start(assignment(4, seed="no number"))
    (end,) = heard(executor, 4, is_final)
    assert isinstance(end, EndEvent) and end.cause == "error" and end.retry and "Error: " in end.reason


@pytest.mark.parametrize("force", [True, False])
def test_a_run_is_stopped_and_others_go_on(executor: Executor, force: bool) -> None:
    parallel = executor.available_resources.cpus > 1
    executor.start(assignment(5, budget=ENDLESS))
    heard(executor, 5, lambda event: isinstance(event, ProgressEvent))
    executor.start(assignment(6))
    if parallel:
        heard(executor, 6, is_final)
    executor.stop(attempt(5), force)
    assert heard(executor, 5, is_final)[-1] == EndEvent(attempt(5), "stopped")
    if not parallel:
        heard(executor, 6, is_final)
    executor.stop(attempt(5), force)  # has ended: nothing happens
    executor.start(assignment(7))
    heard(executor, 7, is_final)


def test_a_run_is_stopped_before_it_begins(executor: Executor) -> None:
    """More runs than fit: the last one waits."""
    endless = [assignment(run, budget=ENDLESS) for run in (21, 22, 23)]
    for asked in endless:
        executor.start(asked)
    for asked in reversed(endless):
        executor.stop(asked.attempt)
    ends: list[ExecutorEvent] = []
    while len(ends) < 3:
        ends += [event for event in executor.events(0.2) if is_final(event)]
    assert {event.attempt: event for event in ends} == {a.attempt: EndEvent(a.attempt, "stopped") for a in endless}


@on("ray")
def test_a_run_is_stopped_at_the_moment_it_begins(executor: Executor) -> None:
    """Ray may call a stream ready whose run, cancelled too late, goes on: nothing must wait for its next word."""
    for k in range(40):
        asked = assignment(100 + k, budget=ENDLESS)
        executor.start(asked)
        time.sleep(k * 0.0005)
        executor.stop(asked.attempt)
        assert heard(executor, 100 + k, is_final)[-1] == EndEvent(asked.attempt, "stopped")


def test_there_is_room_again_when_a_run_has_ended(executor: Executor) -> None:
    before = executor.available_resources
    executor.start(assignment(24))
    assert executor.available_resources.cpus < before.cpus
    heard(executor, 24, is_final)
    while executor.available_resources != before:
        executor.events(0.05)


def test_it_tells_of_its_machines(executor: Executor) -> None:
    until(executor, lambda: sum(machine.cpus_used for machine in executor.machines) == 0)
    (machine,) = executor.machines
    assert machine.cpus >= 1 and machine.memory is not None and 0 < (machine.memory_used or 0) < machine.memory
    executor.start(assignment(21, budget=ENDLESS))
    until(executor, lambda: executor.machines[0].cpus_used == 1)
    executor.stop(attempt(21))
    until(executor, lambda: executor.machines[0].cpus_used == 0)


def until(executor: Executor, true: Callable[[], bool]) -> None:
    """Listen until something is true."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, executor.machines
        executor.events(0.1)


def test_a_job_through_an_executor(executor: Executor, tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        job = submit(store, SPEC)
        Dispatcher(store, executor, EndRecorder()).work(job)
        assert store.job(job).counts == {"succeeded": 2}
        for run in store.runs(job=job):
            end = list(execute(run.fragments, run.seed, run.budget))[-1].result
            assert end is not None and store.champion(run.id).tobytes() == end.genome.tobytes()


def test_a_run_that_hears_nothing_is_cancelled(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent in one long trainer step: the store says cancelled while it may still be at it."""
    monkeypatch.setattr(dispatcher, "STOP_TIMEOUT", 0.3)
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        job = submit(store, SILENT)
        listener = Cancelling(store, job)
        Dispatcher(store, executor, listener).work(job)
        assert store.job(job).counts == {"cancelled": 1} and [state for state, _ in listener.ends] == ["cancelled"]
    while executor.available_resources.cpus <= 0:
        executor.events(0.1)


@on("ray")
def test_a_dead_worker_is_a_dead_machine(executor: Executor) -> None:
    executor.start(assignment(8, budget=ENDLESS))
    heard(executor, 8, lambda event: isinstance(event, ProgressEvent))
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any("run 8" in word for word in process.cmdline()):
                process.kill()
    end = heard(executor, 8, is_final)[-1]
    assert isinstance(end, EndEvent) and end.cause == "machine" and end.retry


@on("ray")
@pytest.mark.parametrize(("cpus", "gpus"), [(3, 0), (1, 1)])
def test_what_no_machine_has_is_refused(executor: Executor, cpus: int, gpus: int) -> None:
    wanted = {**assignment(9).fragments, "resources": {"cpus": cpus, "gpus": gpus}}
    executor.start(assignment(9, fragments=wanted))
    (end,) = heard(executor, 9, is_final)
    assert isinstance(end, EndEvent) and end.cause == "error" and not end.retry
    refusal = f"resources: no machine has {cpus} CPUs and {gpus} GPUs for a run (at most 2 CPUs): lower resources.cpus"
    assert end.reason.startswith(refusal)


@on("ray")
def test_nothing_to_wait_for_is_waited_for(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a dispatcher that waits for others would keep the database busy."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for _ in range(20):  # the first ones may still bring the ends of earlier runs
        executor.events(0.125)
    assert slept and set(slept) == {0.125}


# ---- another process ------------------------------------------------------------------------------------------------


def test_a_lost_process_ends_its_runs_and_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess_executor, "RESTART_DELAY", (0.01, 0.01))
    others = set(psutil.Process().children())  # of executors that other tests keep
    with in_subprocess(in_this_process) as executor:
        for run in (31, 32):
            executor.start(assignment(run, budget=ENDLESS))
        heard(executor, 31, lambda event: isinstance(event, ProgressEvent))
        new = set(psutil.Process().children()) - others
        (child,) = [process for process in new if "spawn_main" in " ".join(process.cmdline())]
        child.kill()
        lost: list[ExecutorEvent] = []
        while len(lost) < 2:
            lost += [event for event in executor.events(0.1) if is_final(event)]
        assert [(e.attempt.run, e.cause) for e in lost if isinstance(e, EndEvent)] == [(31, "cluster"), (32, "cluster")]
        assert executor.available_resources == ResourceSet(0, 0)
        while executor.available_resources.cpus <= 0:
            executor.events(0.1)
        executor.start(assignment(33))
        heard(executor, 33, is_final)


@contextmanager
def nowhere() -> Iterator[Executor]:
    raise EvornnError("no Ray cluster at nowhere:1")
    yield LocalExecutor()


def test_a_cluster_that_is_not_there_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subprocess_executor, "RESTART_DELAY", (0.01, 0.02))
    with in_subprocess(nowhere) as executor:
        while len(caplog.records) < 2:
            assert executor.events(0.1) == [] and executor.available_resources == ResourceSet(0, 0)
    assert {record.message.partition(":1")[0] for record in caplog.records} == {"no Ray cluster at nowhere"}


def test_the_process_goes_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, 'tests/support')\n"
        "import psutil; from executors import in_subprocess, in_this_process\n"
        "if __name__ == '__main__':\n"
        "    with in_subprocess(in_this_process) as executor:\n"
        "        print(*(p.pid for p in psutil.Process().children()), flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    gone, left = psutil.wait_procs(children, timeout=60)
    assert gone and not left


# ---- whose process is dead ------------------------------------------------------------------------------------------


def test_a_dead_process_is_told_from_a_living_one() -> None:
    machine, pid, start = current_identity().rsplit(":", 2)
    assert not is_dead(current_identity()) and int(pid) == os.getpid()
    assert is_dead(f"{machine}:{pid}:{start}0")  # a later process with the same pid
    assert not is_dead(f"elsewhere:{pid}:1")
    assert not is_dead(f"{socket.gethostname()}:{pid}:1")  # another container of the same host name
    assert is_dead(dead_identity())
    for name in ("", "worker", f"{machine}:x:1.0", f"{machine}:-3:1.0"):
        assert not is_dead(name)


def test_a_process_that_may_not_be_looked_at_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> psutil.Process:
        raise psutil.AccessDenied(pid)

    name = current_identity() + "0"
    monkeypatch.setattr(process_identity.psutil, "Process", refused)
    assert not is_dead(name)


def test_a_zombie_process_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        machine, start = current_identity().rsplit(":", 2)[0], process_identity._start_time(child.pid)
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert is_dead(f"{machine}:{child.pid}:{start}")
