"""The queue: a run is claimed under a lease, and every write to a run carries the number of its lease."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Integer,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from evornn.store import progress
from evornn.store.claims import claim_run
from evornn.store.codec import pack, split_non_finite
from evornn.store.database import Database, savepoint
from evornn.store.errors import (
    Diverged,
    Fenced,
    SerializationFailure,
    StoreError,
    Unreachable,
    Unstorable,
    is_of_memory,
    is_of_values,
    retry_transaction,
)
from evornn.store.large_checkpoints import PortionReader, PortionWriter, drop_portions
from evornn.store.reads import run_of, stored_checkpoint
from evornn.store.records import Claim, JobId, LogLine, Machine, PortionedCheckpoint, Reply, Report, RunId
from evornn.store.schema import champions, checkpoints, events, logs, now, runs, workers
from evornn.store.transitions import OPEN, expire_leases, fence, fence_all, fenced_error, release_leases, transition
from evornn.tasks.core.forecast_errors import ForecastErrors, average
from evornn.training.records import Checkpoint, Result, Row

TRIES = 3  # a run fails after this many errors
BACK_OFF = 2.0  # seconds before the second try, its square before the third, …


class LeaseMixin(Database):
    """Claim, record, finish, fail, release."""

    def claim(
        self, owner: str, lease_seconds: float = 30.0, job: JobId | None = None, gpu: bool | None = None
    ) -> Claim | None:
        """Claim the next run: of the highest priority, of the owner who has the fewest at work, the oldest.

        A run whose lease has expired is in the queue again. A run that failed is not due until its pause is over. An
        owner with as many runs at work as its quota allows waits.

        Args:
            owner: Identity of the caller, see `service/dispatch/process_identity.py`.
            lease_seconds: Length of the lease; each `record` renews it for as long.
            job: Claim only from this job, whoever owns it.
            gpu: True: only runs that need a GPU; False: only runs that need none; None: any.

        Returns:
            The claim, or None when no run is due. A run whose stored state is damaged or too large for this process
            fails here, and the next one is claimed.
        """
        while (found := self._claim(owner, {"holder": owner, "length": lease_seconds}, job, gpu)) is not None:
            claimed, stored = found
            try:
                return claimed if stored is None else replace(claimed, checkpoint=self._read(claimed, stored))
            except Fenced:
                continue
            except (StoreError, MemoryError, TypeError, ValueError) as error:
                if isinstance(error, (Unreachable, SerializationFailure)):
                    raise
                with suppress(Fenced), self.write_transaction() as connection:
                    fence(connection, claimed.run.id, claimed.lease)
                    _give_up(connection, claimed.run.id, error)
        return None

    @retry_transaction
    def _claim(
        self, owner: str, lease: dict[str, Any], job: JobId | None, gpu: bool | None
    ) -> tuple[Claim, PortionedCheckpoint | None] | None:
        """The claim, and a large checkpoint that is still to be read."""
        with self.write_transaction() as connection:
            # In the same transaction as the claim: a dead worker's run is requeued and can be claimed right here.
            expire_leases(connection, owner)
            while (run := claim_run(connection, lease, job, gpu)) is not None:
                try:
                    with savepoint(connection):  # a run that can't be read leaves the others in the queue
                        return _make_claim(connection, run, owner)
                except (StoreError, MemoryError, TypeError, ValueError) as error:
                    _give_up(connection, run, error)
        return None

    def _read(self, claimed: Claim, stored: PortionedCheckpoint) -> Checkpoint:
        """A large checkpoint, for each portion of which the lease is renewed."""
        reader = PortionReader(stored)
        while not reader.is_complete:
            with self.write_transaction() as connection:
                fence(connection, claimed.run.id, claimed.lease)
                reader.read(connection, claimed.run.id)
        return reader.checkpoint

    @retry_transaction
    def record(
        self,
        run: RunId,
        lease: int,
        rows: Sequence[Row] = (),
        checkpoint: Checkpoint | PortionedCheckpoint | None = None,
        log: Sequence[LogLine] = (),
        network_steps: int | None = None,
    ) -> Reply:
        """Write rows, checkpoint, summary and log lines, and renew the lease, in one transaction.

        Without rows it is a heartbeat.

        Args:
            run: The run.
            lease: Number of the lease, from the claim.
            rows: New rows, one per budget mark; rows that are stored already are compared.
            checkpoint: State to resume from; replaces the previous checkpoint.
            log: Lines that the run logged.
            network_steps: Network steps spent so far, also between two marks.

        Returns:
            Whether a user has asked to cancel the run.

        Raises:
            Fenced: The lease is no longer ours. Nothing is written.
            Diverged: A recomputed row differs from the stored one. Nothing is written.
        """
        with self.write_transaction() as connection:
            # First of all: the UPDATE of the fence locks the run's row, so that nobody else claims it until we commit.
            state = fence(connection, run, lease)["state"]
            _write(connection, run, rows, log)
            _advance(connection, run, checkpoint, network_steps)
        return Reply(cancel_requested=state == "cancelling")

    @retry_transaction
    def write_portion(self, run: RunId, lease: int, writer: PortionWriter) -> None:
        """Write the next portion of a large checkpoint, and renew the lease.

        Raises Fenced; StoreError for what can't be stored.
        """
        with self.write_transaction() as connection:
            fence(connection, run, lease)
            try:
                with savepoint(connection):
                    writer.write(connection, run)
            except Exception as error:
                raise error if isinstance(error, StoreError) else _error_of_report(run, error) from error
        writer.advance()

    @retry_transaction
    def record_all(self, reports: Sequence[Report]) -> dict[RunId, bool | StoreError]:
        """Record the reports of many runs in one transaction; a report with a result finishes its run.

        Args:
            reports: At most one report per run.

        Returns:
            For each run, whether a user has asked to cancel it; or the error that concerns this run alone: Fenced,
            Diverged, or a StoreError for values that can't be stored. Nothing of its report is written then; the other
            reports are.
        """
        answers: dict[RunId, bool | StoreError] = {}
        with self.write_transaction() as connection:
            # One statement renews all leases; runs that it doesn't return were claimed by someone else meanwhile.
            ours = fence_all(connection, [(report.run, report.lease) for report in reports])
            for report in reports:
                row, error = ours.get(report.run), fenced_error(report.run, report.lease)
                answers[report.run] = error if row is None else _write_report(connection, report, row["state"])
        return answers

    @retry_transaction
    def finish(
        self, run: RunId, lease: int, result: Result, rows: Sequence[Row] = (), log: Sequence[LogLine] = ()
    ) -> None:
        """Mark the run as succeeded, even if a user asked to cancel it meanwhile, and delete its checkpoint.

        Args:
            run: The run.
            lease: Number of the lease, from the claim.
            result: Champion, losses, cost and environment of the run.
            rows: Rows that were not recorded yet.
            log: Lines that were not recorded yet.

        Raises:
            Fenced: The lease is no longer ours. Nothing is written.
            Diverged: A recomputed row differs from the stored one. Nothing is written.
        """
        with self.write_transaction() as connection:
            fence(connection, run, lease)
            _write(connection, run, rows, log)
            _succeed(connection, run, result)

    @retry_transaction
    def fail(self, run: RunId, lease: int, error: str, retry: bool) -> str:
        """Count an error of the run, and queue it again or give it up.

        Args:
            run: The run.
            lease: Number of the lease, from the claim.
            error: The message, for the user.
            retry: False when another try would end the same way.

        Returns:
            The new state: "queued" (due after a pause) while tries are left, "failed", or "cancelled" if a user asked
            for that.

        Raises:
            Fenced: The lease is no longer ours. Nothing is written.
        """
        with self.write_transaction() as connection:
            row = fence(connection, run, lease)
            # A user's wish to cancel beats another try; the error is kept either way.
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
        """Give the run back to the queue; a run that a user asked to cancel is cancelled now.

        For a worker that stops or a machine that died: no failure is counted. Raises Fenced.
        """
        with self.write_transaction() as connection:
            fence(connection, run, lease)
            release_leases(connection, "released", runs.c.id == run)

    @retry_transaction
    def release_owner(self, owner: str) -> int:
        """Release all runs of an owner that is known to be dead. Returns how many."""
        with self.write_transaction() as connection:
            return release_leases(connection, "released", runs.c.lease_owner == owner)

    @retry_transaction
    def heartbeat(self, owner: str, slots: int, held: int, machines: Sequence[Machine] = ()) -> None:
        """Record that a dispatcher is alive.

        Args:
            owner: Identity of the dispatcher.
            slots: How many runs it can compute at once.
            held: How many runs it computes now.
            machines: The machines that it computes on.
        """
        with self.write_transaction() as connection:
            _upsert_worker(
                connection, owner, {"slots": slots, "held": held, "machines": [asdict(one) for one in machines]}
            )

    def live_owners(self) -> list[str]:
        """Owners of leases that have not expired."""
        live = select(runs.c.lease_owner).where(runs.c.state.in_(OPEN), runs.c.lease_until > now())
        with self.read_transaction() as connection:
            return sorted(connection.scalars(live.distinct()))

    def lapsed_owners(self) -> list[str]:
        """Owners of leases that have expired, which the next claim ends."""
        lapsed = select(runs.c.lease_owner).where(runs.c.state.in_(OPEN), runs.c.lease_until <= now())
        with self.read_transaction() as connection:
            return sorted(connection.scalars(lapsed.distinct()))

    def now(self) -> float:
        """The time by the database's clock, in UTC epoch seconds: on SQLite, that of this machine."""
        with self.read_transaction() as connection:
            return float(connection.scalar(select(now())) or 0.0)


