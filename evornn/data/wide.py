"""Wide tables, with a row per sequence and a column per step, as long ones."""

from __future__ import annotations

import numpy as np

from evornn.data.table import SEQUENCE, Column, Table
from evornn.errors import EvornnError

VALUE = "value"  # the column of a long table that was columns of a wide one


def lengthen(table: Table, steps: str) -> Table:
    """One row per step.

    Args:
        table: One row per sequence.
        steps: FIRST:LAST, the columns that are steps. All others are repeated at each step.

    Raises:
        EvornnError: There are no such columns, or one is not of numbers.
    """
    names = _between(table, steps)
    for name in names:
        if table.column(name).kind != "number":
            raise EvornnError(f"{table.source}: column {name!r} is a {table.column(name).kind}: steps must be numbers")
    values = np.stack([table.column(name).values for name in names], axis=1)  # [B, T]
    lengths = np.maximum(values.shape[1] - np.argmax(~np.isnan(values[:, ::-1]), axis=1), 1)
    lengths[np.isnan(values).all(axis=1)] = 1
    rows = np.repeat(np.arange(len(table)), lengths)
    numbers = tuple(str(k + 1) for k in range(len(table)))
    kept = np.arange(values.shape[1]) < lengths[:, None]
    others = [column.take(rows) for column in table.columns if column.name not in names]
    new = (Column(SEQUENCE, "category", rows, numbers), Column(VALUE, "number", values[kept]))
    lines = table.lines[rows] if len(table.lines) else table.lines
    return Table((*others, *new), table.source, lines, table.is_folder)


def _between(table: Table, steps: str) -> list[str]:
    first, colon, last = steps.partition(":")
    if not colon:
        raise EvornnError(f"wide is {steps!r}: give the first and the last column of the steps, as FIRST:LAST")
    names = list(table.names)
    start, stop = (names.index(table.column(name).name) for name in (first or names[0], last or names[-1]))
    if start > stop:
        raise EvornnError(f"wide is {steps!r}, but {last!r} stands before {first!r}: turn them round")
    return names[start : stop + 1]
