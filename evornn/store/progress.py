"""Rows of progress: written once, and compared when a resumed run recomputes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from evornn.store.codec import merge_non_finite, split_non_finite
from evornn.store.errors import Diverged
from evornn.store.records import RunId
from evornn.store.schema import metric_keys, metrics, progress
from evornn.training.records import Row

COUNTS = ("mark", "network_steps", "evaluations", "updates")
LOSSES = ("best", "mean", "median", "q25", "q75", "valid", "champion_valid")
ROW = (*COUNTS, *LOSSES, "seconds")
SUMMARY = ("best", "champion_valid", "seconds")  # of the last row, repeated in the run so that lists need no join


def write(connection: Connection, run: RunId, rows: Sequence[Row]) -> None:
    """Insert the rows that are not stored yet.

    Args:
        connection: The open write transaction.
        run: The run.
        rows: Rows of the run, in any order.

    Raises:
        Diverged: A row is stored already and differs.
    """
    stored = {row.mark: row for row in read(connection, [run], [row.mark for row in rows])[run]}
    for row in rows:
        if row.mark in stored:
            check_equal(run, stored[row.mark], row)
    new = [row for row in rows if row.mark not in stored]
    if new:
        connection.execute(insert(progress), [{"run_id": run, **_columns(row)} for row in new])
        _write_extra(connection, run, new)


def check_equal(run: RunId, stored: Row, new: Row) -> None:
    """Check that two rows of a mark are equal in everything but `seconds`; NaN equals NaN.

    Args:
        run: The run, for the message.
        stored: The row in the database.
        new: The recomputed row.

    Raises:
        Diverged: They differ; the error names the column.
    """
    pairs = {name: (getattr(stored, name), getattr(new, name)) for name in COUNTS + LOSSES}
    for name in sorted(stored.extra.keys() | new.extra.keys()):
        pairs[f"extra.{name}"] = (stored.extra.get(name), new.extra.get(name))
    for column, (old, value) in pairs.items():
        if not _is_equal(old, value):
            raise Diverged(run, new.mark, column, old, value)


def read(
    connection: Connection, ids: Sequence[RunId], marks: Sequence[int] | None = None, after: int = 0
) -> dict[RunId, list[Row]]:
    """Read the rows of runs.

    Args:
        connection: An open transaction.
        ids: The runs.
        marks: Only these marks.
        after: Only marks after this one.

    Returns:
        For each run its rows, in the order of their marks.
    """
    curves: dict[RunId, list[Row]] = {run: [] for run in ids}
    for part in chunks(ids):
        rows = connection.execute(_ROWS.where(*_conditions(progress, part, marks, after))).all()
        extra = _read_extra(connection, _conditions(metrics, part, marks, after)) if rows else {}
        for run, non_finite, *values in rows:
            cells = [*_restore_non_finite(values, non_finite), extra.get((run, values[0]), {})]
            curves[run].append(Row(*cells))
    return curves


def _conditions(
    table: Table, ids: Sequence[RunId], marks: Sequence[int] | None, after: int
) -> list[ColumnElement[bool]]:
    which = [] if marks is None else [table.c.mark.in_(marks)]
    return [table.c.run_id.in_(ids), *which, *([table.c.mark > after] if after else [])]


def chunks(ids: Sequence[RunId], size: int = 1000) -> Iterator[Sequence[RunId]]:
    """Split ids into parts that fit into one statement."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def summary(row: Row) -> dict[str, Any]:
    """Columns of the run that show its last row."""
    values, non_finite = split_non_finite({name: getattr(row, name) for name in SUMMARY})
    return {**{name: int(getattr(row, name)) for name in COUNTS}, **values, "not_finite": non_finite}


def _columns(row: Row) -> dict[str, Any]:
    values, non_finite = split_non_finite({name: getattr(row, name) for name in (*LOSSES, "seconds")})
    return {**{name: int(getattr(row, name)) for name in COUNTS}, **values, "not_finite": non_finite}


def _restore_non_finite(values: list[Any], non_finite: dict[str, str] | None) -> list[Any]:
    return (
        values
        if non_finite is None
        else list(merge_non_finite(dict(zip(ROW, values, strict=True)), non_finite).values())
    )


def _is_equal(a: Any, b: Any) -> bool:
    return a is not None and b is not None and bool(a == b or (math.isnan(a) and math.isnan(b)))


def _write_extra(connection: Connection, run: RunId, rows: Sequence[Row]) -> None:
    keys = _metric_ids(connection, {name for row in rows for name in row.extra})
    cells = [(row.mark, name, float(value)) for row in rows for name, value in row.extra.items()]
    records = [
        {
            "run_id": run,
            "mark": mark,
            "key_id": keys[name],
            "value": value if math.isfinite(value) else None,
            "status": None if math.isfinite(value) else str(value),
        }
        for mark, name, value in cells
    ]
    if records:
        connection.execute(insert(metrics), records)


def _metric_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Ids of metric names. New names are inserted; two workers may insert the same one at the same time."""
    ordered = sorted(names)
    known = select(metric_keys.c.name, metric_keys.c.id).where(metric_keys.c.name.in_(ordered))
    ids = {name: key for name, key in connection.execute(known)} if ordered else {}
    if len(ids) < len(ordered):
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        new = [{"name": name} for name in ordered if name not in ids]
        connection.execute(dialect.insert(metric_keys).on_conflict_do_nothing(), new)
        ids = {name: key for name, key in connection.execute(known)}
    return ids


def _read_extra(
    connection: Connection, chosen: Sequence[ColumnElement[bool]]
) -> dict[tuple[RunId, int], dict[str, float]]:
    names = {key: name for key, name in connection.execute(select(metric_keys.c.id, metric_keys.c.name))}
    columns = [metrics.c[name] for name in ("run_id", "mark", "key_id", "value", "status")]
    extras: dict[tuple[RunId, int], dict[str, float]] = {}
    ordered = select(*columns).where(*chosen).order_by(metrics.c.run_id, metrics.c.mark, metrics.c.key_id)
    for run, mark, key, value, status in connection.execute(ordered):
        extras.setdefault((run, mark), {})[names[key]] = value if status is None else float(status)
    return extras


# For tens of thousands of rows: tuples in the order of Row's fields take a third less time than named values.
_ROWS = select(progress.c.run_id, progress.c.not_finite, *(progress.c[name] for name in ROW)).order_by(
    progress.c.run_id, progress.c.mark
)
