"""A child process for work that may take long or fail: checking an untrusted spec loads data of any size, and a
comparison computes for seconds. It has a memory limit, is killed when a call takes too long, and is then restarted."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from evornn.errors import EvornnError
from evornn.service.child_process import ChildProcess, Supervisor
from evornn.service.turns import ServerBusy, Turns

T = TypeVar("T")
MEMORY = 4 * 2**30  # bytes of data in the helper, at most
SECONDS = 60.0  # for one call
ELSEWHERE = "run it on your machine, evornn run"
_SERVED: list[Connection] = []  # of this process, if it is a helper: the pipe to its parent
START = 60.0  # further seconds for the first call, which imports
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallProgress:
    """What a call tells before its result is there."""

    part: str
    share: float  # of all that is done


class HelperProcess:
    """Calls functions in a child process, one at a time.

    Functions must belong to modules; arguments and results are pickled, so they must never come from outside.

    Args:
        memory: Limit of the process's data, in bytes.
        seconds: Time limit of one call.
        niceness: How much the process gives way to others on a busy machine, 0 to 19.
        turns: Who is next, and how many wait.
        elsewhere: What people can do on their own machine instead, for messages.
        stays: Whether the process waits for the next call; otherwise each call has its own, which takes its memory
            along.
    """

    def __init__(
        self,
        memory: int = MEMORY,
        seconds: float = SECONDS,
        niceness: int = 0,
        turns: Turns | None = None,
        elsewhere: str = ELSEWHERE,
        stays: bool = True,
    ) -> None:
        self.memory, self.seconds, self.elsewhere, self.stays = memory, seconds, elsewhere, stays
        self._turns = turns or Turns()
        self._supervisor = Supervisor(lambda: ChildProcess(_serve, self.memory, niceness))
        self._closed = False

    def call(
        self,
        function: Callable[..., T],
        *arguments: Any,
        user: str = "",
        on_progress: Callable[[str, float], None] | None = None,
    ) -> T:
        """Call a function in the process.

        Args:
            function: The function.
            arguments: Its arguments.
            user: On whose behalf; users take turns.
            on_progress: Is called with what the function passes to `tell`.

        Returns:
            Its result.

        Raises:
            EvornnError: The function raised it, or took too much time or memory.
            ServerBusy: Too many calls are pending.
            UserBusy: Too many of this user are.
        """
        with self._turns.turn(user):
            answer, error = self._exchange(function, arguments, on_progress)
            if not self.stays:
                self._supervisor.discard()
        if error is not None:
            raise error
        result: T = answer
        return result

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._closed = True
        if (child := self._supervisor.child) is not None:
            child.kill()  # a call that waits for it then releases the lock
        with self._turns.turn("", limited=False):
            self._supervisor.discard()

    def _exchange(
        self,
        function: Callable[..., T],
        arguments: tuple[Any, ...],
        on_progress: Callable[[str, float], None] | None,
    ) -> tuple[Any, EvornnError | None]:
        if self._closed:
            return None, ServerBusy("the server is stopping: try again when it is back")
        pipe, patience = self._ensure_pipe()
        try:
            pipe.send((function, arguments))
            end = time.monotonic() + patience
            while pipe.poll(max(0.0, end - time.monotonic())):
                reply: CallProgress | tuple[Any, EvornnError | None] = pipe.recv()
                if not isinstance(reply, CallProgress):
                    return reply
                if on_progress is not None:
                    on_progress(reply.part, reply.share)
            error = too_long(self.seconds, self.elsewhere)
        except (EOFError, OSError):
            error = _too_much("needs too much memory", self.elsewhere)
        self._supervisor.discard()
        return None, error

    def _ensure_pipe(self) -> tuple[Connection, float]:
        """The pipe to a living process, and the seconds for one call."""
        before, child = self._supervisor.child, self._supervisor.ensure()
        assert child is not None  # the supervisor makes no pauses
        return child.pipe, self.seconds + START * (child is not before)


def too_long(seconds: float, elsewhere: str = ELSEWHERE) -> EvornnError:
    """The error for something that took longer than this."""
    return _too_much(f"took longer than {seconds:g} s", elsewhere)


def _too_much(problem: str, elsewhere: str) -> EvornnError:
    return EvornnError(f"this {problem} on the server: make it smaller, or {elsewhere}")


def tell(part: str, share: float) -> None:
    """Of a function that a helper process calls: report its progress. Elsewhere nothing happens."""
    if _SERVED:
        _SERVED[0].send(CallProgress(part, share))


def _serve(pipe: Connection, memory: int, niceness: int) -> None:
    """Serve calls in the child process, until the parent closes the pipe."""
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    _SERVED.append(pipe)
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
    except Exception as error:  # a bug that some spec reveals: no harm to the server, but a line in its log
        log.exception("%s", function.__name__)
        return None, EvornnError(f"this can't be computed ({type(error).__name__}): its settings don't fit together")
