"""An executor without a cluster: one thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from evornn.service.executors.execution import perform
from evornn.service.executors.executor import Assignment, Attempt, EndEvent, ExecutorEvent, ResourceSet, is_final
from evornn.service.executors.machines import this_machine
from evornn.store.records import Machine


class LocalExecutor:
    """Computes one run after the other in this process. For a machine without Ray, and for tests.

    A thread can't be ended by force: a stopped run ends after the current step of its trainer.
    """

    def __init__(self) -> None:
        self._events: SimpleQueue[ExecutorEvent] = SimpleQueue()
        self._queue: SimpleQueue[tuple[Assignment, threading.Event] | None] = SimpleQueue()
        self._stop_flags: dict[Attempt, threading.Event] = {}  # of queued and running attempts
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def available_resources(self) -> ResourceSet:
        """One run at a time, whatever it needs."""
        return ResourceSet(0, 0) if self._stop_flags else ResourceSet(1, 1)

    @property
    def machines(self) -> list[Machine]:
        """This machine, of which a run takes one CPU."""
        return [this_machine(cpus_used=min(len(self._stop_flags), 1))]

    def start(self, assignment: Assignment) -> None:
        stop = self._stop_flags[assignment.attempt] = threading.Event()
        self._queue.put((assignment, stop))

    def events(self, timeout: float) -> list[ExecutorEvent]:
        try:
            events = [self._events.get(timeout=timeout)]
        except Empty:
            return []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        stop = self._stop_flags.get(attempt)
        if stop is not None:
            stop.set()

    def close(self) -> None:
        for stop in list(self._stop_flags.values()):
            stop.set()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        for assignment, stop in iter(self._queue.get, None):
            for event in execute_interruptibly(stop, assignment):
                if is_final(event):  # free the slot before anyone sees the event
                    del self._stop_flags[assignment.attempt]
                self._events.put(event)


def execute_interruptibly(stop: threading.Event, assignment: Assignment) -> Iterator[ExecutorEvent]:
    """The events of a run, up to its own last one or the one that says that it was stopped."""
    events = perform(assignment)
    while not stop.is_set():
        event = next(events)
        if stop.is_set():
            break
        yield event
        if is_final(event):
            return
    yield EndEvent(assignment.attempt, "stopped")
