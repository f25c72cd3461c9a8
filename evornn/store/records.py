"""What goes into a store and comes out of it, as frozen plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict

from evornn.training.records import Checkpoint, Result, Row

JobId: TypeAlias = int
RunId: TypeAlias = int


HEARTBEAT_TIMEOUT = 30.0  # seconds since the last sign of life of a dispatcher


class RunFilter(TypedDict, total=False):
    """Runs that match all that is given; None matches any."""

    job: JobId | None
    experiment: str | None
    state: str | None
    task: str | None
    network: str | None
    trainer: str | None


@dataclass(frozen=True)
class NewRun:
    """A run to be submitted."""

    task: str  # labels, unique within a job for different fragments; what is tuned may differ from method to method
    network: str
    trainer: str
    fragments: dict[str, Any]  # the parts of the spec that build this run
    seed: int
    budget: dict[str, Any]
    position: int  # 0, 1, … within the job
    parameters: int | None = None  # n


@dataclass(frozen=True)
class StoredRun:
    """A run as it stands. Summary numbers are None until the run has reported them; times are UTC epoch seconds."""

    id: RunId
    job: JobId
    experiment: str
    position: int
    task: str
    network: str
    trainer: str
    fragments: dict[str, Any]
    seed: int
    budget: dict[str, Any]
    parameters: int | None
    state: str  # queued, running, succeeded, failed, cancelling, cancelled
    priority: int
    lease: int  # how often it was claimed
    lease_owner: str | None
    lease_until: float | None
    failures: int
    error: str | None
    mark: int | None
    network_steps: int | None
    evaluations: int | None
    updates: int | None
    best: float | None
    champion_valid: float | None
    train_loss: float | None
    valid_loss: float | None
    test_loss: float | None
    score: str | None  # what `test_score` is; None also where the task has no score
    test_score: float | None
    solved: bool | None
    seconds: float | None
    stopped_by: str | None
    hits: dict[str, int] | None
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True)
class StoredJob:
    """A submitted spec and how far it is."""

    id: JobId
    experiment: str
    spec_id: str  # sha256 of the spec's canonical JSON
    owner: str
    created: float
    finished: float | None  # when the last run ended; None while any is open
    counts: dict[str, int] = field(default_factory=dict)  # state → runs; states without runs are left out

    @property
    def state(self) -> str:
        """One word for all runs: what is still going on comes first, then what went wrong."""
        states = set(self.counts)
        if "queued" in states and states != {"queued"}:
            return "running"
        order = ("running", "queued", "cancelling", "failed", "cancelled", "succeeded")
        return next((state for state in order if state in states), "succeeded")


@dataclass(frozen=True)
class Claim:
    """A run that is ours while the lease lasts. Every write carries `lease`."""

    run: StoredRun
    lease: int
    checkpoint: Checkpoint | None  # where to go on; None: from the start


@dataclass(frozen=True)
class Reply:
    """What `record` brings back."""

    cancel_requested: bool  # stop, then `release`


@dataclass(frozen=True)
class Report:
    """What one of many runs has to say: see `record` and, when there is a result, `finish`."""

    run: RunId
    lease: int
    rows: Sequence[Row] = ()
    checkpoint: Checkpoint | None = None
    network_steps: int | None = None
    result: Result | None = None


@dataclass(frozen=True)
class LogLine:
    """A line a run logged. `time`, `run` and `id` are filled in by the store."""

    message: str
    level: str = "info"
    time: float | None = None
    run: RunId = 0
    id: int = 0


@dataclass(frozen=True)
class Event:
    """Something that happened to a job or a run: submitted, claimed, expired, released, failed, …"""

    id: int
    time: float
    job: JobId
    run: RunId | None
    kind: str
    detail: str


@dataclass(frozen=True)
class Machine:
    """One of those that compute: how much it has, and how much of it is in use; None where that can't be known."""

    id: str  # the same for everybody who sees this machine
    name: str
    cpus: float
    cpus_used: float  # by runs
    gpus: float = 0.0
    gpus_used: float = 0.0
    memory: int | None = None  # bytes
    memory_used: int | None = None  # bytes, by everything on it


@dataclass(frozen=True)
class Worker:
    """Who claimed runs, when first and last; a dispatcher also says how many it can compute at once, and does, and
    what machines it has for that."""

    name: str
    first_seen: float
    last_seen: float
    claims: int
    slots: int | None = None
    held: int | None = None
    machines: tuple[Machine, ...] = ()

    def is_alive(self, now: float) -> bool:
        """Whether it has given a sign of life of late; `now` in UTC epoch seconds."""
        return now - self.last_seen < HEARTBEAT_TIMEOUT


@dataclass(frozen=True)
class Token:
    """A key to the server. The secret itself is shown once and never stored."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created: float
    last_used: float | None  # to the minute
    revoked: float | None  # since then it opens nothing
