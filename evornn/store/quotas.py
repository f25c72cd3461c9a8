"""Quotas: what one owner may queue, compute at once, upload and store, so that nobody's excess makes others wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from evornn.errors import UnknownName
from evornn.store.database import Database
from evornn.store.errors import PriorityRefused, QuotaExceeded, StoreError, retry_transaction
from evornn.store.names import check_names
from evornn.store.records import Quota
from evornn.store.schema import champions, checkpoint_portions, checkpoints, jobs, model_versions, quotas, runs

NO_LIMIT = -1
LIMITS = tuple(field.name for field in fields(Quota) if field.name != "owner")
DEFAULT = Quota("", queued=100_000, running=NO_LIMIT, priority=0, upload_bytes=100_000_000, stored_bytes=NO_LIMIT)
ADVICE = "ask an admin for a larger one, `evornn quota set {owner}`"


class QuotaMixin(Database):
    """Set, list and look up."""

    @retry_transaction
    def set_quota(self, owner: str, limits: Mapping[str, int | None]) -> Quota:
        """Set limits of an owner.

        Args:
            owner: The owner; "": all who have no limit of their own.
            limits: New values of some limits; -1: no limit; None: as for all.

        Returns:
            All limits that hold for the owner from now on.

        Raises:
            UnknownName: There is no such limit.
            StoreError: A value is no limit, or the name is too long.
        """
        for name, value in limits.items():
            if name not in LIMITS:
                raise UnknownName("limit", name, LIMITS)
            if value is not None and not NO_LIMIT <= value < 2**63:
                raise StoreError(f"{name}: {value} is no limit: give 0 or more, or {NO_LIMIT} for none")
        check_names(owner=owner)
        with self.write_transaction() as connection:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            new = dialect.insert(quotas).values(owner=owner, **limits)
            connection.execute(
                new.on_conflict_do_update(index_elements=["owner"], set_=dict(limits))
                if limits
                else new.on_conflict_do_nothing()
            )
            return effective_quota(connection, owner)

    def quotas(self) -> list[Quota]:
        """The limits of all, and those of owners who have their own, as they hold."""
        with self.read_transaction() as connection:
            own = connection.scalars(select(quotas.c.owner).where(quotas.c.owner != "").order_by(quotas.c.owner)).all()
            return [effective_quota(connection, owner) for owner in ("", *own)]

    def quota(self, owner: str) -> Quota:
        """The limits that hold for an owner."""
        with self.read_transaction() as connection:
            return effective_quota(connection, owner)


def effective_quota(connection: Connection, owner: str) -> Quota:
    """The limits that hold for an owner: its own, else those of all."""
    known = connection.execute(select(quotas).where(quotas.c.owner.in_(("", owner)))).mappings()
    rows = sorted(known, key=lambda row: str(row["owner"]))
    given = [{name: row[name] for name in LIMITS if row[name] is not None} for row in rows]
    limits = {name: value for name, value in asdict(DEFAULT).items() if name != "owner"}
    for values in given:  # first of all, then its own
        limits |= values
    return Quota(owner, **limits)


def check_submission(connection: Connection, owner: str, count: int, priority: int) -> None:
    """Check that an owner may queue runs.

    Args:
        connection: The open write transaction.
        owner: The owner.
        count: How many runs.
        priority: Their priority.

    Raises:
        PriorityRefused: The priority is higher than the owner's quota allows.
        QuotaExceeded: There would be too many queued runs.
    """
    quota = effective_quota(connection, owner)
    if quota.priority != NO_LIMIT and priority > quota.priority:
        raise PriorityRefused(
            f"priority {priority}: {owner!r} may use at most {quota.priority}: use that, or "
            + ADVICE.format(owner=owner)
            + " --priority"
        )
    check_queue_quota(connection, owner, count)


def check_queue_quota(connection: Connection, owner: str, more: int) -> None:
    """Check that an owner may have so many more queued runs, and what they will store. Raises QuotaExceeded."""
    quota = effective_quota(connection, owner)
    _check_stored(connection, owner, quota.stored_bytes)
    if (limit := quota.queued) == NO_LIMIT:
        return
    lock_owner(connection, owner)
    queued = count_queued_runs(connection, owner)
    if queued + more > limit:
        raise QuotaExceeded(
            f"{more:,} runs more than the {queued:,} that {owner!r} has queued are over the quota of {limit:,}: "
            "wait until some have finished, cancel some, submit fewer, or " + ADVICE.format(owner=owner) + " --queued"
        )


def check_model_quota(connection: Connection, owner: str, size: int) -> None:
    """Check that an owner may register a model of so many bytes. Raises QuotaExceeded."""
    lock_owner(connection, owner)
    _check_stored(connection, owner, effective_quota(connection, owner).stored_bytes, size)


def _check_stored(connection: Connection, owner: str, limit: int, more: int = 1) -> None:
    """Check that an owner's runs and models have left room. Runs that compute already are not stopped. Raises
    QuotaExceeded."""
    if limit != NO_LIMIT and (stored := count_stored_bytes(connection, owner)) + more > limit:
        raise QuotaExceeded(
            f"the {stored:,} bytes that runs and models of {owner!r} have stored reach the quota of {limit:,}: delete "
            "jobs, `evornn delete --older 30d`, or models, `evornn models delete`, or "
            + ADVICE.format(owner=owner)
            + " --stored-bytes"
        )


def count_stored_bytes(connection: Connection, owner: str) -> int:
    """How many bytes the checkpoints and champions of an owner's runs, and its models have."""
    own = (checkpoints.c.arrays, checkpoint_portions.c.content, champions.c.genome)
    sums = [
        select(func.sum(func.length(content))).select_from(content.table.join(runs)).where(runs.c.owner == owner)
        for content in own
    ]
    sums.append(select(func.sum(model_versions.c.bytes)).where(model_versions.c.owner == owner))
    return sum(int(connection.scalar(one) or 0) for one in sums)


