"""Reads: jobs, runs, curves, results, events, logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, and_, exists, func, not_, or_, select

from evornn.arrays import Genome
from evornn.errors import UnknownName
from evornn.store import progress
from evornn.store.codec import merge_non_finite, unpack
from evornn.store.database import Database
from evornn.store.errors import NotFound, StoreError
from evornn.store.filters import JobFilter, JobQuery, RunFilter, RunQuery, keywords_of
from evornn.store.large_checkpoints import PortionReader
from evornn.store.records import (
    Event,
    JobId,
    LogLine,
    Machine,
    PortionedCheckpoint,
    RunId,
    StoredJob,
    StoredRun,
    Worker,
)
from evornn.store.schema import (
    STATES,
    champions,
    checkpoints,
    events,
    experiments,
    jobs,
    logs,
    now,
    runs,
    specs,
    workers,
)
from evornn.training.records import Checkpoint, Result, Row

MOST_NEWS = 10_000  # events and log lines that are looked at in one go
_RUN_FIELDS = [field.name for field in fields(StoredRun)]
_RUN_COLUMNS: dict[str, Column[Any]] = {
    **{column.name: column for column in runs.c if column.name in _RUN_FIELDS},
    "job": runs.c.job_id,
    "experiment": experiments.c.name,
}


class ReadMixin(Database):
    """Each read sees one state of the database."""

    @keywords_of(JobQuery)
    def jobs(self, query: JobQuery) -> list[StoredJob]:
        """The jobs that match, newest first. Raises UnknownName for an unknown state."""
        conditions = _job_conditions(query) + ([] if query.before is None else [jobs.c.id < query.before])
        with self.read_transaction() as connection:
            return _read_jobs(connection, query.limit, *conditions)

    def job(self, job: JobId) -> StoredJob:
        """One job, with its runs counted by state. Raises NotFound."""
        with self.read_transaction() as connection:
            record: StoredJob = _first(_read_jobs(connection, 1, jobs.c.id == job), "job", job)
        return record

    def spec(self, job: JobId) -> dict[str, Any]:
        """The spec that was submitted. Raises NotFound."""
        with self.read_transaction() as connection:
            chosen = select(specs.c.data).join(jobs).where(jobs.c.id == job, jobs.c.phase == "complete")
            rows = connection.scalars(chosen).all()
        return dict(_first(rows, "job", job))

    @keywords_of(RunQuery)
    def runs(self, query: RunQuery) -> list[StoredRun]:
        """The runs that match. Raises UnknownName for an unknown state or column, StoreError for `after` in another
        order than "id"."""
        check_page(query)
        matching, sorting = [*_run_conditions(query), *_after(query.after)], _order(query.order)
        with self.read_transaction() as connection:
            matching += _seen(connection, query.archived)
            if query.limit is not None or query.offset:
                # Sort and cut ids first: sorting whole rows takes nine times as long where 200,000 match.
                page = _select_ids(query.order).where(*matching).order_by(*sorting)
                matching = [runs.c.id.in_(page.limit(query.limit).offset(query.offset or None))]
            chosen = _select_runs().where(*matching).order_by(*sorting)
            return [_run_from_row(row) for row in connection.execute(chosen).mappings()]

    def runs_by_id(self, ids: Sequence[RunId]) -> list[StoredRun]:
        """The runs with these numbers, in this order. Raises NotFound."""
        records: dict[RunId, StoredRun] = {}
        with self.read_transaction() as connection:
            for part in progress.chunks(ids):
                chosen = connection.execute(_select_runs().where(runs.c.id.in_(part))).mappings()
                records |= {row["id"]: _run_from_row(row) for row in chosen}
        return [_first([records[run]] if run in records else [], "run", run) for run in ids]

    @keywords_of(RunFilter)
    def count_runs(self, filters: RunFilter) -> int:
        """How many runs match. Raises UnknownName for an unknown state."""
        counted = select(func.count()).select_from(runs).where(*_run_conditions(filters))
        with self.read_transaction() as connection:
            return int(connection.execute(counted.where(*_seen(connection, filters.archived))).scalar_one())

    def run(self, run: RunId) -> StoredRun:
        """One run. Raises NotFound."""
        with self.read_transaction() as connection:
            return run_of(connection, run)

    def curve(self, run: RunId, after: int = 0) -> list[Row]:
        """The rows of a run in the order of their marks, from the one after mark `after`. Raises NotFound."""
        with self.read_transaction() as connection:
            run_of(connection, run)
            return progress.read(connection, [run], after=after)[run]

    def curves(self, ids: Sequence[RunId]) -> dict[RunId, list[Row]]:
        """The rows of many runs; empty for a run that has none."""
        with self.read_transaction() as connection:
            return progress.read(connection, ids)

    def checkpoint(self, run: RunId) -> Checkpoint | None:
        """The latest checkpoint of an unfinished run; None if it has none. Raises NotFound for an unknown run."""
        with self.read_transaction() as connection:
            run_of(connection, run)
            stored = stored_checkpoint(connection, run)
            return stored if not isinstance(stored, PortionedCheckpoint) else _read_arrays(connection, run, stored)

    def champion(self, run: RunId) -> Genome:
        """The champion [n] of a finished run. Raises NotFound."""
        return self.result(run).genome

    def result(self, run: RunId) -> Result:
        """The result of a finished run. Raises NotFound."""
        with self.read_transaction() as connection:
            record = run_of(connection, run)
            row = connection.execute(select(champions).where(champions.c.run_id == run)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"run {run} has no result, it is {record.state}: `evornn show {run}` shows its progress")
        given = {f.name: getattr(record, f.name) for f in fields(Result) if f.name not in ("genome", "environment")}
        return Result(**given, genome=unpack(row["genome"])["genome"], environment=row["environment"])

    def events(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[Event]:
        """Events, oldest first.

        Args:
            job: Only those of this job.
            run: Only those of this run.
            after: Only those after the event with this number.
            limit: Maximum number of events.
        """
        filters = {events.c.job_id: job, events.c.run_id: run}
        chosen = [events.c.id > after, *(column == value for column, value in filters.items() if value is not None)]
        names = ("id", "time", "job_id", "run_id", "kind", "detail", "actor")
        with self.read_transaction() as connection:
            columns = [events.c[name] for name in names]
            rows = connection.execute(select(*columns).where(*chosen).order_by(events.c.id).limit(limit))
            return [Event(*row) for row in rows]

    def logs(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[LogLine]:
        """Log lines of runs, oldest first.

        Args:
            job: Only those of this job's runs.
            run: Only those of this run.
            after: Only those after the line with this number.
            limit: Maximum number of lines.
        """
        chosen = [logs.c.id > after, *([] if run is None else [logs.c.run_id == run])]
        if job is not None:
            chosen.append(logs.c.run_id.in_(select(runs.c.id).where(runs.c.job_id == job)))
        columns = [logs.c.message, logs.c.level, logs.c.time, logs.c.run_id, logs.c.id]
        with self.read_transaction() as connection:
            rows = connection.execute(select(*columns).where(*chosen).order_by(logs.c.id).limit(limit))
            return [LogLine(*row) for row in rows]

    def news(self, after: tuple[int, int] | None) -> tuple[tuple[int, int], set[JobId]]:
        """Jobs with new events or log lines.

        Args:
            after: Numbers of the event and of the log line after which they are new; None: nothing is.

        Returns:
            The numbers to ask with the next time, and the jobs.
        """
        with self.read_transaction() as connection:
            if after is None:
                first = select(func.max(events.c.id)), select(func.max(logs.c.id))
                return (connection.scalar(first[0]) or 0, connection.scalar(first[1]) or 0), set()
            chosen = select(events.c.id, events.c.job_id).where(events.c.id > after[0])
            told = connection.execute(chosen.order_by(events.c.id).limit(MOST_NEWS)).all()
            lines = select(logs.c.id, runs.c.job_id).join(runs).where(logs.c.id > after[1])
            said = connection.execute(lines.order_by(logs.c.id).limit(MOST_NEWS)).all()
        position = told[-1].id if told else after[0], said[-1].id if said else after[1]
        return position, {row.job_id for row in (*told, *said)}

    def workers(self) -> list[Worker]:
        """All owners of claims so far, latest heartbeat first."""
        age = (now() - workers.c.last_seen).label("age")
        columns = [age if field.name == "age" else workers.c[field.name] for field in fields(Worker)]
        with self.read_transaction() as connection:
            rows = connection.execute(select(*columns).order_by(workers.c.last_seen.desc())).mappings().all()
        return [Worker(**{**row, "machines": tuple(Machine(**one) for one in row["machines"] or ())}) for row in rows]


def run_of(connection: Connection, run: RunId) -> StoredRun:
    """One run, read within a transaction. Raises NotFound."""
    return _run_from_row(
        _first(connection.execute(_select_runs().where(runs.c.id == run)).mappings().all(), "run", run)
    )


def stored_checkpoint(connection: Connection, run: RunId) -> Checkpoint | PortionedCheckpoint | None:
    """The latest checkpoint of a run, read within a transaction, of a large one without its arrays; None if it has
    none."""
    row = connection.execute(select(checkpoints).where(checkpoints.c.run_id == run)).mappings().one_or_none()
    if row is None:
        return None
    if row["edition"] is not None:
        return PortionedCheckpoint(row["mark"], row["plain"], row["edition"])
    return Checkpoint(row["mark"], unpack(row["arrays"]), row["plain"])


def _read_arrays(connection: Connection, run: RunId, stored: PortionedCheckpoint) -> Checkpoint:
    reader = PortionReader(stored)
    while not reader.is_complete:
        reader.read(connection, run)
    return reader.checkpoint


def _select_runs() -> Select[Any]:
    joined = runs.join(jobs).join(experiments)
    chosen = select(runs, runs.c.job_id.label("job"), experiments.c.name.label("experiment")).select_from(joined)
    return chosen.where(jobs.c.phase == "complete")


def _select_ids(order: str) -> Select[Any]:
    """Ids of runs, joined with their experiments only if these are sorted by."""
    joined = runs.join(jobs).join(experiments) if order.endswith("experiment") else runs
    return select(runs.c.id).select_from(joined)


def _run_from_row(row: RowMapping) -> StoredRun:
    values = merge_non_finite({name: row[name] for name in _RUN_FIELDS}, row["not_finite"])
    return StoredRun(**values)


def check_page(query: RunQuery) -> None:
    """Raises StoreError for a page that can't be selected."""
    if query.after is not None and query.order != "id":
        raise StoreError(f"pages in the order {query.order!r} go by offset: `after` needs the order 'id'")