def _make_claim(connection: Connection, run: RunId, owner: str) -> tuple[Claim, PortionedCheckpoint | None]:
    record = run_of(connection, run)
    note = {"job_id": record.job, "run_id": run, "kind": "claimed", "detail": f"lease {record.lease}", "actor": owner}
    connection.execute(insert(events).values(**note))
    _upsert_worker(connection, owner, {}, claims=1)
    stored = stored_checkpoint(connection, run)
    if isinstance(stored, PortionedCheckpoint):
        return Claim(record, record.lease, None), stored
    return Claim(record, record.lease, stored), None


def _give_up(connection: Connection, run: RunId, error: Exception) -> None:
    """Fail a run that can't be read: it would meet every dispatcher, and end each of them."""
    reason = "too little memory to read its checkpoint" if isinstance(error, MemoryError) else str(error)
    text = f"{reason}: `evornn retry` starts it over" if not isinstance(error, StoreError) else reason
    values = {"state": "failed", "error": text, "finished": now(), "lease_until": None}
    transition(connection, "failed", values, runs.c.id == run, detail=text)


def _write_report(connection: Connection, report: Report, state: str) -> bool | StoreError:
    """Write the report of one of many runs. Returns whether the run is to be cancelled, or what is wrong with it."""
    try:
        # A savepoint: what fails here takes back this report and leaves those of the other runs.
        with savepoint(connection):
            _write(connection, report.run, report.rows, ())
            _advance(connection, report.run, report.checkpoint, report.network_steps)
            if report.result is not None:
                _succeed(connection, report.run, report.result)
    except (Diverged, Unstorable) as error:
        return error
    except Exception as error:
        return _error_of_report(report.run, error)
    return state == "cancelling"


