"""The interface of executors, which compute runs: on a Ray cluster, or in a thread. All that the dispatcher knows of
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from evornn.experiments.identity import RunIdentity
from evornn.store.records import Machine
from evornn.training.oracle import Origin
from evornn.training.records import Checkpoint, Update

Cause: TypeAlias = Literal["error", "machine", "cluster", "stopped"]


class Attempt(NamedTuple):
    """One try at a run, identified by the lease under which it started, so that late events of an earlier try are told
    apart."""

    run: int
    lease: int


@dataclass(frozen=True)
class ResourceSet:
    """CPUs and GPUs that a run needs or that are free; below zero while a run waits for them."""

    cpus: float = 1.0
    gpus: float = 0.0

    def subtract(self, other: ResourceSet) -> ResourceSet:
        """What is left of these resources without `other`."""
        return ResourceSet(self.cpus - other.cpus, self.gpus - other.gpus)


@dataclass(frozen=True)
class Assignment:
    """A run to compute, as plain data: workers need no database."""

    attempt: Attempt
    fragments: Mapping[str, Any]
    seed: int
    budget: Mapping[str, Any]
    checkpoint: Checkpoint | None  # to resume from
    origin: Origin | None  # of a warm start
    identity: RunIdentity | None = None  # of the data and code that it was submitted with

    @property
    def shard_resources(self) -> ResourceSet:
        """Needed by one shard, all on one machine."""
        return ResourceSet(self._resources.get("cpus", 1), self._resources.get("gpus", 0))

    @property
    def total_resources(self) -> ResourceSet:
        """Needed by all shards together."""
        shards = self._resources.get("shards", 1)
        return ResourceSet(self.shard_resources.cpus * shards, self.shard_resources.gpus * shards)

    @property
    def _resources(self) -> Mapping[str, Any]:
        return self.fragments.get("resources") or {}


@dataclass(frozen=True)
class ProgressEvent:
    """A run has made progress. An update with a result is its last event."""

    attempt: Attempt
    update: Update


@dataclass(frozen=True)
class EndEvent:
    """A run ended without a result: it raised an error, its machine or the whole cluster died, or it was stopped."""

    attempt: Attempt
    cause: Cause
    reason: str = ""
    retry: bool = True  # False where another try would end the same way


ExecutorEvent: TypeAlias = ProgressEvent | EndEvent


def is_final(event: ExecutorEvent) -> bool:
    """Whether this is the last event of its attempt."""
    return isinstance(event, EndEvent) or event.update.result is not None


class Executor(Protocol):
    """Computes assignments. `start` and `stop` return at once; `events` returns what has happened since.

    To write one, implement the six members below; `perform` (`executors/execution.py`) turns an assignment into its
    events. Each attempt ends with exactly one final event (`is_final`), its last. This executor computes a run as soon
    as the dispatcher asks for events:

    >>> from evornn.service.executors.execution import perform
    >>> class InlineExecutor:
    ...     def __init__(self):
    ...         self.queue, self.machines = [], ()
    ...     @property
    ...     def available_resources(self):
    ...         return ResourceSet(cpus=1 - len(self.queue))  # one run at a time
    ...     def start(self, assignment):
    ...         self.queue.append(assignment)
    ...     def events(self, timeout):
    ...         return [event for _ in range(len(self.queue)) for event in perform(self.queue.pop())]
    ...     def stop(self, attempt, force=True): ...  # a run has ended before it can be stopped
    ...     def close(self): ...
    >>> fragments = {"task": {"kind": "sines"}, "network": {"kind": "gru"}, "trainer": {"kind": "weight_guessing"}}
    >>> executor: Executor = InlineExecutor()
    >>> executor.start(Assignment(Attempt(run=1, lease=1), fragments, 0, {"steps": 100_000, "marks": 1}, None, None))
    >>> [event.update.result.stopped_by for event in executor.events(timeout=0.2)]
    ['budget']
    """

    @property
    def available_resources(self) -> ResourceSet:
        """What is free. The dispatcher starts a run without GPU while CPUs are above zero, and one with GPU while GPUs
        are. A run that doesn't fit yet waits, and later ones behind it, so that large runs get their turn."""

    @property
    def machines(self) -> Sequence[Machine]:
        """The machines that compute, as far as they are known."""

    def start(self, assignment: Assignment) -> None:
        """Start a run as soon as its resources are free."""

    def events(self, timeout: float) -> list[ExecutorEvent]:
        """What has happened since the last call, in order for each run. Waits up to `timeout` seconds for an event."""

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        """Ask a run to stop, or end it by force. An `EndEvent` with cause "stopped" follows, unless the run has ended
        already. Unknown attempts are ignored."""

    def close(self) -> None:
        """Stop all runs and free all resources."""
