"""The sequences of a table: the rows of each group, in order of time and evenly spaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.dates import BadDate, Dates, check_order
from evornn.data.frequency import JITTER, UnevenDates, infer_frequency
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

Indices: TypeAlias = NDArray[np.int64]


def sequences(
    table: Table, group: str | None, time: str | None, check_even: bool = True
) -> list[tuple[str, NDArray[np.int64]]]:
    """Names and rows [T] of the sequences, in the order in which they begin.

    Args:
        table: One row per step.
        group: The column whose values tell sequences apart; None: all rows are one.
        time: The column of times, or of numbers that rise; None: rows are in order.
        check_even: Whether steps must have the same length.

    Raises:
        EvornnError: A row has no group or no time, is not after the one before, or the step to it is another.
    """
    groups = _groups(table, group)
    if time is not None:
        for _, rows in groups:
            check_times(table, time, rows, check_even)
    return groups


def check_times(table: Table, time: str, rows: Indices, check_even: bool = True) -> None:
    """Raises EvornnError for rows [T] that are not in order of time, or not evenly spaced."""
    column = table.column(time)
    missing = np.flatnonzero(column.missing[rows])
    if len(missing):
        raise table.cell_error(time, int(rows[missing[0]]), "is missing: fill it in")
    if column.kind == "time":
        _check_dates(table, column, rows, check_even)
    elif column.kind == "number":
        _check_numbers(table, column, rows, check_even)
    else:
        raise EvornnError(f"{table.source}: column {time!r} is a {column.kind}: the time must be a time or a number")


def dates_of(column: Column, rows: Indices) -> Dates:
    """Times of some rows."""
    return Dates(column.values[rows], None if column.offsets is None else column.offsets[rows])


def _groups(table: Table, group: str | None) -> list[tuple[str, Indices]]:
    if group is None:
        return [("", np.arange(len(table)))]
    column = table.column(group)
    missing = np.flatnonzero(column.missing)
    if len(missing):
        raise table.cell_error(group, int(missing[0]), "is missing: say to which sequence the row belongs")
    _, first, codes = np.unique(column.values, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    names = column.take(first).words()
    return [(names[k], rows[k]) for k in np.argsort(first)]


def _check_dates(table: Table, column: Column, rows: Indices, check_even: bool) -> None:
    dates = dates_of(column, rows)
    try:
        check_order(dates)
        if check_even:
            infer_frequency(dates)
    except BadDate as error:
        raise table.cell_error(column.name, int(rows[error.row]), f"{error.problem}: {error.advice}") from None
    except UnevenDates as error:
        raise table.cell_error(column.name, int(rows[error.row]), str(error)) from None


def _check_numbers(table: Table, column: Column, rows: Indices, check_even: bool) -> None:
    steps = np.diff(column.values[rows])
    fail: Callable[[int, str], EvornnError] = lambda k, problem: table.cell_error(  # noqa: E731
        column.name, int(rows[k + 1]), problem
    )
    back = np.flatnonzero(steps <= 0)
    if len(back):
        raise fail(int(back[0]), "is not after the row before: sort the rows by it")
    usual = float(np.median(steps)) if len(steps) else 0.0
    uneven = np.flatnonzero(np.abs(steps - usual) > JITTER * usual)
    if check_even and len(uneven):
        k = int(uneven[0])
        raise fail(k, f"is {steps[k]:.4g} after the row before, elsewhere {usual:.4g}: fill in the rows")
