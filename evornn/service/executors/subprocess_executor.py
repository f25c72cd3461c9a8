"""An executor in a process of its own. Ray ends a process whose cluster is gone, or keeps it waiting for ever: then its
runs end here, but not their dispatcher, and another process begins as soon as there is a cluster again."""

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

ExecutorFactory: TypeAlias = Callable[[], AbstractContextManager[Executor]]  # called in the other process

POLL_SECONDS = 0.1  # seconds between two words of the other process, at most
SILENCE_LIMIT = 30.0  # seconds without a word until it is taken for stuck
STARTUP_LIMIT = 120.0  # the same before its first word: a cluster may take its time
RESTART_DELAY = (1.0, 10.0)  # seconds until the next start: the first, and at most


@dataclass(frozen=True)
class ExecutorStatus:
    """What the other process tells: what happened, what is free, which machines there are, and how many assignments it
    has begun so far."""

    events: list[ExecutorEvent]
    available: ResourceSet
    machines: Sequence[Machine]
    started: int


class SubprocessExecutor:
    """The executor that a factory makes, in a process of its own."""

    def __init__(self, factory: ExecutorFactory) -> None:
        self._attempts: set[Attempt] = set()
        self._supervisor = Supervisor(partial(ExecutorProcess, factory), *RESTART_DELAY)
        self._supervisor.ensure()

    @property
    def available_resources(self) -> ResourceSet:
        """As it was when the other process last spoke, without what it hasn't begun since."""
        return ResourceSet(0, 0) if self._child is None else self._child.available_resources

    @property
    def machines(self) -> Sequence[Machine]:
        """As the other process last saw them."""
        return () if self._child is None else self._child.machines

    def start(self, assignment: Assignment) -> None:
        self._attempts.add(assignment.attempt)
        if self._child is not None:  # else `events` tells that it ended
            self._child.start(assignment)

    def events(self, timeout: float) -> list[ExecutorEvent]:
        if self._child is None:
            time.sleep(timeout)
            self._supervisor.ensure()
            return self._fail_attempts("the cluster is away")
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
    """The other process, seen from here. Threads of their own send and receive, so that nobody waits for it."""

    def __init__(self, factory: ExecutorFactory) -> None:
        super().__init__(_serve, factory)
        self._available = ResourceSet(0, 0)
        self.machines: Sequence[Machine] = ()
        self._pending: deque[ResourceSet] = deque()  # by what it has not begun yet
        self._started, self._silence, self._silence_limit = 0, 0.0, STARTUP_LIMIT
        self._outbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._inbox: SimpleQueue[ExecutorStatus | str] = SimpleQueue()
        for work in (self._send, self._receive):
            threading.Thread(target=work, daemon=True).start()

    @property
    def available_resources(self) -> ResourceSet:
        available = self._available
        for pending in self._pending:
            available = available.subtract(pending)
        return available

    def start(self, assignment: Assignment) -> None:
        self._pending.append(assignment.total_resources)
        self.send("start", assignment)

    def send(self, *message: Any) -> None:
        self._outbox.put(message)

    def poll(self, timeout: float) -> ExecutorStatus | None:
        """Raises EvornnError with the reason when it has ended, or is silent for too long."""
        try:
            status = self._inbox.get(timeout=timeout)
        except Empty:
            self._silence += timeout  # not by the clock: this process may have been suspended
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
        self.send("close")
        self.join(10)
        self.kill()

    def kill(self) -> None:
        super().kill()
        self.send()  # ends the sender; the receiver ends with the pipe

    def _send(self) -> None:
        try:
            for message in iter(self._outbox.get, ()):
                self.pipe.send(message)
        except OSError:  # it has ended, and the receiver says so
            pass

    def _receive(self) -> None:
        try:
            while True:
                self._inbox.put(self.pipe.recv())
        except (EOFError, OSError):
            self._inbox.put("the process that talks to the cluster has ended")


def _serve(pipe: Connection, factory: ExecutorFactory) -> None:
    """The other process: does what it is told and says what happens, until its parent wants no more."""
    try:
        with factory() as executor:
            _message_loop(pipe, executor)
    except Exception as error:
        pipe.send(str(error) if isinstance(error, EvornnError) else f"{type(error).__name__}: {error}")
        os._exit(1)  # what is left of a lost cluster might hold it up


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
