"""A child process talks over its pipe, is started again after its end, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import psutil
import pytest

from evornn.service.child_process import ChildProcess, Supervisor
from evornn.service.helper_process import HelperProcess


def echo(pipe: Connection, greeting: str) -> None:
    """Greets, then sends back what it gets, up to "stop"."""
    pipe.send((greeting, os.getpid()))
    while (message := pipe.recv()) != "stop":
        pipe.send(message)


def compute(pipe: Connection) -> None:
    """Never looks at its pipe."""
    while True:
        sum(range(1000))


def start() -> ChildProcess:
    return ChildProcess(echo, "hello")


def pid(child: ChildProcess | None) -> int:
    """What the greeting says."""
    assert child is not None
    greeting, number = child.pipe.recv()
    assert greeting == "hello"
    return int(number)


@pytest.fixture
def child() -> Iterator[ChildProcess]:
    started = start()
    yield started
    started.kill()


def test_it_talks_and_ends_by_itself(child: ChildProcess) -> None:
    assert pid(child) != os.getpid()
    child.pipe.send([1, 2])
    assert child.pipe.recv() == [1, 2] and child.is_alive
    child.pipe.send("stop")
    child.join(30)
    assert not child.is_alive
    with pytest.raises(EOFError):
        child.pipe.recv()


def test_it_ends_when_its_parent_hangs_up(child: ChildProcess, capfd: pytest.CaptureFixture[str]) -> None:
    pid(child)
    child.pipe.close()
    child.join(30)
    assert not child.is_alive and capfd.readouterr().err == ""


def test_an_interrupt_of_the_terminal_is_not_for_it(child: ChildProcess) -> None:
    os.kill(pid(child), signal.SIGINT)
    child.pipe.send("still there")
    assert child.pipe.recv() == "still there"


def test_a_dead_child_has_a_successor() -> None:
    supervisor = Supervisor(start)
    child = supervisor.ensure()
    assert child is not None and supervisor.ensure() is child, "it lives"
    first = pid(child)
    os.kill(first, signal.SIGKILL)
    child.join(30)
    assert pid(supervisor.ensure()) != first
    assert supervisor.discard() == 0.0 and supervisor.child is None


class Stillborn:
    """A child that costs nothing."""

    is_alive = True

    def kill(self) -> None:
        self.is_alive = False


def test_pauses_grow_until_a_child_works(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    supervisor = Supervisor(Stillborn, 1.0, 2.0)  # type: ignore[type-var]
    pauses = []
    for _ in range(4):
        child = supervisor.ensure()
        assert child is not None
        pauses.append(supervisor.discard())
        assert not child.is_alive and supervisor.ensure() is None
        now += pauses[-1] - 0.01
        assert supervisor.ensure() is None
        now += 0.02
    assert pauses == [1.0, 1.5, 2.0, 2.0]
    supervisor.ensure()
    supervisor.confirm()
    assert supervisor.discard() == 1.0


@pytest.mark.parametrize("task", ["echo, 'hello'", "compute"])
def test_it_ends_with_its_parent_whatever_it_does(task: str) -> None:
    code = (
        "import sys, time; sys.path[:0] = ['tests/service']\n"
        "import psutil; from test_child_process import ChildProcess, compute, echo\n"
        "if __name__ == '__main__':\n"
        f"    child = ChildProcess({task}); time.sleep(2)\n"
        "    print(*(p.pid for p in psutil.Process().children()), flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(number)) for number in parent.stdout.readline().split()]
        parent.kill()
    gone, left = psutil.wait_procs(children, timeout=60)
    assert gone and not left


def test_a_helper_that_does_not_stay_has_a_process_for_each_call() -> None:
    helper = HelperProcess(stays=False)
    first, second = helper.call(os.getpid), helper.call(os.getpid)
    assert first != second
    assert not psutil.pid_exists(first) and not psutil.pid_exists(second)
    helper.close()
