"""What goes into a store and comes out of it, as frozen plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from evornn.models.origin import ModelMetrics, Provenance
from evornn.training.records import Checkpoint, Result, Row

JobId: TypeAlias = int
RunId: TypeAlias = int
ModelId: TypeAlias = int

HEARTBEAT_TIMEOUT = 30.0  # seconds without a heartbeat after which a dispatcher counts as dead


@dataclass(frozen=True)
class NewRun:
    """A run to be submitted."""

    task: str  # labels, unique within a job for different fragments; tuned settings may differ from method to method
    network: str
    trainer: str
    fragments: dict[str, Any]  # the parts of the spec that build this run
    seed: int
    budget: dict[str, Any]
    position: int  # 0, 1, … within the job
    parameters: int | None = None  # n
    data_digest: str | None = None  # of the data that the fragments name, and
    code_digest: str | None = None  # of code of the user's own that they name; None: there is none


@dataclass(frozen=True)
class StoredRun:
    """The current state of a run. Summary values are None until the run reports them; times are UTC epoch seconds."""

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
    data_digest: str | None  # None: not recorded, by an earlier version
    code_digest: str | None  # None: the run names no code
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
    rmse: float | None  # errors of a forecast on test, in original units; None where targets differ in their units
    mae: float | None
    mase: float | None  # over all targets
    r2: float | None
    forecast_errors: dict[str, dict[str, float | None]] | None  # target → these four
    seconds: float | None
    stopped_by: str | None
    hits: dict[str, int] | None
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True)
class StoredJob:
    """A submitted spec and the progress of its runs."""

    id: JobId
    experiment: str
    spec_id: str  # sha256 of the spec's canonical JSON
    owner: str
    created: float
    finished: float | None  # when the last run ended; None while any is open
    counts: dict[str, int] = field(default_factory=dict)  # state → runs; states without runs are left out
    archived: float | None = None  # when it was taken out of the lists; None: it is there

    @property
    def state(self) -> str:
        """One state for all runs: unfinished states come first, then failures."""
        states = set(self.counts)
        if "queued" in states and states != {"queued"}:
            return "running"
        order = ("running", "queued", "cancelling", "failed", "cancelled", "succeeded")
        return next((state for state in order if state in states), "succeeded")


@dataclass(frozen=True)
class PortionedCheckpoint:
    """A large checkpoint, whose arrays are in the store already: see `large_checkpoints`."""

    mark: int
    plain: dict[str, Any]
    edition: int


@dataclass(frozen=True)
class Claim:
    """A run that belongs to the caller while the lease lasts. Every write must carry the number `lease`."""

    run: StoredRun
    lease: int
    checkpoint: Checkpoint | None  # to resume from; None: start from scratch


@dataclass(frozen=True)
class Reply:
    """The answer to `record`."""

    cancel_requested: bool  # stop, then `release`


@dataclass(frozen=True)
class Report:
    """What is new of one run: see `record` and, if there is a result, `finish`."""

    run: RunId
    lease: int
    rows: Sequence[Row] = ()
    checkpoint: Checkpoint | PortionedCheckpoint | None = None
    network_steps: int | None = None
    result: Result | None = None


@dataclass(frozen=True)
class LogLine:
    """A line that a run logged. The store fills in `time`, `run` and `id`."""

    message: str
    level: str = "info"
    time: float | None = None
    run: RunId = 0
    id: int = 0


@dataclass(frozen=True)
class Event:
    """An event of a job or a run: submitted, claimed, expired, released, failed, …"""

    id: int
    time: float
    job: JobId
    run: RunId | None
    kind: str
    detail: str
    actor: str = (
        ""  # who did it: a token's name, `local:USER`, or a dispatcher; "": not recorded, by an earlier version
    )


@dataclass(frozen=True)
class Machine:
    """A machine that computes runs: its resources, and how much of them is in use; None where unknown."""

    id: str  # the same in all dispatchers that use this machine
    name: str
    cpus: float
    cpus_used: float  # by runs
    gpus: float = 0.0
    gpus_used: float = 0.0
    memory: int | None = None  # bytes
    memory_used: int | None = None  # bytes, by all processes
    draining: bool = False  # whether it gets no further runs


@dataclass(frozen=True)
class Worker:
    """An owner of claims: a dispatcher, its last heartbeat, and the machines it computes on."""

    name: str
    first_seen: float
    last_seen: float
    age: float  # seconds since then, by the database's clock
    claims: int
    slots: int | None = None  # runs that it can compute at once
    held: int | None = None  # runs that it computes now
    machines: tuple[Machine, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Whether it has sent a heartbeat lately."""
        return self.age < HEARTBEAT_TIMEOUT


@dataclass(frozen=True)
class NewModel:
    """A file to be registered as a model, and what it says of itself."""

    content: bytes  # of the file
    question: str | None  # forecast, classify, …; None: it knows no columns, only its network's numbers
    targets: tuple[str, ...]
    horizon: int | None  # rows ahead, of a forecast
    network: str  # kind of the network, or the name of one's own code
    parameters: int  # n
    metrics: ModelMetrics
    provenance: Provenance


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model, without its file."""

    id: ModelId
    name: str
    version: int  # 1, 2, … of the name; none is given twice
    aliases: tuple[str, ...]  # such as production
    digest: str  # sha256 of the file
    bytes: int
    run: RunId | None  # of this store, that it comes from
    run_deleted: bool  # since then
    question: str | None
    targets: tuple[str, ...]
    horizon: int | None
    network: str
    parameters: int
    metrics: ModelMetrics
    provenance: Provenance
    owner: str  # who registered it
    note: str
    created: float

    @property
    def reference(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class ModelKey:
    """Which version of a model is meant, and its file."""

    name: str
    version: int
    digest: str  # sha256 of the file

    @property
    def reference(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class Quota:
    """Limits of an owner; -1: none."""

    owner: str  # "": all who have no limit of their own
    queued: int  # runs that wait
    running: int  # runs at work at once
    priority: int  # the highest of its jobs
    upload_bytes: int  # of all data sets that it has uploaded
    stored_bytes: int  # of its models, and of its runs' checkpoints and champions; then no more are queued, registered


@dataclass(frozen=True)
class Token:
    """An access token of the server. Its secret is shown once and never stored."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created: float
    last_used: float | None  # to the minute
    revoked: float | None  # when it was revoked; None: it was not
    expires: float | None = None  # None: never
