"""The tables. Times are seconds since 1970-01-01 UTC by the database's clock. See `docs/reference/store.md`.

A change needs a migration in `migrations/versions/` and its number in HEAD; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from evornn.store.codec import AnyText, Json

HEAD = "0010"  # the newest migration
VERSION_TABLE = "evornn_schema"
VIEWS = ("results", "leaderboard", "comparisons", "learning_curves", "models")  # public, as are the next
TABLES = (
    *("experiments", "specs", "jobs", "runs", "progress", "metric_keys", "metrics", "events", "logs", "workers"),
    *("registered_models", "model_versions", "model_aliases"),
)
PHASES = ("filling", "complete", "emptying")  # of a job: its runs are being inserted, there, being deleted
ARCHIVED = "archived IS NOT NULL"
UNSEEN = "phase <> 'complete'"
STATES = ("queued", "running", "succeeded", "failed", "cancelling", "cancelled")

metadata = MetaData(
    naming_convention={  # migrations in batch mode find constraints by name
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_Id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER keys number themselves in SQLite


class now(FunctionElement[float]):
    """The database's clock: seconds since 1970 UTC."""

    type = Double()
    inherit_cache = True


@compiles(now)
def _now(element: now, compiler: Any, **kw: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) AS double precision)"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def _id() -> Column[int]:
    return Column("id", _Id, primary_key=True)


def _belongs(table: str, *, key: bool = False, index: bool = True, null: bool = False) -> Column[int]:
    """A foreign key `<singular>_id`; deleting a row deletes the rows that belong to it."""
    target = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(f"{table.removesuffix('s')}_id", _Id, target, primary_key=key, index=index and not key, nullable=null)


def _time(name: str = "created") -> Column[float]:
    return Column(name, Double, nullable=False, default=now())


experiments = Table("experiments", metadata, _id(), Column("name", String(200), nullable=False, unique=True), _time())

specs = Table(
    "specs",
    metadata,
    Column("id", String(64), primary_key=True),  # sha256 of the canonical JSON
    Column("data", Json, nullable=False),
    _time(),
)

jobs = Table(  # a job is one submitted spec
    "jobs",
    metadata,
    _id(),
    _belongs("experiments", index=False),
    Column("spec_id", String(64), ForeignKey("specs.id"), nullable=False, index=True),
    Column("owner", String(200), nullable=False, default=""),  # who submitted it
    Column("idempotency_key", String(200)),
    Column("request", String(64), nullable=False),  # sha256 of all that was submitted
    Column("phase", String(10), nullable=False, default="complete"),  # PHASES: only complete jobs are visible
    Column("phase_until", Double),  # until then, a process fills or empties the job; later, another one may take over
    Column("archived", Double),  # when it was taken out of the lists; NULL: it is there
    Column("size", Integer, nullable=False, default=0),  # runs that it will have, while it is being filled
    _time(),
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_jobs_archived", "archived", sqlite_where=text(ARCHIVED), postgresql_where=text(ARCHIVED)),
    Index("ix_jobs_phase", "phase", sqlite_where=text(UNSEEN), postgresql_where=text(UNSEEN)),
    Index("ix_jobs_experiment_id_created", "experiment_id", "created"),
)

