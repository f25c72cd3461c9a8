"""Submit a spec's runs, once per idempotency key; then cancel, resume or retry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from evornn.store.codec import digest
from evornn.store.database import Database
from evornn.store.errors import Conflict, NotFound, StoreError, retry_transaction
from evornn.store.progress import COUNTS, SUMMARY, chunks
from evornn.store.records import JobId, NewRun, RunId
from evornn.store.schema import checkpoints, events, experiments, jobs, metrics, now, progress, runs, specs
from evornn.store.transitions import expire_leases, transition


class SubmissionMixin(Database):
    """Submit, cancel, retry, resume."""

    @retry_transaction
    def submit(
        self,
        spec: dict[str, Any],
        new_runs: Sequence[NewRun],
        idempotency_key: str | None = None,
        *,
        experiment: str | None = None,
        owner: str = "",
        priority: int = 0,
    ) -> JobId:
        """Queue a job's runs.

        Args:
            spec: The spec as the user wrote it.
            new_runs: The runs that it expands to.
            idempotency_key: The same key and request of the same owner return the same job again.
            experiment: Name of the experiment; default: the spec's `name`, else "default".
            owner: User of the job.
            priority: Runs with a larger one are claimed first.

        Returns:
            Number of the job.

        Raises:
            Conflict: The key was used for another request.
            StoreError: There is no run, or a name is too long.
        """
        if not new_runs:
            raise StoreError("the spec expands to no runs: name at least one task, network, trainer and seed")
        name = experiment or str(spec.get("name") or "default")
        check_names(experiment=name, owner=owner, idempotency_key=idempotency_key or "")
        for run in new_runs:
            check_names(task=run.task, network=run.network, trainer=run.trainer)
        # A repeated key must come with an equal request, or a client would take someone else's job for its own.
        request = digest([name, spec, [_request_of(run) for run in new_runs], priority])
        with self.write_transaction() as connection:
            values = {"owner": owner, "idempotency_key": idempotency_key, "request": request}
            job = _insert_job(connection, spec, name, values)
            if job is None:
                return _existing_job(connection, owner, str(idempotency_key), request)
            each = [{**asdict(run), "job_id": job, "priority": priority} for run in new_runs]
            connection.execute(insert(runs), each)
            connection.execute(insert(events).values(job_id=job, kind="submitted", detail=f"{len(each)} runs"))
        return job

    @retry_transaction
    def cancel(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Cancel the runs of a job, or one run: queued runs at once, running ones at their next `record`.

        Returns how many. Raises NotFound.
        """
        with self.write_transaction() as connection:
            chosen = _selection(connection, job, run)
            end = {"state": "cancelled", "finished": now()}
            cancelled = transition(connection, "cancelled", end, chosen, runs.c.state == "queued")
            cancelling = transition(
                connection, "cancelling", {"state": "cancelling"}, chosen, runs.c.state == "running"
            )
            expire_leases(connection)
        return len(cancelled) + len(cancelling)

    @retry_transaction
    def resume(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed, cancelled and abandoned runs of a job, or one run; they resume from their checkpoints.

        Returns how many runs are queued now. Raises NotFound.
        """
        with self.write_transaction() as connection:
            chosen = _selection(connection, job, run)
            expire_leases(connection)
            transition(connection, "resumed", _REQUEUE, chosen, runs.c.state.in_(("failed", "cancelled")))
            waiting = select(runs.c.id).where(chosen, runs.c.state == "queued")
            return len(connection.execute(waiting).all())

    @retry_transaction
    def retry(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed runs of a job, or one run, to start over: their rows and checkpoints are deleted.

        Returns how many. Raises NotFound.
        """
        with self.write_transaction() as connection:
            chosen = _selection(connection, job, run)
            empty = dict.fromkeys((*COUNTS, *SUMMARY, "not_finite"))
            run_ids = transition(connection, "retried", {**_REQUEUE, **empty}, chosen, runs.c.state == "failed")
            for table in (progress, metrics, checkpoints):
                for part in chunks(run_ids):
                    connection.execute(delete(table).where(table.c.run_id.in_(part)))
        return len(run_ids)


NAME = 200  # characters
_REQUEUE = {"state": "queued", "failures": 0, "not_before": None, "error": None, "finished": None, "lease_until": None}


def _insert_job(connection: Connection, spec: dict[str, Any], name: str, values: dict[str, Any]) -> JobId | None:
    """Returns the new job's id, or None when this owner has used the idempotency key before."""
    ensure_row(connection, experiments, {"name": name})
    ensure_row(connection, specs, {"id": digest(spec), "data": spec})
    experiment = connection.scalar(select(experiments.c.id).where(experiments.c.name == name))
    row_id = ensure_row(connection, jobs, {"experiment_id": experiment, "spec_id": digest(spec), **values})
    return None if row_id is None else int(row_id)


def _request_of(run: NewRun) -> dict[str, Any]:
    """The part of a run that the client requested, without the digests, which the server adds."""
    return {name: value for name, value in asdict(run).items() if not name.endswith("_digest")}


def check_names(**names: str) -> None:
    """Check that names are short and can be stored in every database. Raises StoreError."""
    for what, name in names.items():
        if len(name) > NAME:
            raise StoreError(f"the {what} {name[:40]!r}… has {len(name)} characters, {NAME} are allowed: shorten it")
        if "\0" in name or name != name.encode(errors="replace").decode():
            raise StoreError(f"the {what} {name!r} has invalid characters: leave them out")


def ensure_row(connection: Connection, table: Table, values: dict[str, Any]) -> Any:
    """Insert a row unless one with the same unique columns exists.

    Args:
        connection: The open write transaction.
        table: A table with an `id`.
        values: Values of the row's columns.

    Returns:
        Id of the new row, None if there was one already.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(table.c.id)
    return connection.execute(statement).scalar_one_or_none()


def _existing_job(connection: Connection, owner: str, key: str, request: str) -> JobId:
    known = select(jobs.c.id, jobs.c.request).where(jobs.c.owner == owner, jobs.c.idempotency_key == key)
    job, first = connection.execute(known).one()
    if first != request:
        raise Conflict(f"idempotency key {key!r} was used for another request (job {job}): use a new key")
    return int(job)


def _selection(connection: Connection, job: JobId | None, run: RunId | None) -> ColumnElement[bool]:
    """The runs of a job, or one run. Raises NotFound when there is none."""
    if (job is None) == (run is None):
        raise StoreError("name either a job or a run")
    condition = runs.c.id == run if run is not None else runs.c.job_id == job
    if connection.execute(select(runs.c.id).where(condition).limit(1)).first() is None:
        raise NotFound(f"no {'job' if run is None else 'run'} {job if run is None else run}: `evornn ls` shows all")
    return condition