def _seen(connection: Connection, archived: bool | None) -> list[ColumnElement[bool]]:
    """Only runs of complete jobs, and of archived ones or of others. A condition is left out where it would hold for
    all runs, nearly always: it would cost an index."""
    unseen, hidden = (_jobs_where(which) for which in (jobs.c.phase != "complete", jobs.c.archived.is_not(None)))
    conditions: list[ColumnElement[bool]] = [runs.c.job_id.not_in(unseen)] if _any(connection, unseen) else []
    if archived:
        conditions.append(runs.c.job_id.in_(hidden))
    elif archived is False and _any(connection, hidden):
        conditions.append(runs.c.job_id.not_in(hidden))
    return conditions


def _any(connection: Connection, chosen: Select[Any]) -> bool:
    return connection.execute(chosen.limit(1)).first() is not None


def _jobs_where(which: ColumnElement[bool]) -> Select[Any]:
    return select(jobs.c.id).where(which)


def _run_conditions(filters: RunFilter) -> list[ColumnElement[bool]]:
    _check_state(filters.state)
    return [_run_condition(name, value) for name, value in filters.criteria().items() if name != "archived"]


def _run_condition(name: str, value: Any) -> ColumnElement[bool]:
    if name == "experiment":  # looked up first: quicker than to join all runs with it
        return runs.c.job_id.in_(select(jobs.c.id).join(experiments).where(experiments.c.name == value))
    condition: ColumnElement[bool] = _RUN_COLUMNS[name] == value
    return condition


