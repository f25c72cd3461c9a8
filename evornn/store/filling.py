"""Large jobs are queued in portions: others write in between, and the job is seen and claimed once it is complete.

A job that is being filled belongs to one process, which renews that with every portion. If the process dies, the same
submission (by its idempotency key) continues where it ended; otherwise the job is removed (`removal.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from evornn.store.codec import SharedEncoder
from evornn.store.database import Database
from evornn.store.errors import Fenced, StoreError
from evornn.store.records import JobId, NewRun
from evornn.store.schema import jobs, now, runs

PORTION = 250  # runs that are inserted or changed in one transaction
PATIENCE = 60.0  # seconds without a portion, after which the job's process counts as dead
_JSON = ("fragments", "budget")
_FIELDS = tuple(field.name for field in fields(NewRun))


def fill(database: Database, job: JobId, new_runs: Sequence[NewRun], common: dict[str, Any], until: float) -> None:
    """Insert the runs that a job lacks; then it is complete.

    Args:
        database: Where it is.
        job: The job.
        new_runs: All of its runs.
        common: Values of further columns, which all runs share.
        until: When our right to fill it ends.

    Raises:
        Fenced: Somebody else has removed the job, or fills it now.
    """
    encoder = SharedEncoder()
    with database.read_transaction() as connection:
        last = connection.scalar(select(func.max(runs.c.position)).where(runs.c.job_id == job))
    for start in range(0 if last is None else last + 1, len(new_runs), PORTION):
        part = new_runs[start : start + PORTION]
        rows = run_rows(part, encoder, {**common, "job_id": job})  # outside of the transaction, which others wait for
        with database.portion() as connection:
            until = _renew(connection, job, until)
            connection.execute(insert(runs), rows)


def complete(connection: Connection, job: JobId) -> None:
    """Make a filled job visible. Raises Fenced if it isn't ours any more."""
    ours = update(jobs).where(jobs.c.id == job, jobs.c.phase == "filling")
    if connection.execute(ours.values(phase="complete", phase_until=None, size=0)).rowcount != 1:
        raise _lost(job)


def abandon(database: Database, job: JobId) -> None:
    """Let anybody else continue or remove a job that can't be filled here."""
    ours = update(jobs).where(jobs.c.id == job, jobs.c.phase == "filling")
    with suppress(StoreError), database.write_transaction() as connection:
        connection.execute(ours.values(phase_until=now()))


def run_rows(new_runs: Sequence[NewRun], encoder: SharedEncoder, common: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of runs.

    Args:
        new_runs: The runs.
        encoder: Encodes what they share.
        common: Values of further columns, which all share.
    """
    values = attrgetter(*_FIELDS)
    rows = [{**common, **dict(zip(_FIELDS, values(run), strict=True))} for run in new_runs]
    for row in rows:
        row["gpu"] = bool((row["fragments"].get("resources") or {}).get("gpus"))
        row.update((name, encoder.dumps(row[name])) for name in _JSON)
    return rows


def _renew(connection: Connection, job: JobId, until: float) -> float:
    renewed = connection.execute(_RENEW, {"job": job, "ours": until, "patience": PATIENCE}).scalar_one_or_none()
    if renewed is None:
        raise _lost(job)
    return float(renewed)


def _lost(job: JobId) -> Fenced:
    return Fenced(f"job {job} is not being submitted from here any more: submit it again")


_RENEW = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.phase == "filling", jobs.c.phase_until == bindparam("ours"))
    .values(phase_until=now() + bindparam("patience"))
    .returning(jobs.c.phase_until)
)
