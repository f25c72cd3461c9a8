"""The queue: a run is claimed under a lease, and every write that a run makes carries the lease's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.sql.dml import ReturningUpdate

from evornn.store import progress
from evornn.store.codec import pack, split_non_finite
from evornn.store.database import Database
from evornn.store.errors import Diverged, StoreError, retry_transaction
from evornn.store.reads import checkpoint_of, run_of
from evornn.store.records import Claim, JobId, LogLine, Machine, Reply, Report, RunId
from evornn.store.schema import champions, checkpoints, events, gpus, logs, now, runs, workers
from evornn.store.transitions import OPEN, expire_leases, fence, fence_all, fenced_error, release_leases, transition
from evornn.training.records import Checkpoint, Result, Row

TRIES = 3  # a run that raised this many errors has failed
BACK_OFF = 2.0  # seconds before the second try, its square before the third, …


class LeaseMixin(Database):
    """Claim, record, finish, fail, release."""

    @retry_transaction
    def claim(
        self, owner: str, lease_seconds: float = 30.0, job: JobId | None = None, gpu: bool | None = None
    ) -> Claim | None:
        """The next run of the queue (of one job): highest priority first, then oldest. None when there is none now.

        With `gpu` only runs that need a GPU, or only those that don't. Runs that wait for another try after a failure
        are not due yet; runs whose lease is over are.
        """
        with self.write_transaction() as connection:
            expire_leases(connection)
            values = {"owner": owner, "length": lease_seconds, **({} if job is None else {"job": job})}
            run = connection.execute(_claim_statement(job is not None, gpu), values).scalar_one_or_none()
            return None if run is None else _make_claim(connection, run, owner)

    @retry_transaction
    def record(
        self,
        run: RunId,
        lease: int,
        rows: Sequence[Row] = (),
        checkpoint: Checkpoint | None = None,
        log: Sequence[LogLine] = (),
        network_steps: int | None = None,
    ) -> Reply:
        """Rows, checkpoint, summary, log lines and the renewed lease in one transaction.

        Without rows it is a heartbeat; `network_steps` then says how far the run is between two marks. Raises Fenced
        when the lease is not ours, Diverged when a recomputed row differs: then nothing is written.
        """
        with self.write_transaction() as connection:
            state = fence(connection, run, lease)["state"]
            _write(connection, run, rows, log)
            _advance(connection, run, checkpoint, network_steps)
        return Reply(cancel_requested=state == "cancelling")

    @retry_transaction
    def record_all(self, reports: Sequence[Report]) -> dict[RunId, bool | StoreError]:
        """What many runs have to say, in one transaction. Answers for each whether it is to be cancelled.

        The answer is an error where that run alone couldn't be written down: Fenced, Diverged, or a StoreError for what
        is no plain data. Nothing of it was written then; the others were.
        """
        answers: dict[RunId, bool | StoreError] = {}
        with self.write_transaction() as connection:
            ours = fence_all(connection, [(report.run, report.lease) for report in reports])
            for report in reports:
                row, error = ours.get(report.run), fenced_error(report.run, report.lease)
                answers[report.run] = error if row is None else _write_report(connection, report, row["state"])
        return answers

    @retry_transaction
    def finish(
        self, run: RunId, lease: int, result: Result, rows: Sequence[Row] = (), log: Sequence[LogLine] = ()
    ) -> None:
        """The run succeeded, even if it was to be cancelled. Its checkpoint has no more use and goes.

        Raises Fenced, Diverged.
        """
        with self.write_transaction() as connection:
            fence(connection, run, lease)
            _write(connection, run, rows, log)
            _succeed(connection, run, result)

    @retry_transaction
    def fail(self, run: RunId, lease: int, error: str, retry: bool) -> str:
        """The run raised an error. Answers its new state: queued (after a pause, while `retry` and tries are left),
        failed, or cancelled if that was asked. Raises Fenced."""
        with self.write_transaction() as connection:
            row = fence(connection, run, lease)
            failures = row["failures"] + 1
            retry_later = retry and failures < TRIES
            state = "cancelled" if row["state"] == "cancelling" else "queued" if retry_later else "failed"
            values: dict[str, Any] = {"state": state, "failures": failures, "error": error, "lease_until": None}
            values |= {"not_before": now() + BACK_OFF**failures} if state == "queued" else {"finished": now()}
            transition(
                connection, "cancelled" if state == "cancelled" else "failed", values, runs.c.id == run, detail=error
            )
        return state

    @retry_transaction
    def release(self, run: RunId, lease: int) -> None:
        """Give the run back, to be claimed by anyone; a run that was to be cancelled is cancelled now.

        For a worker that stops or a machine that died: no failure is counted. Raises Fenced.
        """
        with self.write_transaction() as connection:
            fence(connection, run, lease)
            release_leases(connection, "released", runs.c.id == run)

    @retry_transaction
    def release_owner(self, owner: str) -> int:
        """Release all runs of an owner that is known to be dead. Answers how many."""
        with self.write_transaction() as connection:
            return release_leases(connection, "released", runs.c.lease_owner == owner)

    @retry_transaction
    def heartbeat(self, owner: str, slots: int, held: int, machines: Sequence[Machine] = ()) -> None:
        """A dispatcher's heartbeat: it is there, can compute `slots` runs at once, computes `held`, on `machines`."""
        with self.write_transaction() as connection:
            _upsert_worker(
                connection, owner, {"slots": slots, "held": held, "machines": [asdict(one) for one in machines]}
            )

    def live_owners(self) -> list[str]:
        """Who holds a lease that is not over."""
        live = select(runs.c.lease_owner).where(runs.c.state.in_(OPEN), runs.c.lease_until > now())
        with self.read_transaction() as connection:
            return sorted(connection.scalars(live.distinct()))


