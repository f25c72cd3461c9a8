"""An executor in a process of its own. Ray ends a process whose cluster is gone, or keeps it waiting for ever: then its
runs end here, but not their dispatcher, and another process begins as soon as there is a cluster again."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from evornn.errors import EvornnError
from evornn.service.executors.executor import Assignment, Attempt, Ended, Event, Executor, Room, is_last
from evornn.store.records import Machine

log = logging.getLogger(__name__)

Make: TypeAlias = Callable[[], AbstractContextManager[Executor]]  # called in the other process

TALK = 0.1  # seconds between two words of the other process, at most
SILENCE = 30.0  # seconds without a word until it is taken for stuck
BEGINNING = 120.0  # the same before its first word: a cluster may take its time
AGAIN = (1.0, 10.0)  # seconds until the next beginning: first, and at most


@dataclass(frozen=True)
class News:
    """What the other process tells: what happened, what is free, which machines there are, and how many assignments it
    has begun so far."""

    events: list[Event]
    room: Room
    machines: Sequence[Machine]
    begun: int


class Detached:
    """The executor that `make` makes, in a process of its own."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._attempts: set[Attempt] = set()
        self._pause, self._begin_at = AGAIN[0], 0.0
        self._other: Other | None = None
        self._begin()

    @property
    def room(self) -> Room:
        """As it was when the other process last spoke, without what it hasn't begun since."""
        return Room(0, 0) if self._other is None else self._other.room

    @property
    def machines(self) -> Sequence[Machine]:
        """As the other process last saw them."""
        return () if self._other is None else self._other.machines

    def start(self, assignment: Assignment) -> None:
        self._attempts.add(assignment.attempt)
        if self._other is not None:  # else `events` tells that it ended
            self._other.start(assignment)

    def events(self, timeout: float) -> list[Event]:
        if self._other is None:
            time.sleep(timeout)
            self._begin()
            return self._lost("the cluster is away")
        try:
            news = self._other.hear(timeout)
        except EvornnError as error:
            return self._gone(str(error))
        if news is None:
            return []
        self._pause = AGAIN[0]
        self._attempts -= {event.attempt for event in news.events if is_last(event)}
        return news.events

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        if attempt in self._attempts and self._other is not None:
            self._other.say("stop", attempt, force)

    def close(self) -> None:
        if self._other is not None:
            self._other.close()

    def _begin(self) -> None:
        if time.monotonic() >= self._begin_at:
            self._other = Other(self._make)

    def _gone(self, reason: str) -> list[Event]:
        log.warning("%s: trying again in %.0f s", reason, self._pause)
        assert self._other is not None
        self._other.kill()
        self._other, self._begin_at = None, time.monotonic() + self._pause
        self._pause = min(2 * self._pause, AGAIN[1])
        return self._lost(reason)

    def _lost(self, reason: str) -> list[Event]:
        lost, self._attempts = sorted(self._attempts), set()
        return [Ended(attempt, "cluster", reason) for attempt in lost]


class Other:
    """The other process, seen from here. Threads of their own send and receive, so that nobody waits for it."""

    def __init__(self, make: Make) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()
        self._room = Room(0, 0)
        self.machines: Sequence[Machine] = ()
        self._ahead: deque[Room] = deque()  # by what it has not begun yet
        self._begun, self._silence, self._most = 0, 0.0, BEGINNING
        self._out: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._in: SimpleQueue[News | str] = SimpleQueue()
        for work in (self._send, self._receive):
            threading.Thread(target=work, daemon=True).start()

    @property
    def room(self) -> Room:
        room = self._room
        for taken in self._ahead:
            room = room.without(taken)
        return room

    def start(self, assignment: Assignment) -> None:
        self._ahead.append(assignment.takes)
        self.say("start", assignment)

    def say(self, *words: Any) -> None:
        self._out.put(words)

    def hear(self, timeout: float) -> News | None:
        """Raises EvornnError with the reason when it has ended, or is silent for too long."""
        try:
            news = self._in.get(timeout=timeout)
        except Empty:
            self._silence += timeout  # not by the clock: this process may have been suspended
            if self._silence > self._most:
                raise EvornnError("the process that talks to the cluster is stuck") from None
            return None
        if isinstance(news, str):
            raise EvornnError(news)
        self._silence, self._most = 0.0, SILENCE
        for _ in range(news.begun - self._begun):
            self._ahead.popleft()
        self._room, self.machines, self._begun = news.room, news.machines, news.begun
        return news

    def close(self) -> None:
        self.say("close")
        self._process.join(10)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.say()  # ends the sender; the receiver ends with the pipe

    def _send(self) -> None:
        try:
            for words in iter(self._out.get, ()):
                self._pipe.send(words)
        except OSError:  # it has ended, and the receiver says so
            pass

    def _receive(self) -> None:
        try:
            while True:
                self._in.put(self._pipe.recv())
        except (EOFError, OSError):
            self._in.put("the process that talks to the cluster has ended")


def _serve(pipe: Connection, make: Make) -> None:
    """The other process: does what it is told and says what happens, until its parent is gone or wants no more."""
    signal.signal(
        signal.SIGINT, lambda *_: None
    )  # a terminal's interrupt is for the parent; the default where it forks
    threading.Thread(target=_follow, daemon=True).start()
    try:
        with make() as executor:
            _talk(pipe, executor)
    except Exception as error:
        pipe.send(str(error) if isinstance(error, EvornnError) else f"{type(error).__name__}: {error}")
        os._exit(1)  # what is left of a lost cluster might hold it up


def _talk(pipe: Connection, executor: Executor) -> None:
    begun = 0
    while True:
        while pipe.poll():
            match pipe.recv():
                case ("start", assignment):
                    executor.start(assignment)
                    begun += 1
                case ("stop", attempt, force):
                    executor.stop(attempt, force)
                case _:
                    return
        pipe.send(News(executor.events(TALK), executor.room, executor.machines, begun))


def _follow() -> None:
    """Into death, at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