def _job_conditions(filters: JobFilter) -> list[ColumnElement[bool]]:
    _check_state(filters.state)
    return [_job_condition(name, value) for name, value in filters.criteria().items()]


def _job_condition(name: str, value: Any) -> ColumnElement[bool]:
    if name == "state":
        return _in_state(value)
    if name == "archived":
        return jobs.c.archived.is_not(None) if value else jobs.c.archived.is_(None)
    condition: ColumnElement[bool] = (experiments.c.name if name == "experiment" else jobs.c[name]) == value
    return condition


def _after(run: RunId | None) -> list[ColumnElement[bool]]:
    return [] if run is None else [runs.c.id > run]


def _order(order: str) -> list[ColumnElement[Any]]:
    name = order.removeprefix("-")
    if name not in _RUN_COLUMNS:
        raise UnknownName("order", name, _RUN_COLUMNS)
    column = _RUN_COLUMNS[name]
    ordered = column.desc() if order.startswith("-") else column.asc()
    # Only where needed: without NULLS LAST an index can be used.
    return [ordered.nulls_last() if column.nullable else ordered, runs.c.id]


def _read_jobs(connection: Connection, limit: int | None, *which: ColumnElement[bool]) -> list[StoredJob]:
    columns = [jobs.c.id, experiments.c.name, jobs.c.spec_id, jobs.c.owner, jobs.c.created, jobs.c.archived]
    chosen = select(*columns).join(experiments).where(jobs.c.phase == "complete", *which)
    chosen = chosen.order_by(jobs.c.id.desc()).limit(limit)
    known = connection.execute(chosen).all()
    by_state = select(runs.c.job_id, runs.c.state, func.count(), func.max(runs.c.finished))
    counts: dict[JobId, dict[str, int]] = {}
    ends: dict[JobId, list[float | None]] = {}
    for part in progress.chunks([row.id for row in known]):
        counted = by_state.where(runs.c.job_id.in_(part)).group_by(runs.c.job_id, runs.c.state)
        for job, state, count, end in connection.execute(counted):
            counts.setdefault(job, {})[state] = count
            ends.setdefault(job, []).append(end)
    finished = {job: max(e for e in end if e) if all(end) else None for job, end in ends.items()}
    about = [(row.id, row.name, row.spec_id, row.owner, row.created) for row in known]
    return [
        StoredJob(*facts, finished=finished.get(row.id), counts=counts.get(row.id, {}), archived=row.archived)
        for facts, row in zip(about, known, strict=True)
    ]


def _in_state(state: str) -> ColumnElement[bool]:
    """The jobs whose `StoredJob.state` is this: unfinished states come first, then failures."""
    running = or_(
        _has_run("running"), and_(_has_run("queued"), _has_run(*(other for other in STATES if other != "queued")))
    )
    if state == "running":
        return running
    order = ("queued", "cancelling", "failed", "cancelled", "succeeded")
    before = [not_(_has_run(earlier)) for earlier in order[: order.index(state)]]
    return and_(not_(running), *before, *([] if state == "succeeded" else [_has_run(state)]))


def _has_run(*states: str) -> ColumnElement[bool]:
    return exists().where(runs.c.job_id == jobs.c.id, runs.c.state.in_(states))


def _check_state(state: str | None) -> None:
    if state is not None and state not in STATES:
        raise UnknownName("state", state, STATES)


def _first(rows: Sequence[Any], what: str, number: int) -> Any:
    if not rows:
        raise NotFound(f"no {what} {number}: `evornn ls` shows all")
    return rows[0]
