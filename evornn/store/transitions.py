"""The states of a run, and the only statements that change them.

queued → running → succeeded           claim, finish
         running → queued              release, lease over, failure with another try left
         running → failed              fail
queued → cancelled                     cancel
         running → cancelling → cancelled
failed, cancelled → queued             resume, retry
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, insert, select, tuple_, update

from evornn.store.errors import Fenced
from evornn.store.records import RunId
from evornn.store.schema import events, now, runs

OPEN = ("running", "cancelling")  # somebody holds a lease
EXPIRED = "expired"


def fence(connection: Connection, run: RunId, lease: int) -> RowMapping:
    """Renew the lease and answer the run's row; it is the first statement of every write of a run.

    Raises Fenced when the lease is not ours any more.
    """
    row = connection.execute(_FENCE, {"ours": run, "number": lease}).mappings().one_or_none()
    if row is None:
        raise fenced_error(run, lease)
    return row


def fenced_error(run: RunId, lease: int) -> Fenced:
    return Fenced(f"run {run}: lease {lease} is over or another worker has the run now; this attempt stops")


def fence_all(connection: Connection, leases: Collection[tuple[RunId, int]]) -> dict[RunId, RowMapping]:
    """Renew many leases at once. Answers the rows of those runs whose lease is ours."""
    ours = tuple_(runs.c.id, runs.c.lease).in_(leases)
    statement = (
        select(runs.c.id).where(ours, runs.c.state.in_(OPEN)).order_by(runs.c.id).with_for_update(key_share=True)
    )
    renewed = update(runs).where(runs.c.id.in_(statement)).values(lease_until=now() + runs.c.lease_seconds)
    rows = connection.execute(renewed.returning(runs.c.id, runs.c.state)).mappings().all()
    return {row["id"]: row for row in rows}


def transition(
    connection: Connection, kind: str, values: Mapping[str, Any], *where: ColumnElement[bool], detail: str = ""
) -> list[RunId]:
    """Change the runs that match, with an event `kind` for each; answers their ids.

    The inner SELECT locks the rows where the database can, so that none changes state between looking and writing.
    Rows that another transaction holds are being changed already: an expired lease may be renewed in this moment.
    """
    chosen = select(runs.c.id).where(*where).order_by(runs.c.id)
    chosen = chosen.with_for_update(skip_locked=kind == EXPIRED, key_share=True)  # what belongs to them may be written
    change = update(runs).where(runs.c.id.in_(chosen)).values(**values).returning(runs.c.id, runs.c.job_id)
    changes = sorted((int(run), int(job)) for run, job in connection.execute(change))
    if changes:
        notes = [{"run_id": run, "job_id": job, "kind": kind, "detail": detail} for run, job in changes]
        connection.execute(insert(events), notes)
    return [run for run, _ in changes]


def expire_leases(connection: Connection) -> None:
    """Runs whose worker went silent: to be claimed again, or cancelled if that was asked."""
    if connection.execute(_FIRST_EXPIRED).first() is not None:
        release_leases(connection, EXPIRED, runs.c.lease_until <= now())


def release_leases(connection: Connection, kind: str, *where: ColumnElement[bool]) -> int:
    """Give up leases: back to the queue, or cancelled where that was asked. Answers how many."""
    queued = transition(connection, kind, {"state": "queued", "lease_until": None}, runs.c.state == "running", *where)
    end = {"state": "cancelled", "lease_until": None, "finished": now()}
    return len(queued) + len(transition(connection, "cancelled", end, runs.c.state == "cancelling", *where))


# Built once: putting a statement together costs more than running it.
_FENCE = (
    update(runs)
    .where(runs.c.id == bindparam("ours"), runs.c.lease == bindparam("number"), runs.c.state.in_(OPEN))
    .values(lease_until=now() + runs.c.lease_seconds)
    .returning(runs.c.id, runs.c.job_id, runs.c.state, runs.c.failures, runs.c.not_finite)
)
_FIRST_EXPIRED = select(runs.c.id).where(runs.c.state.in_(OPEN), runs.c.lease_until <= now()).limit(1)
