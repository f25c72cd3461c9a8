"""The clock of a run: it stands still while this process does, on a machine that sleeps or after SIGSTOP.

A thread of its own looks at the time twice a second. Where it comes late by seconds in which the process used no
processor, nothing was computed. A step that holds Python's lock for as long is computing, since it uses a processor; so
is one that waits for other processes, during which the thread is on time.
"""

from __future__ import annotations

import os
import threading
import time

PULSE = 0.5  # seconds between two looks
STILL = 2.0  # seconds that a look must come late
IDLE = 0.1  # processor time of a process that stood still, at most, as a share of the gap


class Clock:
    """Seconds without gaps in which the process stood still."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost = 0.0
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def now(self) -> float:
        """Seconds; only differences mean something."""
        with self._lock:
            wall, cpu = time.perf_counter(), time.process_time()
            gap = wall - self._wall - PULSE
            if gap > STILL and cpu - self._cpu < IDLE * gap:
                self._lost += gap
            self._wall, self._cpu = wall, cpu
            return wall - self._lost

    def start(self) -> None:
        """Look at the time for as long as the process lives."""
        threading.Thread(target=self._look, name="clock", daemon=True).start()

    def _look(self) -> None:
        while True:
            time.sleep(PULSE)
            self.now()


_clocks: dict[int, Clock] = {}  # by process: threads don't live on in a fork


def computing_time() -> float:
    """Seconds in which this process could compute; only differences mean something."""
    clock = _clocks.get(os.getpid())
    if clock is None:
        clock = _clocks[os.getpid()] = Clock()
        clock.start()
    return clock.now()