def count_queued_runs(connection: Connection, owner: str) -> int:
    """How many runs of an owner are queued, those that are still being inserted included."""
    filling = select(jobs.c.id, jobs.c.size).where(jobs.c.phase == "filling", jobs.c.owner == owner)
    sizes = {int(job): int(size) for job, size in connection.execute(filling)}
    which = (runs.c.state == "queued", runs.c.owner == owner, runs.c.batch.not_in(sizes))
    # By level and owner: so the index leads to the owner's runs alone.
    levels = connection.execute(_LEVELS).all()
    own = [(runs.c.gpu.is_(bool(gpu)), runs.c.priority == priority) for gpu, priority in levels if priority is not None]
    counts = [connection.scalar(select(func.count()).where(*which, *level)) or 0 for level in own]
    return sum(counts) + sum(sizes.values())


def lock_owner(connection: Connection, owner: str) -> None:
    """Let nobody else count or queue runs of an owner until the transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK, {"owner": owner})


_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('evornn owner'), hashtext(:owner))")
# The priorities that queued runs have: a jump in the index from each to the next.
_LEVELS = text(
    """WITH RECURSIVE kinds(gpu) AS (SELECT CAST(:no AS BOOLEAN) UNION ALL SELECT CAST(:yes AS BOOLEAN)),
       levels(gpu, priority) AS (
         SELECT gpu, (SELECT max(priority) FROM runs r WHERE r.state = 'queued' AND r.gpu = kinds.gpu) FROM kinds
         UNION ALL
         SELECT gpu, (SELECT max(priority) FROM runs r WHERE r.state = 'queued' AND r.gpu = levels.gpu
                      AND r.priority < levels.priority) FROM levels WHERE priority IS NOT NULL)
       SELECT gpu, priority FROM levels"""
).bindparams(no=False, yes=True)
