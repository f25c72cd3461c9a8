"""Turns at something that serves one caller at a time: users take turns, however many calls one of them has waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

from evornn.errors import EvornnError

MAX_PENDING = 16  # calls at once; further ones are refused
MAX_PENDING_EACH = 4  # of one user


class ServerBusy(EvornnError):
    """Too many calls are pending."""


class UserBusy(EvornnError):
    """Too many calls of this user are pending."""


class Turns:
    """A queue for each user, and one turn at a time, in rotation.

    Args:
        most: Pending calls in all.
        most_each: Pending calls of one user.
        what: What is computed, for messages.
    """

    def __init__(
        self, most: int = MAX_PENDING, most_each: int = MAX_PENDING_EACH, what: str = "specs or comparisons"
    ) -> None:
        self.most, self.most_each, self.what = most, most_each, what
        self._lock = Lock()
        self._waiting: dict[str, deque[Event]] = {}  # the next user first; a set one has the turn
        self._pending: dict[str, int] = {}

    @contextmanager
    def turn(self, user: str, limited: bool = True) -> Iterator[None]:
        """Wait for a turn, and hold it. Raises ServerBusy, UserBusy, if `limited`."""
        ticket = Event()  # one each, so that the end of a turn wakes nobody but the next
        with self._lock:
            if limited:
                self._check(user)
            self._enter(user, ticket)
            self._next().set()
        ticket.wait()
        try:
            yield
        finally:
            with self._lock:
                self._leave(user)
                if self._waiting:
                    self._next().set()

    def _check(self, user: str) -> None:
        if self._pending.get(user, 0) >= self.most_each:
            raise UserBusy(f"{self.most_each} {self.what} of yours are being computed: wait until one is done")
        if sum(self._pending.values()) >= self.most:
            raise ServerBusy(f"the server is busy with other {self.what}: try again in a few seconds")

    def _enter(self, user: str, ticket: Event) -> None:
        self._pending[user] = self._pending.get(user, 0) + 1
        self._waiting.setdefault(user, deque()).append(ticket)

    def _next(self) -> Event:
        """The ticket that has the turn; it stays the first one until its holder leaves."""
        return next(iter(self._waiting.values()))[0]

    def _leave(self, user: str) -> None:
        """The holder goes, and its user to the end of the rotation."""
        rest = self._waiting.pop(user)
        rest.popleft()
        if rest:
            self._waiting[user] = rest
        self._pending[user] -= 1
        if not self._pending[user]:
            del self._pending[user]