@cache  # building costs more than running
def _claim_statement(of_job: bool, gpu: bool | None) -> ReturningUpdate[int]:
    """Parameters: owner, length (of the lease in seconds), and job."""
    which: list[ColumnElement[bool]] = [runs.c.job_id == bindparam("job")] if of_job else []
    if gpu is not None:
        which.append(gpus(runs.c.fragments) > 0 if gpu else gpus(runs.c.fragments) == 0)
    due = or_(runs.c.not_before.is_(None), runs.c.not_before <= now())
    queued = select(runs.c.id).where(runs.c.state == "queued", due, *which)
    first = (
        queued.order_by(runs.c.priority.desc(), runs.c.id).limit(1).with_for_update(skip_locked=True, key_share=True)
    )
    lease = {"lease": runs.c.lease + 1, "lease_owner": bindparam("owner"), "lease_seconds": bindparam("length")}
    times = {"lease_until": now() + bindparam("length"), "started": func.coalesce(runs.c.started, now())}
    change = {"state": "running", "not_before": None, **lease, **times}
    return update(runs).where(runs.c.id == first.scalar_subquery()).values(**change).returning(runs.c.id)


def _make_claim(connection: Connection, run: RunId, owner: str) -> Claim:
    record = run_of(connection, run)
    note = {"job_id": record.job, "run_id": run, "kind": "claimed", "detail": f"by {owner}, lease {record.lease}"}
    connection.execute(insert(events).values(**note))
    _upsert_worker(connection, owner, {}, claims=1)
    return Claim(record, record.lease, checkpoint_of(connection, run))


def _write_report(connection: Connection, report: Report, state: str) -> bool | StoreError:
    """One of many runs: whether it is to be cancelled, or what is wrong with it."""
    try:
        with connection.begin_nested():
            _write(connection, report.run, report.rows, ())
            _advance(connection, report.run, report.checkpoint, report.network_steps)
            if report.result is not None:
                _succeed(connection, report.run, report.result)
    except Diverged as diverged:
        return diverged
    except (StatementError, TypeError, ValueError) as error:
        if isinstance(error, DBAPIError):
            raise
        return StoreError(f"run {report.run}: what it says can't be stored ({type(error).__name__}: {error})")
    return state == "cancelling"


def _write(connection: Connection, run: RunId, rows: Sequence[Row], log: Sequence[LogLine]) -> None:
    if rows:
        progress.write(connection, run, rows)
        connection.execute(update(runs).where(runs.c.id == run).values(**progress.summary(rows[-1])))
    for line in log:
        when = now() if line.time is None else line.time
        connection.execute(insert(logs).values(run_id=run, level=line.level, message=line.message, time=when))


def _advance(connection: Connection, run: RunId, checkpoint: Checkpoint | None, network_steps: int | None) -> None:
    if checkpoint is not None:
        _save_checkpoint(connection, run, checkpoint)
    if network_steps is not None:
        connection.execute(update(runs).where(runs.c.id == run).values(network_steps=int(network_steps)))


def _succeed(connection: Connection, run: RunId, result: Result) -> None:
    genome = pack({"genome": result.genome})
    champion = {"run_id": run, "genome": genome, "environment": result.environment}
    connection.execute(insert(champions).values(**champion))
    connection.execute(delete(checkpoints).where(checkpoints.c.run_id == run))
    end = {"state": "succeeded", "finished": now(), "lease_until": None, "error": None}
    transition(connection, "succeeded", {**end, **_result_columns(connection, run, result)}, runs.c.id == run)


def _save_checkpoint(connection: Connection, run: RunId, checkpoint: Checkpoint) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    arrays = pack(checkpoint.arrays)
    values = {"mark": int(checkpoint.mark), "arrays": arrays, "plain": checkpoint.plain, "created": now()}
    statement = dialect.insert(checkpoints).values(run_id=run, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id"], set_=values))


def _result_columns(connection: Connection, run: RunId, result: Result) -> dict[str, Any]:
    """The run's columns that show its result, beside what the last row left there."""
    before = connection.execute(select(runs.c.not_finite).where(runs.c.id == run)).scalar_one() or {}
    names = ("train_loss", "valid_loss", "test_loss", "test_score", "seconds")
    values, non_finite = split_non_finite({name: getattr(result, name) for name in names})
    counts = {name: int(getattr(result, name)) for name in ("network_steps", "evaluations", "updates")}
    kept = {name: text for name, text in before.items() if name not in names}
    return {
        **counts,
        **values,
        "not_finite": {**kept, **(non_finite or {})} or None,
        "score": result.score,
        "solved": result.solved,
        "stopped_by": result.stopped_by,
        "hits": {target: int(steps) for target, steps in result.hits.items()},
    }


def _upsert_worker(connection: Connection, owner: str, columns: dict[str, Any], claims: int = 0) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = {"name": owner, "first_seen": now(), "last_seen": now(), "claims": claims, **columns}
    known = {"last_seen": now(), "claims": workers.c.claims + claims, **columns}
    connection.execute(dialect.insert(workers).values(**new).on_conflict_do_update(index_elements=["name"], set_=known))
