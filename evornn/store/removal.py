"""Archive jobs, and delete them with all that belongs to them, in portions, so that nobody has to wait.

A job that is being deleted isn't seen any more. If the process that deletes it dies, `sweep` continues; it also removes
jobs whose submission was killed.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, Table, delete, exists, func, insert, select, update

from evornn.store.actors import local_actor
from evornn.store.database import Database
from evornn.store.errors import Conflict, NotFound, retry_transaction
from evornn.store.large_checkpoints import delete_portion, find_old_portion
from evornn.store.records import JobId, RunId
from evornn.store.schema import evaluation_data, events, experiments, jobs, metadata, now, runs, specs

ROWS = 10_000  # rows of progress that are deleted in one transaction, about
MOST_RUNS = 500  # runs in one transaction
DAY = 86_400.0
UNFINISHED = ("queued", "running", "cancelling")


class RemovalMixin(Database):
    """Archive, delete, sweep."""

    def delete(self, job: JobId) -> int:
        """Delete a job: its runs, curves, champions, events, and what nothing else needs.

        Args:
            job: The job, of which no run may be open.

        Returns:
            How many runs it had.

        Raises:
            NotFound: There is no such job.
            Conflict: A run is open.
        """
        count = self.begin_delete(job)
        while self._empty(job):
            pass
        return count

    @retry_transaction
    def archive(self, job: JobId, archived: bool = True, actor: str | None = None) -> int:
        """Take a job out of the lists, or put it back; nothing is deleted.

        Args:
            job: The job, of which no run may be open.
            archived: Whether it is out of the lists from now on.
            actor: Who wants it; default: the user of this process.

        Returns:
            1, or 0 if that is so already.

        Raises:
            NotFound: There is no such job.
            Conflict: A run is open.
        """
        with self.write_transaction() as connection:
            _check_ended(connection, job)
            differs = jobs.c.archived.is_(None) if archived else jobs.c.archived.is_not(None)
            changed = update(jobs).where(jobs.c.id == job, differs).values(archived=now() if archived else None)
            if count := connection.execute(changed).rowcount:
                note = {"job_id": job, "kind": "archived" if archived else "restored"}
                connection.execute(insert(events).values(**note, actor=actor or local_actor()))
            return count

    @retry_transaction
    def begin_delete(self, job: JobId) -> int:
        """Hide a job for ever; `sweep` deletes it. Returns how many runs it has. Raises the same as `delete`."""
        with self.write_transaction() as connection:
            count = _check_ended(connection, job)
            connection.execute(update(jobs).where(jobs.c.id == job).values(phase="emptying", phase_until=now()))
            return count

    def sweep(self) -> bool:
        """Delete one portion of a job that is being deleted or whose submission was killed, and one of old checkpoints.

        Returns whether there was one, so that there may be more to do.
        """
        with self.read_transaction() as connection:
            abandoned = select(jobs.c.id).where(jobs.c.phase != "complete", jobs.c.phase_until <= now()).limit(1)
            job = connection.scalar(abandoned)
        return any([self.sweep_checkpoints(), job is not None and self._empty(job)])

    def sweep_checkpoints(self) -> bool:
        """Delete one portion of old checkpoints. Returns whether there was one."""
        with self.read_transaction() as connection:
            portion = find_old_portion(connection)
        if portion is not None:
            with self.portion() as connection:
                delete_portion(connection, portion)
        return portion is not None

    @retry_transaction
    def _empty(self, job: JobId) -> bool:
        """Delete one portion of a job. Returns False when nothing was left but somebody else's."""
        with self.portion() as connection:
            ours = update(jobs).where(jobs.c.id == job, jobs.c.phase != "complete")
            if connection.execute(ours.values(phase="emptying", phase_until=now())).rowcount != 1:
                return False
            ids = _next_runs(connection, job)
            if ids:
                _delete_rows(connection, runs, ids)
            else:
                _delete_job(connection, job)
            return True


def _check_ended(connection: Connection, job: JobId) -> int:
    """How many runs a job has. Raises NotFound; Conflict while a run is open."""
    seen = select(jobs.c.id).where(jobs.c.id == job, jobs.c.phase == "complete").with_for_update()
    if connection.execute(seen).first() is None:
        raise NotFound(f"no job {job}: `evornn ls` shows all")
    by_state = select(runs.c.state, func.count()).where(runs.c.job_id == job).group_by(runs.c.state)
    counts = {state: int(count) for state, count in connection.execute(by_state)}
    if is_open := sum(counts.get(state, 0) for state in UNFINISHED):
        raise Conflict(f"{is_open:,} runs of job {job} are open: `evornn cancel {job}` first")
    return sum(counts.values())


def referring_columns(table: Table) -> list[Column[int]]:
    """Columns of other tables that refer to rows of a table which they belong to, as the schema says: those that depend
    on others first. A model doesn't belong to its run: it stays."""
    tables = reversed(metadata.sorted_tables)
    return [c for other in tables for c in other.c if any(_belongs(key, table) for key in c.foreign_keys)]


def _belongs(key: ForeignKey, table: Table) -> bool:
    return key.column.table is table and key.ondelete != "SET NULL"


def _next_runs(connection: Connection, job: JobId) -> list[RunId]:
    """The next runs to delete: so many that their rows of progress fit into one transaction, one at least."""
    chosen: list[RunId] = []
    rows = 0
    first = select(runs.c.id, runs.c.mark).where(runs.c.job_id == job).order_by(runs.c.position).limit(MOST_RUNS)
    for run, mark in connection.execute(first):
        rows += mark or 0
        if chosen and rows > ROWS:
            break
        chosen.append(run)
    return chosen


def _delete_rows(connection: Connection, table: Table, ids: list[int]) -> None:
    """Delete rows of a table, and before them those that refer to them: quicker than to let the database find them."""
    for column in referring_columns(table):
        connection.execute(delete(column.table).where(column.in_(ids)))
    connection.execute(delete(table).where(table.c.id.in_(ids)))


def _delete_job(connection: Connection, job: JobId) -> None:
    """Delete a job without runs; then its spec, its experiment and the data of its runs, unless others need them."""
    spec, experiment = connection.execute(select(jobs.c.spec_id, jobs.c.experiment_id).where(jobs.c.id == job)).one()
    _delete_rows(connection, jobs, [job])
    connection.execute(delete(specs).where(specs.c.id == spec, ~exists().where(jobs.c.spec_id == specs.c.id)))
    unused = ~exists().where(jobs.c.experiment_id == experiments.c.id)
    connection.execute(delete(experiments).where(experiments.c.id == experiment, unused))
    # What a submission has just kept is needed by runs that aren't there yet.
    old = evaluation_data.c.created < now() - DAY
    needed = select(runs.c.data_digest).where(runs.c.data_digest.is_not(None))
    connection.execute(delete(evaluation_data).where(old, evaluation_data.c.digest.not_in(needed)))
