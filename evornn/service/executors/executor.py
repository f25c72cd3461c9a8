"""The form of whatever computes runs: Ray on a cluster, or one thread at home. The dispatcher knows only this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from evornn.store.records import Machine
from evornn.training.oracle import Origin
from evornn.training.records import Checkpoint, Update

Cause: TypeAlias = Literal["error", "machine", "cluster", "stopped"]


class Attempt(NamedTuple):
    """A try at a run, named by the lease under which it began: what an earlier try still says is not about this one."""

    run: int
    lease: int


@dataclass(frozen=True)
class ResourceSet:
    """CPUs and GPUs: what a run needs, or what is free (below zero where a run waits for room)."""

    cpus: float = 1.0
    gpus: float = 0.0

    def subtract(self, other: ResourceSet) -> ResourceSet:
        return ResourceSet(self.cpus - other.cpus, self.gpus - other.gpus)


@dataclass(frozen=True)
class Assignment:
    """A run to compute, as plain data: workers need no database."""

    attempt: Attempt
    fragments: Mapping[str, Any]
    seed: int
    budget: Mapping[str, Any]
    checkpoint: Checkpoint | None
    origin: Origin | None

    @property
    def shard_resources(self) -> ResourceSet:
        """Of one machine."""
        return ResourceSet(self._resources.get("cpus", 1), self._resources.get("gpus", 0))

    @property
    def total_resources(self) -> ResourceSet:
        """In all: each of a run's shards takes as much."""
        shards = self._resources.get("shards", 1)
        return ResourceSet(self.shard_resources.cpus * shards, self.shard_resources.gpus * shards)

    @property
    def _resources(self) -> Mapping[str, Any]:
        return self.fragments.get("resources") or {}


@dataclass(frozen=True)
class ProgressEvent:
    """A run has made progress; the update that carries a result is its last."""

    attempt: Attempt
    update: Update


@dataclass(frozen=True)
class EndEvent:
    """A run ended without a result: it raised an error, its machine died, the whole cluster did, or it was stopped."""

    attempt: Attempt
    cause: Cause
    reason: str = ""
    retry: bool = True  # False where another try would end the same way


ExecutorEvent: TypeAlias = ProgressEvent | EndEvent


def is_final(event: ExecutorEvent) -> bool:
    """Whether nothing more comes of the run."""
    return isinstance(event, EndEvent) or event.update.result is not None


class Executor(Protocol):
    """Computes assignments. `start` and `stop` return at once; what happens comes back from `events`."""

    @property
    def available_resources(self) -> ResourceSet:
        """What is free. A run without GPU may be started while CPUs are above zero, one with while GPUs are; what then
        doesn't fit yet waits, and others behind it, so that large runs get their turn."""

    @property
    def machines(self) -> Sequence[Machine]:
        """What computes, as far as is known now."""

    def start(self, assignment: Assignment) -> None: ...

    def events(self, timeout: float) -> list[ExecutorEvent]:
        """What has happened since the last call, in order per run; waits up to `timeout` seconds for something."""

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        """Ask a run to stop, or end it by force. Its `Ended("stopped")` follows, unless it ended before."""

    def close(self) -> None:
        """Stop everything and give back what was taken."""
