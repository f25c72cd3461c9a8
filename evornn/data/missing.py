"""What is done about missing numbers in the rows of one sequence. Nothing, unless told: a gap is refused."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from evornn.data.preparation import MissingPolicy
from evornn.data.scaling import Doubles
from evornn.data.table import Table

Indices = NDArray[np.int64]


def fill_missing(table: Table, name: str, rows: Indices, policy: MissingPolicy) -> Doubles:
    """[T] numbers of a column without gaps.

    - `refuse`: a gap is an error.
    - `forward_fill`: the last known value. A sequence must not begin with a gap.
    - `interpolate`: a straight line between the neighbours, at the ends the nearest value. It reads later rows, which a
      forecast doesn't know.
    - `mask`: 0; `missing_indicator` tells a network where. Scale numbers first, so that 0 is their mean.

    Args:
        table: Has the column.
        name: A column of numbers or booleans.
        rows: [T] the rows of one sequence, in order.
        policy: One of the above.

    Raises:
        EvornnError: A gap that the policy can't fill; it names file, line and column.
    """
    return fill_values(table, name, rows, table.column(name).values[rows].astype(np.float64), policy)


def fill_values(table: Table, name: str, rows: Indices, values: Doubles, policy: MissingPolicy) -> Doubles:
    """As `fill_missing`, of values [T] that were scaled."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    first = int(gaps.argmax())
    if policy == "refuse":
        others = ", ".join(name for name in get_args(MissingPolicy) if name != "refuse")
        raise table.cell_error(name, int(rows[first]), f"is missing: fill it in, or set missing to {others}")
    if policy == "mask":
        return np.where(gaps, 0.0, values)
    if gaps.all():
        raise table.cell_error(
            name, int(rows[0]), "the sequence has no value at all: leave it out, or set missing to mask"
        )
    known = np.flatnonzero(~gaps)
    if policy == "interpolate":
        return np.interp(np.arange(len(values)), known, values[known])
    if gaps[0]:
        raise table.cell_error(
            name, int(rows[0]), "is missing at the beginning, where nothing is known to fill forward"
        )
    return np.asarray(values[np.maximum.accumulate(np.where(gaps, 0, np.arange(len(values))))])


def missing_indicator(table: Table, name: str, rows: Indices) -> Doubles:
    """[T] 1 where a value is missing, else 0."""
    return table.column(name).missing[rows].astype(np.float64)
