"""An executor without a cluster: one thread of this process."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Event, Thread

from evornn.service.executor import Assignment, Ended, Said
from evornn.service.perform import perform


class LocalExecutor:
    """Computes one run after the other, here. For a machine without Ray, and for tests."""

    slots = 1

    def __init__(self) -> None:
        self._said: SimpleQueue[Said | Ended] = SimpleQueue()
        self._waiting: SimpleQueue[tuple[Assignment, Event] | None] = SimpleQueue()
        self._stop: dict[int, Event] = {}
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def start(self, assignment: Assignment) -> None:
        self._stop[assignment.run] = Event()
        self._waiting.put((assignment, self._stop[assignment.run]))

    def events(self, timeout: float) -> list[Said | Ended]:
        try:
            found = [self._said.get(timeout=timeout)]
        except Empty:
            return []
        while not self._said.empty():
            found.append(self._said.get())
        return found

    def stop(self, run: int) -> None:
        if run in self._stop:
            self._stop[run].set()

    def close(self) -> None:
        for stop in self._stop.values():
            stop.set()
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        for assignment, stop in iter(self._waiting.get, None):
            self._perform(assignment, stop)

    def _perform(self, assignment: Assignment, stop: Event) -> None:
        for event in perform(assignment):
            if stop.is_set():
                self._said.put(Ended(assignment.run, "stopped"))
                return
            self._said.put(event)
