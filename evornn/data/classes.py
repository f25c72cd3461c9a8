"""Columns whose values are classes: names, yes or no, or whole numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.table import Column, Table
from evornn.errors import EvornnError

ClassNumbers: TypeAlias = NDArray[np.int64]  # −1 where the class is missing


def read_classes(table: Table, name: str) -> tuple[tuple[str, ...], ClassNumbers]:
    """The names of the classes that occur in a column, in order, and [N] the position of each row's.

    Raises EvornnError for a column without classes, or with one only.
    """
    column = table.column(name)
    if column.kind == "category":
        return _check_several(table, *_renumber(column))
    known = ~column.missing
    values, first, numbers = np.unique(column.values[known], return_index=True, return_inverse=True)
    if column.kind == "number" and (values != np.round(values)).any():
        raise EvornnError(
            f"{table.source}: column {name!r} holds numbers, no classes: ask for numbers, kind: regress or label"
        )
    if column.kind in ("time", "text"):
        raise EvornnError(f"{table.source}: column {name!r} holds {column.kind}s, no classes: name another column")
    positions = np.full(len(table), -1, np.int64)
    positions[known] = numbers
    return _check_several(table, column.take(np.flatnonzero(known)[first]), positions)


def _renumber(column: Column) -> tuple[Column, ClassNumbers]:
    """The categories that occur, each once, and [N] the position of each row's: without sorting the rows."""
    occurring = np.flatnonzero(np.bincount(column.values + 1, minlength=len(column.categories) + 1)[1:])
    places = np.full(len(column.categories) + 1, -1, np.int64)  # the last one is that of −1
    places[occurring] = np.arange(len(occurring))
    return replace(column, values=occurring), places[column.values]


def _check_several(table: Table, classes: Column, positions: ClassNumbers) -> tuple[tuple[str, ...], ClassNumbers]:
    """The classes' names, and the rows' positions. Raises EvornnError for a single class."""
    names = tuple(classes.words())
    if len(names) < 2:
        raise EvornnError(
            f"{table.source}: column {classes.name!r} has {len(names)} class: give two or more to tell apart"
        )
    return names, positions
