"""Compares this machine's clock with those of other dispatchers. On SQLite each process writes times by the clock of
its own machine: for one whose clock is ahead, the leases of all others have expired, and it would take their runs.

PostgreSQL has one clock, its own, which is why nothing differs there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf

from evornn.service.backoff import Clock
from evornn.store.records import HEARTBEAT_TIMEOUT, Worker

log = logging.getLogger(__name__)
TOLERANCE = 5.0  # seconds that clocks may differ
ACQUAINTANCE = 6.0  # seconds in which a living dispatcher shows a heartbeat


@dataclass
class Acquaintance:
    """Another dispatcher, as this one has seen it."""

    last_seen: float  # its last heartbeat, by its clock
    since: float  # when this process first saw it, by the clock of the process
    beat_at: float = -inf  # when this process last saw a new heartbeat
    ahead: float = 0.0  # seconds that this machine's clock is ahead of its clock, at least


class ClockWatch:
    """Watches the heartbeats of other dispatchers.

    Args:
        owner: This dispatcher.
        clock: Seconds, monotonic.
    """

    def __init__(self, owner: str, clock: Clock) -> None:
        self._owner, self._clock = owner, clock
        self._others: dict[str, Acquaintance] = {}
        self._looked_at, self._warned = clock(), False

    def look(self, workers: Iterable[Worker], now: float) -> None:
        """Compare clocks.

        Args:
            workers: All dispatchers.
            now: The database's time, in UTC epoch seconds.
        """
        elapsed = self._clock() - self._looked_at
        self._looked_at += elapsed
        for worker in workers:
            if worker.name != self._owner:
                self._compare(worker, now, elapsed)
        self._report()

    def _compare(self, worker: Worker, now: float, elapsed: float) -> None:
        known = self._others.setdefault(worker.name, Acquaintance(worker.last_seen, self._looked_at))
        if worker.last_seen != known.last_seen:
            # It was written since the last look. Whatever else it seems to be old is the difference of the clocks.
            known.last_seen, known.beat_at = worker.last_seen, self._looked_at
            known.ahead = now - worker.last_seen - elapsed

    def may_take_from(self, owners: Collection[str]) -> bool:
        """Whether leases of these owners have expired by their own clock, too, as far as that can be told by now."""
        others = [self._others[owner] for owner in owners if owner in self._others]
        return not self.is_ahead and all(self._looked_at - other.since >= ACQUAINTANCE for other in others)

    @property
    def is_ahead(self) -> bool:
        """Whether this machine's clock is ahead of another dispatcher's."""
        return bool(self._behind)

    @property
    def _behind(self) -> dict[str, Acquaintance]:
        """Living dispatchers whose clocks are behind this one's."""
        alive = {name: one for name, one in self._others.items() if self._looked_at - one.beat_at < HEARTBEAT_TIMEOUT}
        return {name: one for name, one in alive.items() if one.ahead > TOLERANCE}

    def _report(self) -> None:
        if self.is_ahead and not self._warned:
            name, other = max(self._behind.items(), key=lambda item: item[1].ahead)
            log.warning(
                "the clock of this machine is %.0f s ahead of that of %s: set both right (NTP); "
                "until then this dispatcher claims no runs",
                other.ahead,
                name,
            )
        elif self._warned and not self.is_ahead:
            log.warning("the clocks agree again")
        self._warned = self.is_ahead
