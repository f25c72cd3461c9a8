"""Missing values: refused, kept for a mask, or filled from other rows of their group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.groups import RowGroup, Rows
from evornn.data.preparation import MissingPolicy
from evornn.data.table import Column, Table


def fill_missing(table: Table, names: Sequence[str], policy: MissingPolicy, groups: Sequence[RowGroup]) -> Table:
    """The table with the missing values of some columns filled; "mask" leaves them.

    Args:
        table: where they are.
        names: the columns.
        policy: what to do.
        groups: values are filled from rows of the same group only.

    Raises:
        EvornnError: a value is missing and can't be filled, or may not be.
    """
    if policy == "mask":
        return table
    filled = {name: _fill(table, table.column(name), policy, groups) for name in names}
    return replace(table, columns=tuple(filled.get(column.name, column) for column in table.columns))


def _fill(table: Table, column: Column, policy: MissingPolicy, groups: Sequence[RowGroup]) -> Column:
    if not column.missing.any():
        return column
    if policy == "refuse":
        advice = "is missing: fill it in, or set missing to mask, forward_fill or interpolate"
        raise table.cell_error(column.name, int(np.flatnonzero(column.missing)[0]), advice)
    values = column.values.copy()
    for group in groups:
        values[group.rows] = _fill_rows(table, column, policy, group.rows)
    return replace(column, values=values)


def _fill_rows(table: Table, column: Column, policy: MissingPolicy, rows: Rows) -> NDArray[Any]:
    """[T] the values of a group."""
    values, known = column.values[rows], ~column.missing[rows]
    if not known.any():
        raise table.cell_error(column.name, int(rows[0]), "its group has no value at all: leave it out")
    if policy == "interpolate" and column.kind == "number":
        return np.asarray(np.interp(np.arange(len(rows)), np.flatnonzero(known), values[known]))
    last = np.maximum.accumulate(np.where(known, np.arange(len(rows)), -1))
    if last[0] < 0 and policy == "forward_fill":
        raise table.cell_error(column.name, int(rows[0]), "is missing, and nothing is before it: fill it in")
    return np.asarray(values[np.where(last < 0, np.flatnonzero(known)[0], last)])
