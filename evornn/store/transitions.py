"""The states of a run, and the only statements that change them.

queued → running → succeeded           claim, finish
         running → queued              release, expired lease, failure with another try left
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

OPEN = ("running", "cancelling")  # states under a lease
EXPIRED = "expired"


def fence(connection: Connection, run: RunId, lease: int) -> RowMapping:
    """Renew the lease: the first statement of every write to a run.

    Args:
        connection: The open write transaction.
        run: The run.
        lease: Number of the caller's lease.

    Returns:
        The run's id, job_id, state, failures and not_finite.

    Raises:
        Fenced: The run is not under this lease any more.
    """
    row = connection.execute(_FENCE, {"ours": run, "number": lease}).mappings().one_or_none()
    if row is None:
        raise fenced_error(run, lease)
    return row


def fenced_error(run: RunId, lease: int) -> Fenced:
    """The error for a write under a lease that is not the run's current one."""
    return Fenced(f"run {run}: lease {lease} has expired or another worker has the run now; this attempt stops")


def fence_all(connection: Connection, leases: Collection[tuple[RunId, int]]) -> dict[RunId, RowMapping]:
    """Renew many leases at once. Returns id and state of the runs that are still under theirs."""
    ours = tuple_(runs.c.id, runs.c.lease).in_(leases)
    # Ordered: two transactions that lock the same runs in different orders would deadlock.
    statement = (
        select(runs.c.id).where(ours, runs.c.state.in_(OPEN)).order_by(runs.c.id).with_for_update(key_share=True)
    )
    renewed = update(runs).where(runs.c.id.in_(statement)).values(lease_until=now() + runs.c.lease_seconds)
    rows = connection.execute(renewed.returning(runs.c.id, runs.c.state)).mappings().all()
    return {row["id"]: row for row in rows}


def transition(
    connection: Connection,
    kind: str,
    values: Mapping[str, Any],
    *where: ColumnElement[bool],
    detail: str = "",
    actor: str | None = None,
    limit: int | None = None,
) -> list[RunId]:
    """Change the state of all runs that match, with an event for each.

    Args:
        connection: The open write transaction.
        kind: Kind of the events.
        values: New values of the runs' columns, `state` among them.
        where: Conditions that a run must meet.
        detail: Text of the events.
        actor: Who does it; None: the dispatcher that holds the run.
        limit: Change so many at most, those with the smallest ids.

    Returns:
        Ids of the changed runs, in ascending order.
    """
    # The inner SELECT locks the rows (on PostgreSQL), so that no state changes between reading and writing. Expired
    # leases skip rows that are locked already: their holder may be renewing the lease at this moment.
    chosen = select(runs.c.id).where(*where).order_by(runs.c.id).limit(limit)
    chosen = chosen.with_for_update(skip_locked=kind == EXPIRED, key_share=True)  # rows that refer to them stay free
    change = (
        update(runs)
        .where(runs.c.id.in_(chosen))
        .values(**values)
        .returning(runs.c.id, runs.c.job_id, runs.c.lease_owner)
    )
    changes = sorted((int(run), int(job), actor or holder or "") for run, job, holder in connection.execute(change))
    if changes:
        note = {"kind": kind, "detail": detail}
        notes = [{**note, "run_id": run, "job_id": job, "actor": who} for run, job, who in changes]
        connection.execute(insert(events), notes)
    return [run for run, *_ in changes]


def expire_leases(connection: Connection, actor: str) -> None:
    """Requeue the runs of workers that went silent; cancel those that a user asked to cancel. `actor` noticed it."""
    # Nearly always there are none: the read is cheaper than an UPDATE that locks nothing.
    if connection.execute(_FIRST_EXPIRED).first() is not None:
        release_leases(connection, EXPIRED, runs.c.lease_until <= now(), actor=actor)


def release_leases(connection: Connection, kind: str, *where: ColumnElement[bool], actor: str | None = None) -> int:
    """End leases: running runs go back to the queue, cancelling ones are cancelled.

    Args:
        connection: The open write transaction.
        kind: Kind of the event of a requeued run, "released" or "expired".
        where: Conditions that a run must meet.
        actor: Who ends them; None: the dispatcher that holds the run.

    Returns:
        How many leases ended.
    """
    queue = {"state": "queued", "lease_until": None}
    queued = transition(connection, kind, queue, runs.c.state == "running", *where, actor=actor)
    end = {"state": "cancelled", "lease_until": None, "finished": now()}
    return len(queued) + len(
        transition(connection, "cancelled", end, runs.c.state == "cancelling", *where, actor=actor)
    )


# Built once: building a statement costs more than running it.
_FENCE = (
    update(runs)
    .where(runs.c.id == bindparam("ours"), runs.c.lease == bindparam("number"), runs.c.state.in_(OPEN))
    .values(lease_until=now() + runs.c.lease_seconds)
    .returning(runs.c.id, runs.c.job_id, runs.c.state, runs.c.failures, runs.c.not_finite)
)
_FIRST_EXPIRED = select(runs.c.id).where(runs.c.state.in_(OPEN), runs.c.lease_until <= now()).limit(1)
