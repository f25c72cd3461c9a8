"""Submit a spec's runs, once per idempotency key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from hashlib import sha256
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from evornn.store.actors import local_actor
from evornn.store.codec import SharedEncoder, digest, dumps
from evornn.store.database import Database
from evornn.store.errors import Conflict, Fenced, StoreError, retry_transaction
from evornn.store.filling import PATIENCE, PORTION, abandon, complete, fill, run_rows
from evornn.store.names import check_names
from evornn.store.quotas import check_submission
from evornn.store.records import JobId, NewRun
from evornn.store.schema import events, experiments, jobs, now, runs, specs


class SubmissionMixin(Database):
    """Submit."""

    def submit(
        self,
        spec: dict[str, Any],
        new_runs: Sequence[NewRun],
        idempotency_key: str | None = None,
        *,
        experiment: str | None = None,
        owner: str = "",
        priority: int = 0,
        limited: bool = True,
    ) -> JobId:
        """Queue a job's runs: all or none, however many. Other writers needn't wait for a large job.

        Args:
            spec: The spec as the user wrote it.
            new_runs: The runs that it expands to.
            idempotency_key: The same key and request of the same owner return the same job again.
            experiment: Name of the experiment; default: the spec's `name`, else "default".
            owner: User of the job.
            priority: Runs with a larger one are claimed first.
            limited: Whether the owner's quota holds; "" has none.

        Returns:
            Number of the job.

        Raises:
            Conflict: The key was used for another request.
            QuotaExceeded: The owner has too many queued runs, or may not use this priority.
            StoreError: There is no run, a name is too long, or another process is queueing the job at this moment.
        """
        if not new_runs:
            raise StoreError("the spec expands to no runs: name at least one task, network, trainer and seed")
        name = experiment or str(spec.get("name") or "default")
        check_names(experiment=name, owner=owner, idempotency_key=idempotency_key or "")
        _check_labels(new_runs)
        # A repeated key must come with an equal request, or a client would take someone else's job for its own.
        request = _request_digest(name, spec, new_runs, priority)
        values = {"owner": owner, "idempotency_key": idempotency_key, "request": request}
        common = {"owner": owner, "priority": priority}
        job, until = self._begin(spec, new_runs, name, values, common, limited and owner != "")
        if until is not None:
            self._fill(job, new_runs, {**common, "batch": job}, until)
        return job

    def _fill(self, job: JobId, new_runs: Sequence[NewRun], common: dict[str, Any], until: float) -> None:
        try:
            fill(self, job, new_runs, common, until)
            with self.write_transaction() as connection:
                complete(connection, job)
                _note_submission(connection, job, len(new_runs), common["owner"])
        except Fenced:
            raise
        except BaseException:
            abandon(self, job)
            raise

    @retry_transaction
    def _begin(
        self,
        spec: dict[str, Any],
        new_runs: Sequence[NewRun],
        name: str,
        values: dict[str, Any],
        common: dict[str, Any],
        limited: bool,
    ) -> tuple[JobId, float | None]:
        """The job, and until when it is ours to be filled; None if it is complete, as small ones are at once."""
        large = len(new_runs) > PORTION
        rows = [] if large else run_rows(new_runs, SharedEncoder(), common)
        phase = {"phase": "filling", "phase_until": now() + PATIENCE, "size": len(new_runs)} if large else {}
        with self.write_transaction() as connection:
            job = _insert_job(connection, spec, name, {**values, **phase})
            if job is None:
                return _existing_job(connection, values)
            if limited:
                check_submission(connection, values["owner"], 0 if large else len(new_runs), common["priority"])
            if large:
                return job, connection.scalar(select(jobs.c.phase_until).where(jobs.c.id == job))
            connection.execute(insert(runs), [{**row, "job_id": job} for row in rows])
            _note_submission(connection, job, len(new_runs), values["owner"])
        return job, None


def _insert_job(connection: Connection, spec: dict[str, Any], name: str, values: dict[str, Any]) -> JobId | None:
    """Returns the new job's id, or None when this owner has used the idempotency key before."""
    ensure_row(connection, experiments, {"name": name})
    ensure_row(connection, specs, {"id": digest(spec), "data": spec})
    experiment = connection.scalar(select(experiments.c.id).where(experiments.c.name == name))
    row_id = ensure_row(connection, jobs, {"experiment_id": experiment, "spec_id": digest(spec), **values})
    return None if row_id is None else int(row_id)


def _request_digest(name: str, spec: dict[str, Any], new_runs: Sequence[NewRun], priority: int) -> str:
    """`digest([name, spec, all runs, priority])`, piece by piece; the digests of data and code, which the server adds,
    left out."""
    encode, names = SharedEncoder().dumps, sorted(f.name for f in fields(NewRun) if not f.name.endswith("_digest"))
    line = "{" + ",".join(f'"{field}":%s' for field in names) + "}"
    values = attrgetter(*names)
    hash = sha256(f"[{dumps(name)},{dumps(spec)},[".encode())
    for k, run in enumerate(new_runs):
        hash.update(f"{',' if k else ''}{line % tuple(map(encode, values(run)))}".encode())
    hash.update(f"],{dumps(priority)}]".encode())
    return hash.hexdigest()


def _check_labels(new_runs: Sequence[NewRun]) -> None:
    for task, network, trainer in {(run.task, run.network, run.trainer) for run in new_runs}:
        check_names(task=task, network=network, trainer=trainer)


def _note_submission(connection: Connection, job: JobId, count: int, owner: str) -> None:
    note = {"job_id": job, "kind": "submitted", "detail": f"{count} runs", "actor": owner or local_actor()}
    connection.execute(insert(events).values(**note))


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


def _existing_job(connection: Connection, values: dict[str, Any]) -> tuple[JobId, float | None]:
    """The job with this idempotency key; if the process that was filling it has died, it is ours to be filled now."""
    owner, key = values["owner"], values["idempotency_key"]
    known = select(jobs, now().label("now")).where(jobs.c.owner == owner, jobs.c.idempotency_key == key)
    job = connection.execute(known.with_for_update()).mappings().one()
    if job["request"] != values["request"]:
        raise Conflict(f"idempotency key {key!r} was used for another request (job {job['id']}): use a new key")
    if job["phase"] == "complete":
        return int(job["id"]), None
    if job["phase"] == "emptying" or job["phase_until"] > job["now"]:
        doing = "deleted" if job["phase"] == "emptying" else "submitted"
        raise StoreError(f"job {job['id']} is being {doing} at this moment: try again in a minute")
    renewed = update(jobs).where(jobs.c.id == job["id"]).values(phase_until=now() + PATIENCE)
    return int(job["id"]), connection.execute(renewed.returning(jobs.c.phase_until)).scalar_one()
