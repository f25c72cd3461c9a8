"""An executor without a cluster: one thread of this process."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Event, Thread

from evornn.service.executor import Assignment, Ended, Said
from evornn.service.perform import perform


class LocalExecutor:
    """Computes one run at a time, here. For a machine without Ray, and for tests."""

    slots = 1

    def __init__(self) -> None:
        self._said: SimpleQueue[Said | Ended] = SimpleQueue()
        self._stop: dict[int, Event] = {}
        self._threads: list[Thread] = []

    def start(self, assignment: Assignment) -> None:
        self._stop[assignment.run] = Event()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(Thread(target=self._work, args=(assignment, self._stop[assignment.run]), daemon=True))
        self._threads[-1].start()

    def events(self, timeout: float) -> list[Said | Ended]:
        try:
            found = [self._said.get(timeout=timeout)]
        except Empty:
            return []
        while not self._said.empty():
            found.append(self._said.get())
        return found

    def stop(self, run: int) -> None:
        self._stop[run].set()

    def close(self) -> None:
        for stop in self._stop.values():
            stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, assignment: Assignment, stop: Event) -> None:
        for event in perform(assignment):
            if stop.is_set():
                self._said.put(Ended(assignment.run, "stopped"))
                return
            self._said.put(event)
