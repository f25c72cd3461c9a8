"""Computing time: what a machine sleeps, or a process is stopped, is not part of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from evornn.training import clock
from evornn.training.clock import Clock


class Times:
    """The two clocks of a process, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.cpu = 100.0
        monkeypatch.setattr(clock.time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(clock.time, "process_time", lambda: self.cpu)

    def run(self, wall: float, cpu: float) -> None:
        self.wall, self.cpu = self.wall + wall, self.cpu + cpu


@pytest.mark.parametrize(("wall", "cpu", "counted"), [
    (3600, 0.01, clock.PULSE),  # asleep
    (10, 0.0, clock.PULSE),  # stopped
    (10, 9.9, 10),  # a step that held Python's lock
    (10, 1.2, 10),  # one that had to share the processors
    (2, 0.0, 2),  # a little late
    (0.5, 0.5, 0.5),
])  # fmt: skip
def test_time_in_which_the_process_stood_still_is_not_counted(
    wall: float, cpu: float, counted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times(monkeypatch)
    stopwatch = Clock()
    before = stopwatch.now()
    times.run(wall, cpu)
    assert stopwatch.now() - before == pytest.approx(counted)
    times.run(1, 1)
    assert stopwatch.now() - before == pytest.approx(counted + 1)


def test_waiting_for_other_processes_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread looks at the time meanwhile."""
    times = Times(monkeypatch)
    stopwatch = Clock()
    before = stopwatch.now()
    for _ in range(20):
        times.run(clock.PULSE, 0.0)
        after = stopwatch.now()
    assert after - before == pytest.approx(20 * clock.PULSE)


WORK = """
import time
from evornn.training.clock import computing_time
first, began = computing_time(), time.perf_counter()
print("ready", flush=True)
while time.perf_counter() - began < 4.5:
    sum(range(10_000))
print(computing_time() - first, time.perf_counter() - began)
"""


def test_a_process_that_is_stopped_does_not_compute() -> None:
    """Nor does it stop by `budget.seconds` because of that."""
    with subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        computed, passed = map(float, process.stdout.read().split())
    assert passed - computed > 3, (computed, passed)
