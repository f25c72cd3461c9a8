"""The sequences of a long table: the rows of each group in order of time, and the step from row to row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.dates import Dates
from evornn.data.frequency import JITTER, Frequency, UnevenDates, infer_frequency
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class RowGroup:
    """A sequence: its name, and where its rows stand in the table."""

    name: str
    rows: Rows  # [T] in order of time

    def __len__(self) -> int:
        return len(self.rows)


def list_groups(table: Table, group: str | None, time: str | None) -> list[RowGroup]:
    """The groups in the order in which they begin in the table.

    Args:
        table: its rows may be in any order if there is a column of times.
        group: the column whose values tell sequences apart; None: all rows are one.
        time: the column of times; None: rows are in order.

    Raises:
        EvornnError: a group or a time is missing, or a group has a time twice.
    """
    every = np.arange(len(table))
    if group is None:
        return [RowGroup(table.source, _order(table, time, every))]
    column = table.column(group)
    missing = np.flatnonzero(column.missing)
    if len(missing):
        raise table.cell_error(group, int(missing[0]), "no group: fill it in")
    _, first, numbers = np.unique(column.values, return_index=True, return_inverse=True)
    rows_by_group = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    names = column.take(first).words()
    return [
        RowGroup(names[k], _order(table, time, np.sort(rows_by_group[k]))) for k in np.argsort(first, kind="stable")
    ]


def find_frequency(table: Table, time: str, group: RowGroup) -> Frequency:
    """The step from one row of a group to the next; of times that are numbers, one row. Raises EvornnError for a step
    that is longer or shorter than the others."""
    column, rows = table.column(time), group.rows
    if column.kind == "time":
        try:
            return infer_frequency(Dates(column.values[rows], None if column.offsets is None else column.offsets[rows]))
        except UnevenDates as error:
            raise table.cell_error(time, int(rows[error.row]), str(error)) from None
    steps = np.diff(column.values[rows])
    usual = float(np.median(steps)) if len(steps) else 0.0
    uneven = np.flatnonzero(np.abs(steps - usual) > JITTER * usual)
    if len(uneven):
        problem = f"{steps[uneven[0]]:.4g} after the row before, elsewhere {usual:.4g}"
        advice = "fill in the missing rows, or leave time out to count rows"
        raise table.cell_error(time, int(rows[uneven[0] + 1]), f"{problem}: {advice}")
    return Frequency("row")


def typical_step(column: Column, group: RowGroup) -> float | None:
    """The median step from one row of a group to the next: seconds, or what a column of numbers counts; None: there is
    one row."""
    times = instants(column)[group.rows]
    if len(times) < 2:
        return None
    return float(np.median(np.diff(times) / (np.timedelta64(1, "s") if column.kind == "time" else 1)))


def instants(column: Column) -> NDArray[Any]:
    """[N] times in UTC where offsets are known, else as written; numbers as they are."""
    return column.values if column.offsets is None else column.values - column.offsets


def _order(table: Table, time: str | None, rows: Rows) -> Rows:
    """Rows of one group, by time. Raises EvornnError for a time that is missing or there twice."""
    if time is None:
        return rows
    column = table.column(time)
    if column.kind not in ("time", "number"):
        raise EvornnError(f"{table.source}: column {time!r} holds no times: write ISO dates, or numbers")
    missing = rows[column.missing[rows]]
    if len(missing):
        raise table.cell_error(time, int(missing[0]), "no time: fill it in")
    times = instants(column)
    ordered = rows[np.argsort(times[rows], kind="stable")]
    again = ordered[1:][times[ordered][1:] == times[ordered][:-1]]
    if len(again):
        advice = "name the column that tells sequences apart as group"
        if column.kind == "time" and column.offsets is None:
            advice += ", or write offsets from UTC if clocks were put back"
        raise table.cell_error(time, int(again[0]), f"is there twice in its group: {advice}")
    return ordered
