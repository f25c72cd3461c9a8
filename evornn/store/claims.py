"""Which run is claimed next: among those of the highest priority, one of the owner who has the fewest at work.

Queued runs fall into groups of equal priority, owner and batch, which follow one another in the index `ix_runs_claim`.
So the groups of a priority are found by one jump each, however many runs are queued.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, or_, select, text, update
from sqlalchemy.sql.dml import ReturningUpdate

from evornn.store.quotas import lock_owner
from evornn.store.records import JobId, RunId
from evornn.store.schema import now, runs
from evornn.store.transitions import OPEN


def claim_run(connection: Connection, lease: dict[str, Any], job: JobId | None, gpu: bool | None) -> RunId | None:
    """Claim the next run that is due.

    Args:
        connection: The open write transaction.
        lease: Its `holder`, and its `length` in seconds.
        job: Only a run of this job, whoever owns it.
        gpu: True: only a run that needs a GPU; False: only one that needs none; None: any.

    Returns:
        The run, or None when none is due.
    """
    if job is not None:
        return connection.execute(_claim_statement(True, gpu), {**lease, "job": job}).scalar_one_or_none()
    for group in _groups(connection, (False, True) if gpu is None else (gpu,)):
        if group["most"] is None or _has_slot(connection, group):
            which = {f"the_{name}": group[name] for name in ("gpu", "priority", "owner", "batch")}
            run = connection.execute(_claim_statement(False, None), {**lease, **which}).scalar_one_or_none()
            if run is not None:
                return int(run)
    return None


def _groups(connection: Connection, gpus: tuple[bool, ...]) -> Iterator[RowMapping]:
    """Groups with runs that may be claimed, in the order in which they should be."""
    before = None
    while True:
        levels = [connection.scalar(_LEVEL, {"gpu": gpu, "before": before}) for gpu in gpus]
        before = max((level for level in levels if level is not None), default=None)
        if before is None:
            return
        groups = [
            group
            for gpu, level in zip(gpus, levels, strict=True)
            if level == before
            for group in connection.execute(_GROUPS, {"gpu": gpu, "priority": before}).mappings()
        ]
        yield from sorted(groups, key=lambda group: (group["running"], group["id"]))


def _has_slot(connection: Connection, group: RowMapping) -> bool:
    """Whether the owner may have one more run at work; two dispatchers must not take the last slot both."""
    lock_owner(connection, group["owner"])
    running: int = connection.execute(_RUNNING, {"owner": group["owner"]}).scalar_one()
    return running < int(group["most"])


@cache  # building the statement costs more than running it
def _claim_statement(of_job: bool, gpu: bool | None) -> ReturningUpdate[int]:
    """Claim the first run of a job or of a group that is due.

    UPDATE runs SET state = 'running', lease = lease + 1, lease_owner = :holder, lease_until = now + :length, …
    WHERE id = (SELECT id FROM runs WHERE state = 'queued' AND (not_before IS NULL OR not_before <= now) AND …
                ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
    names = ("gpu", "priority", "owner", "batch")
    which = [runs.c.job_id == bindparam("job")] if of_job else [runs.c[n] == bindparam(f"the_{n}") for n in names]
    which += [] if gpu is None else [runs.c.gpu.is_(gpu)]
    due = or_(runs.c.not_before.is_(None), runs.c.not_before <= now())
    queued = select(runs.c.id).where(runs.c.state == "queued", due, *which)
    # SKIP LOCKED: dispatchers that claim at the same time get different runs instead of waiting for each other. SQLite
    # ignores it and needs none: its writers come one after the other.
    first = (
        queued.order_by(runs.c.priority.desc(), runs.c.id).limit(1).with_for_update(skip_locked=True, key_share=True)
    )
    # The larger number fences off all earlier holders of the run.
    lease = {"lease": runs.c.lease + 1, "lease_owner": bindparam("holder"), "lease_seconds": bindparam("length")}
    times = {"lease_until": now() + bindparam("length"), "started": func.coalesce(runs.c.started, now())}
    change = {"state": "running", "not_before": None, **lease, **times}
    return update(runs).where(runs.c.id == first.scalar_subquery()).values(**change).returning(runs.c.id)


_LEVEL = text(
    """SELECT priority FROM runs WHERE state = 'queued' AND gpu = :gpu
       AND priority < coalesce(CAST(:before AS INTEGER), 2147483647) ORDER BY priority DESC LIMIT 1"""
)
_RUNNING = select(func.count()).where(runs.c.state.in_(OPEN), runs.c.owner == bindparam("owner"))
# From the first run of a group to that of the next one: a jump in the index. A comparison of rows, (owner, batch) > …,
# would be none: it reads all runs of the owner. A batch is claimed once its job is complete; an owner with as many runs
# at work as its quota allows is left out.
_GROUPS = text(
    """WITH RECURSIVE firsts(id) AS (
         SELECT (SELECT id FROM runs WHERE state = 'queued' AND gpu = :gpu AND priority = :priority
                 ORDER BY owner, batch, id LIMIT 1)
         UNION ALL
         SELECT coalesce(
           (SELECT n.id FROM runs n WHERE n.state = 'queued' AND n.gpu = :gpu AND n.priority = :priority
            AND n.owner = r.owner AND n.batch > r.batch ORDER BY n.batch, n.id LIMIT 1),
           (SELECT n.id FROM runs n WHERE n.state = 'queued' AND n.gpu = :gpu AND n.priority = :priority
            AND n.owner > r.owner ORDER BY n.owner, n.batch, n.id LIMIT 1))
         FROM firsts JOIN runs r ON r.id = firsts.id),
       busy AS (SELECT owner, count(*) AS running FROM runs WHERE state IN ('running', 'cancelling') GROUP BY owner),
       limited AS (
         SELECT r.id, r.gpu, r.priority, r.owner, r.batch, coalesce(b.running, 0) AS running,
                CASE WHEN r.owner <> '' THEN nullif(coalesce(q.running, d.running), -1) END AS most
         FROM firsts JOIN runs r ON r.id = firsts.id LEFT JOIN jobs j ON j.id = r.batch
              LEFT JOIN busy b ON b.owner = r.owner LEFT JOIN quotas q ON q.owner = r.owner
              LEFT JOIN quotas d ON d.owner = ''
         WHERE r.batch = 0 OR j.phase = 'complete')
       SELECT * FROM limited WHERE most IS NULL OR running < most"""
)