def _error_of_report(run: RunId, error: Exception) -> StoreError:
    """The error of one report among many. Any other error is raised: it is of the database, and the whole transaction
    is lost."""
    if is_of_memory(error):
        return StoreError(f"run {run}: too little memory to store its report: use a smaller network or population")
    if not is_of_values(error):
        raise error
    cause = str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
    return Unstorable(f"run {run}: its report can't be stored ({type(error).__name__}: {cause})")


def _write(connection: Connection, run: RunId, rows: Sequence[Row], log: Sequence[LogLine]) -> None:
    if rows:
        progress.write(connection, run, rows)
        connection.execute(update(runs).where(runs.c.id == run).values(**progress.summary(rows[-1])))
    for line in log:
        when = now() if line.time is None else line.time
        connection.execute(insert(logs).values(run_id=run, level=line.level, message=line.message, time=when))


def _advance(
    connection: Connection, run: RunId, checkpoint: Checkpoint | PortionedCheckpoint | None, network_steps: int | None
) -> None:
    if checkpoint is not None:
        _save_checkpoint(connection, run, checkpoint)
    if network_steps is not None:
        connection.execute(update(runs).where(runs.c.id == run).values(network_steps=int(network_steps)))


def _succeed(connection: Connection, run: RunId, result: Result) -> None:
    genome = pack({"genome": result.genome})
    champion = {"run_id": run, "genome": genome, "environment": result.environment}
    connection.execute(insert(champions).values(**champion))
    connection.execute(delete(checkpoints).where(checkpoints.c.run_id == run))  # its portions: `sweep`
    end = {"state": "succeeded", "finished": now(), "lease_until": None, "error": None}
    transition(connection, "succeeded", {**end, **_result_columns(connection, run, result)}, runs.c.id == run)


