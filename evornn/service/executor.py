"""The form of whatever computes runs: Ray on a cluster, or one thread at home. The dispatcher knows only this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from evornn.training.oracle import Origin
from evornn.training.records import Checkpoint, Update


@dataclass(frozen=True)
class Assignment:
    """A run to compute, as plain data: workers need no database."""

    run: int
    fragments: Mapping[str, Any]
    seed: int
    budget: Mapping[str, Any]
    checkpoint: Checkpoint | None
    origin: Origin | None


@dataclass(frozen=True)
class Said:
    """A run has made progress; the update that carries a result is its last."""

    run: int
    update: Update


@dataclass(frozen=True)
class Ended:
    """A run ended without a result: it raised an error, its machine died, or it was stopped."""

    run: int
    cause: Literal["error", "machine", "stopped"]
    reason: str = ""
    retry: bool = True  # False where another try would end the same way


class Executor(Protocol):
    """Computes assignments. `start` and `stop` return at once; what happens comes back from `events`."""

    @property
    def slots(self) -> int:
        """How many assignments can be under way at once."""

    def start(self, assignment: Assignment) -> None: ...

    def events(self, timeout: float) -> list[Said | Ended]:
        """What has happened since the last call, in order per run; waits up to `timeout` seconds for something."""

    def stop(self, run: int) -> None:
        """Stop a run by force. Its `Ended("stopped")` follows, unless it ended before."""

    def close(self) -> None:
        """Stop everything and give back what was taken."""
