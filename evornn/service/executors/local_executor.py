"""An executor without a cluster: one thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from evornn.service.executors.execution import perform
from evornn.service.executors.executor import Assignment, Attempt, Ended, Event, Room, is_last
from evornn.service.executors.machines import this_machine
from evornn.store.records import Machine


class LocalExecutor:
    """Computes one run after the other, here. For a machine without Ray, and for tests.

    A thread can't be ended by force: a stopped run ends with its trainer's step.
    """

    def __init__(self) -> None:
        self._said: SimpleQueue[Event] = SimpleQueue()
        self._waiting: SimpleQueue[tuple[Assignment, threading.Event] | None] = SimpleQueue()
        self._stop: dict[Attempt, threading.Event] = {}  # of what is under way
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def room(self) -> Room:
        """One run at a time, whatever it needs."""
        return Room(0, 0) if self._stop else Room(1, 1)

    @property
    def machines(self) -> list[Machine]:
        """This one, of which a run takes one CPU."""
        return [this_machine(cpus_used=min(len(self._stop), 1))]

    def start(self, assignment: Assignment) -> None:
        stop = self._stop[assignment.attempt] = threading.Event()
        self._waiting.put((assignment, stop))

    def events(self, timeout: float) -> list[Event]:
        try:
            found = [self._said.get(timeout=timeout)]
        except Empty:
            return []
        while not self._said.empty():
            found.append(self._said.get())
        return found

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        stop = self._stop.get(attempt)
        if stop is not None:
            stop.set()

    def close(self) -> None:
        for stop in list(self._stop.values()):
            stop.set()
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        for assignment, stop in iter(self._waiting.get, None):
            for event in stopped_by(stop, assignment):
                if is_last(event):  # there is room again before anybody hears of it
                    del self._stop[assignment.attempt]
                self._said.put(event)


def stopped_by(stop: threading.Event, assignment: Assignment) -> Iterator[Event]:
    """Events of a run up to its last one, which says so if it was stopped."""
    events = perform(assignment)
    while not stop.is_set():
        event = next(events)
        if stop.is_set():
            break
        yield event
        if is_last(event):
            return
    yield Ended(assignment.attempt, "stopped")
