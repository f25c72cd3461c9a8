"""Deletes in the background what users have deleted, and what killed submissions have left."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread

from evornn.errors import EvornnError
from evornn.store.store import Store

PAUSE_SECONDS = 30.0


class Sweeper:
    """A thread that sweeps a store, now and then and when it is woken.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._woken, self._stopped = Event(), Event()
        self._thread = Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Sweep soon: there is something to do."""
        self._woken.set()

    def stop(self) -> None:
        """End, after the portion under way."""
        self._stopped.set()
        self._woken.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            with suppress(EvornnError):  # the database can't be reached: the next time
                while not self._stopped.is_set() and self.store.sweep():
                    pass
            self._woken.wait(PAUSE_SECONDS)
            self._woken.clear()
