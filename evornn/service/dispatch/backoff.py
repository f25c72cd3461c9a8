"""When to try again: a queue that gave something at once, an empty one or a lost database after a while."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from evornn.store.errors import Busy, Unreachable

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]  # seconds, never going back


class Pace:
    """Due at once after a success, after failures more and more rarely: from `shortest` to `longest` seconds."""

    def __init__(self, clock: Clock, shortest: float, longest: float) -> None:
        self._clock, self._shortest, self._longest = clock, shortest, longest
        self._wait, self._at = shortest, 0.0

    @property
    def left(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._at - self._clock())

    def now(self) -> None:
        self._wait, self._at = self._shortest, 0.0

    def later(self) -> None:
        self._at = self._clock() + self._wait
        self._wait = min(1.5 * self._wait, self._longest)


class Outage:
    """Bears a database that is away for up to `patience` seconds at a time."""

    def __init__(self, clock: Clock, patience: float, calm: float) -> None:
        self._clock, self._patience, self._calm = clock, patience, calm
        self._pace = Pace(clock, 0.2, 2.0)
        self._since: float | None = None
        self._calm_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is, and for so long that others too have noticed."""
        return self._since is None and self._clock() >= self._calm_at

    def bear(self, work: Callable[[], None]) -> None:
        """Do `work`, unless the database was away a moment ago. Raises Unreachable when patience is at an end."""
        if self._pace.left:
            return
        try:
            work()
        except (Unreachable, Busy) as error:
            self._away(error)
        else:
            self._back()

    def _away(self, error: Unreachable | Busy) -> None:
        if self._since is None:
            self._since = self._clock()
            log.warning("%s. Runs go on meanwhile, and what they say is kept", error)
        if self._clock() - self._since >= self._patience:
            raise error
        self._pace.later()

    def _back(self) -> None:
        self._pace.now()
        if self._since is not None:
            log.warning("the database is back after %.1f s", self._clock() - self._since)
            self._since, self._calm_at = None, self._clock() + self._calm
