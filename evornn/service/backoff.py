"""When to try again: after a success at once, after an empty queue or a lost database with growing pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from evornn.store.errors import SerializationFailure, Unreachable

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]  # seconds, monotonic


class Backoff:
    """Exponential back-off: due at once after a success, after failures with pauses from `shortest` to `longest`.

    Args:
        clock: Seconds, monotonic.
        shortest: First pause in seconds; each further one is 1.5 times as long.
        longest: Maximum pause in seconds.
    """

    def __init__(self, clock: Clock, shortest: float, longest: float) -> None:
        self._clock, self._shortest, self._longest = clock, shortest, longest
        self._wait, self._due_at = shortest, 0.0

    @property
    def time_left(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._due_at - self._clock())

    def reset(self) -> None:
        """Due at once, and the next pause is the shortest again."""
        self._wait, self._due_at = self._shortest, 0.0

    def back_off(self) -> None:
        """Pause, longer than the last time."""
        self._due_at = self._clock() + self._wait
        self._wait = min(1.5 * self._wait, self._longest)


class OutageRetry:
    """Tolerates a database that can't be reached for up to `patience` seconds.

    Args:
        clock: Seconds, monotonic.
        patience: Seconds of an outage after which its error is raised.
        cooldown: Seconds after an outage during which it still counts as going on.
    """

    def __init__(self, clock: Clock, patience: float, cooldown: float) -> None:
        self._clock, self._patience, self._cooldown = clock, patience, cooldown
        self._backoff = Backoff(clock, 0.2, 2.0)
        self._down_since: float | None = None
        self._cooldown_until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether there is no outage, and the last one ended long enough ago for other dispatchers to have noticed."""
        return self._down_since is None and self._clock() >= self._cooldown_until

    def call(self, work: Callable[[], None]) -> None:
        """Call `work`, unless a pause after a failure is under way. Raises Unreachable once the outage outlasts
        `patience`."""
        if self._backoff.time_left:
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
            log.warning("%s. Runs continue meanwhile, and their progress is kept", error)
        if self._clock() - self._down_since >= self._patience:
            raise error
        self._backoff.back_off()

    def _record_success(self) -> None:
        self._backoff.reset()
        if self._down_since is not None:
            log.warning("the database is back after %.1f s", self._clock() - self._down_since)
            self._down_since, self._cooldown_until = None, self._clock() + self._cooldown
