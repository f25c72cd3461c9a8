"""When to try again: a queue that gave something at once, an empty one or a lost database after a while."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from evornn.store.errors import SerializationFailure, Unreachable

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]  # seconds, never going back


class Backoff:
    """Due at once after a success, after failures more and more rarely: from `shortest` to `longest` seconds."""

    def __init__(self, clock: Clock, shortest: float, longest: float) -> None:
        self._clock, self._shortest, self._longest = clock, shortest, longest
        self._wait, self._due_at = shortest, 0.0

    @property
    def remaining(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._due_at - self._clock())

    def reset(self) -> None:
        self._wait, self._due_at = self._shortest, 0.0

    def back_off(self) -> None:
        self._due_at = self._clock() + self._wait
        self._wait = min(1.5 * self._wait, self._longest)


class OutageRetry:
    """Bears a database that is away for up to `patience` seconds at a time."""

    def __init__(self, clock: Clock, patience: float, cooldown: float) -> None:
        self._clock, self._patience, self._cooldown = clock, patience, cooldown
        self._backoff = Backoff(clock, 0.2, 2.0)
        self._down_since: float | None = None
        self._cooldown_until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is, and for so long that others too have noticed."""
        return self._down_since is None and self._clock() >= self._cooldown_until

    def call(self, work: Callable[[], None]) -> None:
        """Do `work`, unless the database was away a moment ago. Raises Unreachable when patience is at an end."""
        if self._backoff.remaining:
            return
        try:
            work()
        except (Unreachable, SerializationFailure) as error:
            self._record_failure(error)
        else:
            self._record_success()

    def _record_failure(self, error: Unreachable | SerializationFailure) -> None:
        if self._down_since is None:
            self._down_since = self._clock()
            log.warning("%s. Runs go on meanwhile, and what they say is kept", error)
        if self._clock() - self._down_since >= self._patience:
            raise error
        self._backoff.back_off()

    def _record_success(self) -> None:
        self._backoff.reset()
        if self._down_since is not None:
            log.warning("the database is back after %.1f s", self._clock() - self._down_since)
            self._down_since, self._cooldown_until = None, self._clock() + self._cooldown
