"""An executor that follows a script and says what time it is, for tests of the dispatcher: nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from executors import EndRecorder
from stores import checkpoint, new_runs, result, row

from evornn.service.dispatch.dispatcher import Dispatcher
from evornn.service.executors.executor import (
    Assignment,
    Attempt,
    EndEvent,
    ExecutorEvent,
    ProgressEvent,
    ResourceSet,
    is_final,
)
from evornn.store.records import Machine
from evornn.store.store import Store
from evornn.training.records import Update

Script = Callable[[Assignment], list[ExecutorEvent]]


def progress(a: Assignment, *marks: int) -> ProgressEvent:
    return ProgressEvent(
        a.attempt, Update([row(mark) for mark in marks], checkpoint(marks[-1]), network_steps=10 * marks[-1])
    )


def success(a: Assignment, *marks: int) -> ProgressEvent:
    return ProgressEvent(a.attempt, Update([row(mark) for mark in marks], None, result(), network_steps=1000))


def ended(a: Assignment, cause: Any, reason: str = "", retry: bool = True) -> EndEvent:
    return EndEvent(a.attempt, cause, reason, retry)


class Scripted:
    """An executor that says what a script says: `scripts[k]` for the k-th assignment, the last one for all further.

    Each call of `events` takes `tick` seconds of its clock and brings one word of every run.
    """

    def __init__(self, *scripts: Script, slots: int = 1, gpus: int | None = None, tick: float = 0.6) -> None:
        self.scripts, self.slots, self.gpus, self.tick, self.now = scripts, slots, gpus, tick, 1000.0
        self.started: list[Assignment] = []
        self.asked: list[int] = []
        self.stopped: list[int] = []
        self.waiting: list[list[ExecutorEvent]] = []
        self.live: dict[Attempt, Assignment] = {}
        self.deaf = False  # runs don't hear when they are asked to stop
        self.between: Callable[[], None] = lambda: None

    @property
    def available_resources(self) -> ResourceSet:
        needs = [a.shard_resources for a in self.live.values()]
        cpus = self.slots - sum(need.cpus for need in needs)
        return ResourceSet(cpus, cpus if self.gpus is None else self.gpus - sum(need.gpus for need in needs))

    @property
    def machines(self) -> list[Machine]:
        return [Machine("a1", "node", self.slots, len(self.live), memory=2**30)]

    def clock(self) -> float:
        return self.now

    def start(self, assignment: Assignment) -> None:
        script = self.scripts[min(len(self.started), len(self.scripts) - 1)]
        self.started.append(assignment)
        self.waiting.append(script(assignment))
        self.live[assignment.attempt] = assignment

    def events(self, timeout: float) -> list[ExecutorEvent]:
        self.now += self.tick
        self.between()
        self.waiting = [events for events in self.waiting if events]
        found = [events.pop(0) for events in self.waiting]
        for event in found:
            if is_final(event):
                self.live.pop(event.attempt, None)
        return found

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        (self.stopped if force else self.asked).append(attempt.run)
        if force or not self.deaf:
            self.waiting = [[e for e in events if e.attempt != attempt] for events in self.waiting]
            self.waiting.append([EndEvent(attempt, "stopped")])

    def close(self) -> None: ...


def queued(store: Store, count: int = 1) -> int:
    return store.submit({"name": "test"}, new_runs(count))


def worked(store: Store, job: int | None, executor: Scripted, **options: Any) -> list[tuple[str, str]]:
    heard = EndRecorder()
    Dispatcher(store, executor, heard, clock=executor.clock, **options).work(job)
    return heard.ends
