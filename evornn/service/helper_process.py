"""A process beside this one for what takes long or may go wrong: checking a stranger's spec loads data of any size,
comparing computes for seconds. It is limited in memory, ended when it takes too long, started again when it died."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

from evornn.errors import EvornnError

T = TypeVar("T")
MEMORY = 4 * 2**30  # bytes of data that the helper may hold
SECONDS = 60.0  # for one call
START = 60.0  # seconds more for the first one, which imports
MAX_PENDING = 16  # calls at once; further ones are told to come back
log = logging.getLogger(__name__)


class ServerBusy(EvornnError):
    """Too much is asked at once."""


class HelperProcess:
    """Calls functions elsewhere, one at a time. Functions, arguments and answers are those of this program."""

    def __init__(self, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self.memory, self.seconds = memory, seconds
        self._lock, self._slots = Lock(), BoundedSemaphore(MAX_PENDING)
        self._process: BaseProcess | None = None
        self._closed = False
        self._pipe: Connection | None = None

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`. Raises the EvornnError that it raises, or one that says that it took too much."""
        if not self._slots.acquire(blocking=False):
            raise ServerBusy("the server is busy with other specs and comparisons: try again in a few seconds")
        try:
            with self._lock:
                answer, error = self._exchange(function, arguments)
        finally:
            self._slots.release()
        if error is not None:
            raise error
        result: T = answer
        return result

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._kill()

    def _exchange(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> tuple[Any, EvornnError | None]:
        if self._closed:
            return None, ServerBusy("the server is ending: ask again when it is back")
        fresh = self._process is None or not self._process.is_alive()
        pipe = self._ensure_process()
        try:
            pipe.send((function, arguments))
            if pipe.poll(self.seconds + START * fresh):
                reply: tuple[Any, EvornnError | None] = pipe.recv()
                return reply
            problem = f"took longer than {self.seconds:g} s"
        except (EOFError, OSError):
            problem = "needs too much memory"
        self._kill()
        return None, EvornnError(
            f"this {problem} on the server: make it smaller, or run it on your machine, evornn run"
        )

    def _ensure_process(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            self._kill()
            context = multiprocessing.get_context("spawn")
            self._pipe, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other, self.memory), daemon=True)
            self._process.start()
            other.close()
        return self._pipe

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _serve(pipe: Connection, memory: int) -> None:
    """The process: until the other end is closed."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the server ends its helper
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments = pipe.recv()
            pipe.send(_answer(function, arguments))


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, EvornnError | None]:
    try:
        return function(*arguments), None
    except EvornnError as error:
        return None, error
    except MemoryError:
        return None, EvornnError("this needs too much memory on the server: make it smaller")
    except Exception as error:  # of a spec that nobody thought of: no harm to the server, a line in its log
        log.exception("%s", function.__name__)
        return None, EvornnError(f"this can't be computed ({type(error).__name__}): its settings don't fit together")