def _save_checkpoint(connection: Connection, run: RunId, checkpoint: Checkpoint | PortionedCheckpoint) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    if isinstance(checkpoint, PortionedCheckpoint):
        edition, arrays = checkpoint.edition, b""
    else:
        edition, arrays = None, pack(checkpoint.arrays)
    values = {"mark": int(checkpoint.mark), "arrays": arrays, "edition": edition, "plain": checkpoint.plain}
    values |= {"created": now()}
    statement = dialect.insert(checkpoints).values(run_id=run, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id"], set_=values))
    if edition is None:  # a state that is small again; portions of earlier editions: `sweep`
        drop_portions(connection, run)


def _result_columns(connection: Connection, run: RunId, result: Result) -> dict[str, Any]:
    """Columns of the run that show its result; those of the last row stay."""
    before = connection.execute(select(runs.c.not_finite).where(runs.c.id == run)).scalar_one() or {}
    values = {field.name: getattr(result, field.name) for field in fields(Result) if field.name in runs.c}
    values |= _average_errors(result.forecast_errors)
    numbers, non_finite = split_non_finite({name: values[name] for name in values if _is(Double, name)})
    counts = {name: None if values[name] is None else int(values[name]) for name in values if _is(Integer, name)}
    kept = {name: text for name, text in before.items() if name not in numbers}
    hits = {target: int(steps) for target, steps in result.hits.items()}
    return {**values, **numbers, **counts, "hits": hits, "not_finite": {**kept, **(non_finite or {})} or None}


def _average_errors(by_target: dict[str, dict[str, float | None]] | None) -> dict[str, float | None]:
    """Columns of the run that show the errors of its forecasts."""
    if not by_target:
        return {}
    return asdict(average({target: ForecastErrors(**errors) for target, errors in by_target.items()}))


def _is(kind: type[Any], name: str) -> bool:
    return isinstance(runs.c[name].type, kind)


def _upsert_worker(connection: Connection, owner: str, columns: dict[str, Any], claims: int = 0) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = {"name": owner, "first_seen": now(), "last_seen": now(), "claims": claims, **columns}
    known = {"last_seen": now(), "claims": workers.c.claims + claims, **columns}
    connection.execute(dialect.insert(workers).values(**new).on_conflict_do_update(index_elements=["name"], set_=known))