runs = Table(  # a run is the unit that is claimed, resumed and compared
    "runs",
    metadata,
    _id(),
    _belongs("jobs", index=False),
    Column("position", Integer, nullable=False),  # 0, 1, … within the job
    Column("task", String(200), nullable=False),  # labels
    Column("network", String(200), nullable=False),
    Column("trainer", String(200), nullable=False),
    Column("fragments", Json, nullable=False),  # what builds task, network and trainer
    Column("seed", BigInteger, nullable=False),
    Column("budget", Json, nullable=False),
    Column("parameters", BigInteger),  # n
    Column("data_digest", String(64)),  # of the data that the run was submitted with
    Column("code_digest", String(64)),  # of the user's own code that it names
    Column("state", String(10), nullable=False, default="queued"),
    Column("owner", String(200), nullable=False, default=""),  # of the job: owners share the slots
    Column("batch", _Id, nullable=False, default=0),  # number of a job that was queued in portions, else 0
    Column("gpu", Boolean, nullable=False, default=False),  # whether it needs one
    Column("priority", Integer, nullable=False, default=0),
    Column("not_before", Double),  # back-off after a failure
    Column("lease", Integer, nullable=False, default=0),  # grows at each claim: the fencing token
    Column("lease_owner", String(200)),
    Column("lease_seconds", Double),
    Column("lease_until", Double),
    Column("failures", Integer, nullable=False, default=0),  # errors the run itself raised
    Column("error", AnyText),
    Column("mark", Integer),  # from here on: summary of the last row and of the result
    Column("network_steps", BigInteger),
    Column("evaluations", BigInteger),
    Column("updates", BigInteger),
    Column("best", Double),
    Column("champion_valid", Double),
    Column("train_loss", Double),
    Column("valid_loss", Double),
    Column("test_loss", Double),
    Column("score", String(200)),  # what test_score is, in the task's own terms
    Column("test_score", Double),
    Column("solved", Boolean),
    *(Column(name, Double) for name in ("rmse", "mae", "mase", "r2")),  # on test, over all targets: forecast_errors
    Column("forecast_errors", Json),  # target → these four
    Column("seconds", Double),
    Column("stopped_by", String(20)),
    Column("hits", Json),
    Column("not_finite", Json),  # {"best": "nan"}: such a column is NULL
    _time(),
    Column("started", Double),  # first claim
    Column("finished", Double),
    UniqueConstraint("job_id", "position"),
    CheckConstraint(f"state IN {STATES}", name="state"),
    Index("ix_runs_claim", "state", "gpu", text("priority DESC"), "owner", "batch", "id"),  # claims.py
    Index("ix_runs_lease", "state", "lease_until"),
    Index("ix_runs_job_id_state", "job_id", "state", "finished"),  # how far jobs are
    *(Index(f"ix_runs_{name}_id", name, "id") for name in ("state", "task", "network", "trainer")),  # pages of a filter
)

progress = Table(  # one row per run and budget mark: training/records.Row
    "progress",
    metadata,
    _belongs("runs", key=True),
    Column("mark", Integer, primary_key=True, autoincrement=False),
    Column("network_steps", BigInteger, nullable=False),
    Column("evaluations", BigInteger, nullable=False),
    Column("updates", BigInteger, nullable=False),
    *(Column(name, Double) for name in ("best", "mean", "median", "q25", "q75", "valid", "champion_valid", "seconds")),
    Column("not_finite", Json),
)

metric_keys = Table("metric_keys", metadata, _id(), Column("name", String(200), nullable=False, unique=True))

metrics = Table(  # what only some trainers report: Row.extra
    "metrics",
    metadata,
    _belongs("runs", key=True),
    Column("mark", Integer, primary_key=True, autoincrement=False),
    Column("key_id", _Id, ForeignKey("metric_keys.id"), primary_key=True, index=True),
    Column("value", Double),
    Column("status", String(4)),  # nan, inf, -inf: then value is NULL
)

checkpoints = Table(  # the latest of an unfinished run
    "checkpoints",
    metadata,
    _belongs("runs", key=True),
    Column("mark", Integer, nullable=False),
    Column("arrays", LargeBinary, nullable=False),  # safetensors; empty: they are in portions
    Column("edition", Integer),  # of the portions
    Column("plain", Json, nullable=False),
    _time(),
)

