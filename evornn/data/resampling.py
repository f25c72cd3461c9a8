"""Uneven steps made even: numbers in between on straight lines, everything else as it last was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evornn.data.groups import dates_of, sequences
from evornn.data.scaling import Doubles
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

MOST = 100  # times as many rows as there were; more is a wrong step


def resample(table: Table, group: str | None, time: str, step: float | None = None) -> Table:
    """The table with evenly spaced rows in each sequence.

    Args:
        table: One row per step.
        group: The column that tells sequences apart; None: all rows are one.
        time: The column of times or numbers, which rise within a sequence.
        step: From one row to the next: seconds for times; None: the median of all steps.

    Raises:
        EvornnError: Times don't rise, or the step is far too small.
    """
    column = table.column(time)
    parts = [rows for _, rows in sequences(table, group, time, check_even=False)]
    seconds = [_seconds(column, rows) for rows in parts]
    chosen = step or float(np.median(np.concatenate([np.diff(one) for one in seconds if len(one) > 1] or [np.ones(1)])))
    grids = [_grid(one, chosen, table.source) for one in seconds]
    triples = list(zip(parts, seconds, grids, strict=True))
    before = [rows[np.searchsorted(one, grid + 1e-6 * chosen, "right") - 1] for rows, one, grid in triples]
    picked = table.take(np.concatenate(before))

    def column_of(old: Column, new: Column) -> Column:
        if old.name == time:
            return _times(old, parts, grids)
        if old.kind != "number":
            return new
        values = [np.interp(grid, one, old.values[rows]) for rows, one, grid in triples]
        return replace(new, values=np.concatenate(values))

    columns = [column_of(old, new) for old, new in zip(table.columns, picked.columns, strict=True)]
    return replace(picked, columns=tuple(columns))


def _seconds(column: Column, rows: NDArray[np.int64]) -> Doubles:
    """[T] times from the first row on."""
    values = dates_of(column, rows).instants if column.kind == "time" else column.values[rows]
    steps = values - values[0]
    return np.asarray(steps / np.timedelta64(1, "s") if column.kind == "time" else steps, np.float64)


def _grid(seconds: Doubles, step: float, source: str) -> Doubles:
    count = int(seconds[-1] / step + 1e-6) + 1
    if count > MOST * len(seconds):
        raise EvornnError(f"{source}: a step of {step:g} makes {count:,} rows of {len(seconds):,}: give a larger step")
    return np.asarray(np.arange(count) * step, np.float64)


def _times(column: Column, parts: list[NDArray[np.int64]], grids: list[Doubles]) -> Column:
    """The first time of each sequence, and what has passed. The offset from UTC stays the first one."""
    first = column.take(np.repeat([rows[0] for rows in parts], [len(grid) for grid in grids]))
    passed = np.concatenate(grids)
    step = passed if column.kind == "number" else (passed * 1e6).round().astype("timedelta64[us]")
    return replace(first, values=first.values + step)
