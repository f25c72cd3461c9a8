"""Columns whose values are classes: names, yes or no, or whole numbers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.table import Table
from evornn.errors import EvornnError

ClassNumbers: TypeAlias = NDArray[np.int64]  # −1 where the class is missing


def read_classes(table: Table, name: str) -> tuple[tuple[str, ...], ClassNumbers]:
    """The names of the classes that occur in a column, in order, and [N] the position of each row's.

    Raises EvornnError for a column without classes, or with one only.
    """
    column = table.column(name)
    known = ~column.missing
    values, first, numbers = np.unique(column.values[known], return_index=True, return_inverse=True)
    if column.kind == "number" and (values != np.round(values)).any():
        raise EvornnError(
            f"{table.source}: column {name!r} holds numbers, no classes: ask for numbers, kind: regress or label"
        )
    if column.kind in ("time", "text"):
        raise EvornnError(f"{table.source}: column {name!r} holds {column.kind}s, no classes: name another column")
    if len(values) < 2:
        raise EvornnError(f"{table.source}: column {name!r} has {len(values)} class: give two or more to tell apart")
    positions = np.full(len(table), -1, np.int64)
    positions[known] = numbers
    return tuple(column.take(np.flatnonzero(known)[first]).words()), positions