checkpoint_portions = Table(  # of the arrays of large checkpoints: large_checkpoints.py
    "checkpoint_portions",
    metadata,
    _belongs("runs", key=True),
    Column("edition", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

champions = Table(  # one row per finished run
    "champions",
    metadata,
    _belongs("runs", key=True),
    Column("genome", LargeBinary, nullable=False),  # safetensors, "genome" [n]
    Column("environment", Json, nullable=False),
)

evaluation_data = Table(  # what judges runs, whatever becomes of the data: evaluation_data.py
    "evaluation_data",
    metadata,
    Column("digest", String(64), primary_key=True),  # runs.data_digest
    Column("plain", Json, nullable=False),
    Column("arrays", LargeBinary, nullable=False),  # safetensors; empty: too large
    _time(),
)

registered_models = Table(  # names of models: registry.py
    "registered_models",
    metadata,
    _id(),
    Column("name", String(100), nullable=False, unique=True),
    Column("owner", String(200), nullable=False, default=""),  # who may change it
    Column("versions", Integer, nullable=False, default=0),  # the highest number that was given: none is given twice
    _time(),
)

model_versions = Table(
    "model_versions",
    metadata,
    _id(),
    _belongs("registered_models", index=False),
    Column("version", Integer, nullable=False),  # 1, 2, … of the name
    Column("digest", String(64), nullable=False),  # sha256 of the file
    Column("bytes", BigInteger, nullable=False),
    Column("run_id", _Id, ForeignKey("runs.id", ondelete="SET NULL"), index=True),  # NULL: none, or deleted
    Column("run_number", _Id),  # of the run that it comes from, whatever became of it
    Column("question", String(20)),
    Column("targets", Json, nullable=False),
    Column("horizon", Integer),
    Column("network", String(200), nullable=False),
    Column("parameters", BigInteger, nullable=False),
    *(Column(name, Double) for name in ("valid_loss", "test_loss", "test_score")),
    Column("score", String(200)),
    Column("metrics", Json, nullable=False),  # all: models/origin.py, as is
    Column("provenance", Json, nullable=False),
    Column("data_digest", String(64)),
    Column("owner", String(200), nullable=False, default="", index=True),  # who registered it
    Column("note", AnyText, nullable=False, default=""),
    _time(),
    UniqueConstraint("registered_model_id", "version"),
)

model_files = Table(  # apart, so that lists don't read them
    "model_files",
    metadata,
    _belongs("model_versions", key=True),
    Column("content", LargeBinary, nullable=False),  # safetensors: models/saved_model.py
)

model_aliases = Table(  # names for versions, such as production
    "model_aliases",
    metadata,
    _belongs("registered_models", key=True),
    Column("alias", String(100), primary_key=True),
    _belongs("model_versions"),
)

events = Table(  # of jobs and runs
    "events",
    metadata,
    _id(),
    _time("time"),
    _belongs("jobs"),
    _belongs("runs", null=True),
    Column("kind", String(20), nullable=False),
    Column("actor", String(200), nullable=False, default=""),  # a token, local:USER, a dispatcher; "": not recorded
    Column("detail", AnyText, nullable=False, default=""),
)

logs = Table(
    "logs",
    metadata,
    _id(),
    _time("time"),
    _belongs("runs"),
    Column("level", String(10), nullable=False),
    Column("message", AnyText, nullable=False),
)

workers = Table(  # owners of claims: dispatchers and their heartbeats
    "workers",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("claims", BigInteger, nullable=False),
    Column("slots", Integer),  # runs that it can compute at once
    Column("held", Integer),  # runs that it computes now
    Column("machines", Json),  # that it computes on: list of records.Machine
)

tokens = Table(  # access tokens of the server
    "tokens",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True),  # sha256 of the secret
    Column("scopes", Json, nullable=False),
    _time(),
    Column("last_used", Double),
    Column("revoked", Double),
    Column("expires", Double),  # NULL: never
)

quotas = Table(  # limits of owners: quotas.py
    "quotas",
    metadata,
    Column("owner", String(200), primary_key=True),  # "": of all who have no limit of their own
    *(Column(name, BigInteger) for name in ("queued", "running", "priority", "upload_bytes", "stored_bytes")),
)

uploads = Table(  # data sets that count towards an owner's quota
    "uploads",
    metadata,
    Column("owner", String(200), primary_key=True),
    Column("name", String(200), primary_key=True),  # of the file
    Column("bytes", BigInteger, nullable=False),
    _time(),
)

readers = Table(  # the role of users' queries on PostgreSQL: reader.py
    "readers",
    metadata,
    Column("role", String(63), primary_key=True),
    Column("password", String(64), nullable=False),
)
