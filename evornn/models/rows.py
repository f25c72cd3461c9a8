"""Rows of a table as a model reads them: numbers [N, C] of the preparation's columns, and where sequences begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.preparation import Answer, Preparation
from evornn.data.scaling import Doubles
from evornn.data.table import Column, Table
from evornn.errors import short_repr, suggestion
from evornn.models.units import columns

Positions: TypeAlias = NDArray[np.int64]


def read_rows(preparation: Preparation, table: Table) -> Doubles:
    """[N, C] the values of `columns`; of a category, its position among the feature's. Missing ones are NaN, or filled
    in within each group as the preparation says.

    Raises EvornnError for a column or value that the model can't read."""
    categories = {feature.column: feature.categories for feature in preparation.features}
    names = columns(preparation)
    rows = np.column_stack([_numbers(table, name, categories.get(name, ())) for name in names])
    if preparation.missing == "refuse":
        _refuse_missing(table, names, rows)
    if preparation.missing in ("forward_fill", "interpolate"):
        for group in group_rows(preparation, table).values():
            rows[group] = _fill(rows[group], preparation.missing == "interpolate")
    return rows


def read_truth(table: Table, answer: Answer) -> Doubles:
    """[N] the values of an answer's column, NaN where missing; of a category, its position among the answer's."""
    return _numbers(table, answer.column, answer.categories)


def group_rows(preparation: Preparation, table: Table) -> dict[str, Positions]:
    """The rows of each group in their order, groups in the order of their first rows; one group "" without a column."""
    if preparation.group is None:
        return {"": np.arange(len(table))}
    texts = column_texts(table.column(preparation.group))
    names, first, inverse = np.unique(texts, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse, minlength=len(names)))[:-1])
    return {str(names[k]): parts[k] for k in np.argsort(first)}


def column_texts(column: Column) -> NDArray[Any]:
    """[N] the values as they are written."""
    if column.kind == "category":
        return np.asarray(np.array([*column.categories, ""], dtype=object)[column.values].astype(str))
    if column.kind in ("number", "boolean"):
        return np.array([f"{value:.15g}" for value in column.values.tolist()])
    return np.asarray(column.values.astype(str))


def portions(count: int, size: int) -> Iterator[slice]:
    """Slices that cover `count` rows."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _numbers(table: Table, name: str, categories: tuple[str, ...]) -> Doubles:
    column = table.column(name)
    if categories:
        return _category_positions(table, column, categories)
    if column.kind not in ("number", "boolean"):
        present = np.flatnonzero(~column.missing)
        if not len(present):
            return np.full(len(table), np.nan)
        row = int(present[0])
        value = short_repr(str(column_texts(column)[row]))
        raise table.cell_error(name, row, f"{value} is not a number, which the model reads here: correct the file")
    return np.asarray(column.values, np.float64)


def _category_positions(table: Table, column: Column, categories: tuple[str, ...]) -> Doubles:
    known = {text: float(k) for k, text in enumerate(categories)}
    texts = column_texts(column)
    positions = np.array([known.get(text, np.nan) for text in texts.tolist()])
    unknown = np.flatnonzero(np.isnan(positions) & ~column.missing)
    if len(unknown):
        row = int(unknown[0])
        text = str(texts[row])
        raise table.cell_error(column.name, row, f"unknown category {short_repr(text)}{suggestion(text, categories)}")
    return positions


def _refuse_missing(table: Table, names: tuple[str, ...], rows: Doubles) -> None:
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        row, column = (int(k) for k in bad[0])
        raise table.cell_error(names[column], row, "no finite number: fill it in, or train with missing: forward_fill")


def _fill(rows: Doubles, interpolate: bool) -> Doubles:
    """Without NaN but at a beginning that nothing fills."""
    filled, steps = rows.copy(), np.arange(len(rows))
    for values in filled.T:
        known = np.flatnonzero(~np.isnan(values))
        if len(known) in (0, len(values)):
            continue
        if interpolate:
            values[:] = np.interp(steps, known, values[known])
            continue
        last = np.maximum.accumulate(np.where(np.isnan(values), -1, steps))
        values[:] = np.where(last >= 0, values[last], np.nan)
    return filled
