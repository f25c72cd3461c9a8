"""Cancel, resume and retry the runs of a job, or one run. Those of a large job are changed in portions, so that other
writers needn't wait; repeating an interrupted change completes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select

from evornn.store.actors import local_actor
from evornn.store.database import Database
from evornn.store.errors import NotFound, StoreError, retry_transaction
from evornn.store.filling import PORTION
from evornn.store.progress import COUNTS, SUMMARY
from evornn.store.quotas import check_queue_quota
from evornn.store.records import JobId, RunId
from evornn.store.schema import checkpoint_portions, checkpoints, jobs, metrics, now, progress, runs
from evornn.store.transitions import expire_leases, transition

REQUEUE = {"state": "queued", "failures": 0, "not_before": None, "error": None, "finished": None, "lease_until": None}


class ChangeMixin(Database):
    """Cancel, retry, resume."""

    def cancel(self, job: JobId | None = None, *, run: RunId | None = None, actor: str | None = None) -> int:
        """Cancel the runs of a job, or one run: queued runs at once, running ones at their next `record`.

        Args:
            job: All runs of this job, or
            run: this run.
            actor: Who wants it; default: the user of this process.

        Returns:
            How many.

        Raises:
            NotFound: There is no such job or run.
        """
        who = actor or local_actor()
        end = {"state": "cancelled", "finished": now()}
        queued = self._change(job, run, "cancelled", end, runs.c.state == "queued", who)
        running = self._change(job, run, "cancelling", {"state": "cancelling"}, runs.c.state == "running", who)
        self._expire(who)
        return queued + running

    def resume(
        self, job: JobId | None = None, *, run: RunId | None = None, actor: str | None = None, limited: bool = False
    ) -> int:
        """Queue the failed, cancelled and abandoned runs of a job, or one run; they resume from their checkpoints.

        Args:
            job: All runs of this job, or
            run: this run.
            actor: Who wants it; default: the user of this process.
            limited: Whether the quota of the job's owner holds.

        Returns:
            How many runs are queued now.

        Raises:
            NotFound: There is no such job or run.
            QuotaExceeded: The owner would have too many queued runs.
        """
        who, ended = actor or local_actor(), runs.c.state.in_(("failed", "cancelled"))
        self._expire(who)
        self._check(job, run, ended, limited)
        self._change(job, run, "resumed", REQUEUE, ended, who)
        with self.read_transaction() as connection:
            waiting = select(func.count()).where(_chosen(connection, job, run), runs.c.state == "queued")
            return int(connection.execute(waiting).scalar_one())

    def retry(
        self, job: JobId | None = None, *, run: RunId | None = None, actor: str | None = None, limited: bool = False
    ) -> int:
        """Queue the failed runs of a job, or one run, to start over: their rows and checkpoints are deleted.

        Args:
            job: All runs of this job, or
            run: this run.
            actor: Who wants it; default: the user of this process.
            limited: Whether the quota of the job's owner holds.

        Returns:
            How many.

        Raises:
            NotFound: There is no such job or run.
            QuotaExceeded: The owner would have too many queued runs.
        """
        failed = runs.c.state == "failed"
        self._check(job, run, failed, limited)
        empty = {**REQUEUE, **dict.fromkeys((*COUNTS, *SUMMARY, "not_finite"))}
        return self._change(job, run, "retried", empty, failed, actor or local_actor(), _delete_progress)

    def _change(
        self,
        job: JobId | None,
        run: RunId | None,
        kind: str,
        values: Mapping[str, Any],
        which: ColumnElement[bool],
        actor: str,
        also: Callable[[Connection, list[RunId]], None] = lambda connection, ids: None,
    ) -> int:
        """Change all runs that match, a portion at a time. Returns how many."""
        count = changed = self._change_portion(self.write_transaction, job, run, kind, values, which, actor, also)
        while changed == PORTION:
            changed = self._change_portion(self.portion, job, run, kind, values, which, actor, also)
            count += changed
        return count

    @retry_transaction
    def _change_portion(
        self,
        transaction: Callable[[], AbstractContextManager[Connection]],
        job: JobId | None,
        run: RunId | None,
        kind: str,
        values: Mapping[str, Any],
        which: ColumnElement[bool],
        actor: str,
        also: Callable[[Connection, list[RunId]], None],
    ) -> int:
        with transaction() as connection:
            chosen = _chosen(connection, job, run)
            ids = transition(connection, kind, values, chosen, which, actor=actor, limit=PORTION)
            also(connection, ids)
            return len(ids)

    @retry_transaction
    def _expire(self, actor: str) -> None:
        with self.write_transaction() as connection:
            expire_leases(connection, actor)

    @retry_transaction
    def _check(self, job: JobId | None, run: RunId | None, which: ColumnElement[bool], limited: bool) -> None:
        with self.write_transaction() as connection:
            chosen = _chosen(connection, job, run)
            more = select(runs.c.owner, func.count()).where(chosen, which).group_by(runs.c.owner)
            for owner, count in connection.execute(more).all() if limited else []:
                check_queue_quota(connection, owner, count)


def _chosen(connection: Connection, job: JobId | None, run: RunId | None) -> ColumnElement[bool]:
    """The runs of a job, or one run. Raises NotFound when there is none."""
    if (job is None) == (run is None):
        raise StoreError("name either a job or a run")
    condition: ColumnElement[bool] = runs.c.id == run if run is not None else runs.c.job_id == job
    seen = select(runs.c.id).join(jobs).where(condition, jobs.c.phase == "complete").limit(1)
    if connection.execute(seen).first() is None:
        raise NotFound(f"no {'job' if run is None else 'run'} {job if run is None else run}: `evornn ls` shows all")
    return condition


def _delete_progress(connection: Connection, ids: list[RunId]) -> None:
    for table in (progress, metrics, checkpoints, checkpoint_portions):
        connection.execute(delete(table).where(table.c.run_id.in_(ids)))
