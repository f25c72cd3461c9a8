"""Isolates an executor in a child process. Ray ends a process that has lost its cluster, or blocks it for ever. The
dispatcher then survives, its runs end, and another process starts as soon as there is a cluster again."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from evornn.errors import EvornnError
from evornn.service.child_process import ChildProcess, Supervisor
from evornn.service.executors.executor import (
    Assignment,
    Attempt,
    EndEvent,
    Executor,
    ExecutorEvent,
    ResourceSet,
    is_final,
)
from evornn.store.records import Machine

log = logging.getLogger(__name__)

ExecutorFactory: TypeAlias = Callable[[], AbstractContextManager[Executor]]  # called in the child process

POLL_SECONDS = 0.1  # between two status messages of the child, at most
SILENCE_LIMIT = 30.0  # seconds without a message after which the child counts as stuck
STARTUP_LIMIT = 120.0  # the same before its first message: a cluster may start slowly
RESTART_DELAY = (1.0, 10.0)  # seconds until a restart: first, and at most


@dataclass(frozen=True)
class ExecutorStatus:
    """A status message of the child process."""

    events: list[ExecutorEvent]  # since the last message
    available: ResourceSet
    machines: Sequence[Machine]
    started: int  # assignments that it has started so far


class SubprocessExecutor:
    """The executor of a factory, in a child process. See `Executor` for its methods."""

    def __init__(self, factory: ExecutorFactory) -> None:
        self._attempts: set[Attempt] = set()
        self._supervisor = Supervisor(partial(ExecutorProcess, factory), *RESTART_DELAY)
        self._supervisor.ensure()

    @property
    def available_resources(self) -> ResourceSet:
        """What the child last reported, less what it has not started since."""
        return ResourceSet(0, 0) if self._child is None else self._child.available_resources

    @property
    def machines(self) -> Sequence[Machine]:
        """What the child last reported."""
        return () if self._child is None else self._child.machines

    def start(self, assignment: Assignment) -> None:
        self._attempts.add(assignment.attempt)
        if self._child is not None:  # otherwise `events` reports that the attempt has ended
            self._child.start(assignment)

    def events(self, timeout: float) -> list[ExecutorEvent]:
        if self._child is None:
            time.sleep(timeout)
            self._supervisor.ensure()
            return self._fail_attempts("the cluster can't be reached")
        try:
            status = self._child.poll(timeout)
        except EvornnError as error:
            log.warning("%s: trying again in %.0f s", error, self._supervisor.discard())
            return self._fail_attempts(str(error))
        if status is None:
            return []
        self._supervisor.confirm()
        self._attempts -= {event.attempt for event in status.events if is_final(event)}
        return status.events

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        if attempt in self._attempts and self._child is not None:
            self._child.send("stop", attempt, force)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()

    @property
    def _child(self) -> ExecutorProcess | None:
        return self._supervisor.child

    def _fail_attempts(self, reason: str) -> list[ExecutorEvent]:
        attempts, self._attempts = sorted(self._attempts), set()
        return [EndEvent(attempt, "cluster", reason) for attempt in attempts]


class ExecutorProcess(ChildProcess):
    """The child process, seen from its parent. Threads send and receive, so that the parent never blocks."""

    def __init__(self, factory: ExecutorFactory) -> None:
        super().__init__(_serve, factory)
        self._available = ResourceSet(0, 0)
        self.machines: Sequence[Machine] = ()
        self._pending: deque[ResourceSet] = deque()  # needs of assignments that it has not started yet
        self._started, self._silence, self._silence_limit = 0, 0.0, STARTUP_LIMIT
        self._outbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._inbox: SimpleQueue[ExecutorStatus | str] = SimpleQueue()
        for work in (self._send, self._receive):
            threading.Thread(target=work, daemon=True).start()

    @property
    def available_resources(self) -> ResourceSet:
        """What it last reported, less what it has not started since."""
        available = self._available
        for pending in self._pending:
            available = available.subtract(pending)
        return available

    def start(self, assignment: Assignment) -> None:
        """Send it an assignment."""
        self._pending.append(assignment.total_resources)
        self.send("start", assignment)

    def send(self, *message: Any) -> None:
        """Send it a message, without waiting."""
        self._outbox.put(message)

    def poll(self, timeout: float) -> ExecutorStatus | None:
        """Its next status, None if there is none in time. Raises EvornnError if it has ended or is silent too long."""
        try:
            status = self._inbox.get(timeout=timeout)
        except Empty:
            self._silence += timeout  # not by the clock, since this process may have been suspended
            if self._silence > self._silence_limit:
                raise EvornnError("the process that talks to the cluster is stuck") from None
            return None
        if isinstance(status, str):
            raise EvornnError(status)
        self._silence, self._silence_limit = 0.0, SILENCE_LIMIT
        for _ in range(status.started - self._started):
            self._pending.popleft()
        self._available, self.machines, self._started = status.available, status.machines, status.started
        return status

    def close(self) -> None:
        """Let it end, or kill it after 10 s."""
        self.send("close")
        self.join(10)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        super().kill()
        self.send()  # ends the sending thread; the receiving one ends with the pipe

    def _send(self) -> None:
        try:
            for message in iter(self._outbox.get, ()):
                self.pipe.send(message)
        except OSError:  # it has ended, which the receiving thread reports
            pass

    def _receive(self) -> None:
        try:
            while True:
                self._inbox.put(self.pipe.recv())
        except (EOFError, OSError):
            self._inbox.put("the process that talks to the cluster has ended")


def _serve(pipe: Connection, factory: ExecutorFactory) -> None:
    """Run the executor in the child process, until the parent closes it."""
    try:
        with factory() as executor:
            _message_loop(pipe, executor)
    except Exception as error:
        pipe.send(str(error) if isinstance(error, EvornnError) else f"{type(error).__name__}: {error}")
        os._exit(1)  # a normal exit might hang on the remains of a lost cluster


def _message_loop(pipe: Connection, executor: Executor) -> None:
    started = 0
    while True:
        while pipe.poll():
            match pipe.recv():
                case ("start", assignment):
                    executor.start(assignment)
                    started += 1
                case ("stop", attempt, force):
                    executor.stop(attempt, force)
                case _:
                    return
        pipe.send(
            ExecutorStatus(executor.events(POLL_SECONDS), executor.available_resources, executor.machines, started)
        )
