"""Child processes: each has a pipe to its parent, is restarted after its end, and ends with its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from evornn.service.backoff import Backoff


class ChildProcess:
    """A new interpreter that runs `serve(pipe, *arguments)`; its `pipe` is the other end of the parent's.

    Args:
        serve: A function of a module. When it returns or raises, the process ends.
        arguments: Picklable values.
    """

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(serve, theirs, arguments), daemon=True)
        self._process.start()
        theirs.close()  # so that `pipe` ends with the process

    @property
    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process.is_alive()

    def join(self, seconds: float) -> None:
        """Wait until it ends by itself, but no longer than this."""
        self._process.join(seconds)

    def kill(self) -> None:
        """End it, whatever it is doing, and wait for its end."""
        self._process.kill()
        self._process.join()


Child = TypeVar("Child", bound=ChildProcess)


class Supervisor(Generic[Child]):
    """Keeps one child process running.

    Args:
        start: Starts the child process.
        shortest: Seconds between the end of a child and the start of the next one.
        longest: The same at most, while children keep ending before they are confirmed.
    """

    def __init__(self, start: Callable[[], Child], shortest: float = 0.0, longest: float = 0.0) -> None:
        self.child: Child | None = None
        self._start, self._backoff = start, Backoff(time.monotonic, shortest, longest)

    def ensure(self) -> Child | None:
        """The child, which is started if none is alive; None during the pause after the end of the last one."""
        if self.child is not None and not self.child.is_alive:
            self.discard()
        if self.child is None and not self._backoff.time_left:
            self.child = self._start()
        return self.child

    def confirm(self) -> None:
        """Report that the child works: the pause after its end will be the shortest."""
        self._backoff.reset()

    def discard(self) -> float:
        """End the child. Returns the seconds until the next one may start."""
        if self.child is not None:
            self.child.kill()
        self.child = None
        self._backoff.back_off()
        return self._backoff.time_left


def _run(serve: Callable[..., None], pipe: Connection, arguments: tuple[Any, ...]) -> None:
    """The child process."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the parent; not SIG_IGN, which children inherit
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent has closed the pipe
        serve(pipe, *arguments)


def _exit_with_parent() -> None:
    """End this process together with its parent, even in the middle of a computation."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
