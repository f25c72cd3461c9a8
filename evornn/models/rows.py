"""Rows of a table as a model reads them: the numbers [N, C] of the preparation's sources, and where sequences are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.features import CALENDAR
from evornn.data.frequency import describe_duration
from evornn.data.groups import RowGroup, find_frequency, instants, list_groups, typical_step
from evornn.data.numbers import parse_numbers
from evornn.data.preparation import OutputColumn, Preparation
from evornn.data.scaling import Doubles
from evornn.data.table import Table
from evornn.errors import EvornnError, short_repr
from evornn.models.units import Source, sources

ENOUGH_ROWS = 8  # of which the median step is that of all: fewer may be the two sides of a weekend
STEP_TOLERANCE = 1.25  # February and March are as far apart as that, and no two frequencies as close
Positions: TypeAlias = NDArray[np.int64]
Groups: TypeAlias = dict[str, Positions]  # name → rows in order of time


def group_rows(preparation: Preparation, table: Table) -> Groups:
    """The rows of each group in order of time, groups in the order of their first rows; one group "" without a column
    for them."""
    time = preparation.time if preparation.time in table.names else None
    groups = list_groups(table, preparation.group, time)
    if time is not None and preparation.question == "forecast":  # as the task did: a window has no gaps
        for group in groups:
            find_frequency(table, time, group)
            _check_step(preparation, table, time, group)
    return {"" if preparation.group is None else group.name: group.rows for group in groups}


def _check_step(preparation: Preparation, table: Table, time: str, group: RowGroup) -> None:
    """Raises EvornnError for rows that are further apart, or closer, than those that the model learned from."""
    expected, column = preparation.step, table.column(time)
    if expected is None or len(group) < ENOUGH_ROWS:
        return
    step = typical_step(column, group)
    if step is not None and not expected / STEP_TOLERANCE <= step <= expected * STEP_TOLERANCE:
        here, there = (describe_duration(s) if column.kind == "time" else f"{s:.4g}" for s in (step, expected))
        place = f"{table.source}, {group.name!r}" if preparation.group else table.source
        raise EvornnError(
            f"{place}: rows are {here} apart, those that the model learned from {there}: space them alike"
        )


class TimeOrder:
    """Checks that parts of a table follow each other in time, group by group."""

    def __init__(self, preparation: Preparation) -> None:
        self.time, self.last = preparation.time, dict[str, Any]()

    def check(self, table: Table, groups: Groups) -> None:
        """The next part. Raises EvornnError for rows that belong into an earlier one."""
        if self.time is None or self.time not in table.names:
            return
        times = instants(table.column(self.time))
        for name, rows in groups.items():
            if name in self.last and not times[rows[0]] > self.last[name]:
                raise table.cell_error(self.time, int(rows[0]), "is not after the rows before it: sort the file by it")
            self.last[name] = times[rows[-1]]


def read_rows(preparation: Preparation, table: Table, groups: Groups, open_end: bool = False) -> Doubles:
    """The numbers of `sources` in each row. Missing ones are NaN, or filled in within each group as the preparation
    says; NaN are those ahead of a group's end, and those before its beginning.

    Args:
        preparation: Of the model.
        table: Has its columns.
        groups: Of `group_rows`.
        open_end: Whether the last rows may lack what is to be forecast.

    Returns:
        [N, C]; of a category its position among the feature's, −1 for one that training didn't have.

    Raises:
        EvornnError: A column or a value can't be read.
    """
    categories = {feature.column: feature.categories for feature in preparation.features if not feature.derived}
    answered = {answer.column for answer in preparation.answers} if open_end else set()
    filled: dict[str, Doubles] = {}
    parts = list[Doubles]()
    for source in sources(preparation):
        if source.cycle:
            parts.append(_read_cycle(table, source))
            continue
        if source.column not in filled:
            values = read_numbers(table, source.column, categories.get(source.column, ()))
            is_open = source.column in answered
            filled[source.column] = _fill(preparation, table, source.column, values, groups, is_open)
        parts.append(_shift(filled[source.column], source.ahead, groups))
    return np.column_stack(parts)


def read_truth(table: Table, answer: OutputColumn) -> Doubles:
    """[N] the values of an answer's column, NaN where missing; of a category, its position among the answer's. Raises
    EvornnError for a class that the model doesn't know."""
    values = read_numbers(table, answer.column, answer.categories)
    if answer.categories and (unknown := np.flatnonzero(values < 0)).size:
        row, known = int(unknown[0]), ", ".join(answer.categories)
        text = short_repr(table.column(answer.column).words()[row])
        raise table.cell_error(answer.column, row, f"{text} is no class of the model ({known}): leave such rows out")
    return values


def read_numbers(table: Table, name: str, categories: tuple[str, ...]) -> Doubles:
    """[N] a column's numbers, NaN where missing; with categories, positions among them, −1 for others. Raises
    EvornnError where they are no numbers."""
    column = table.column(name)
    if categories:
        known = {text: float(k) for k, text in enumerate(categories)}
        texts, missing = column.words(), column.missing
        return np.where(missing, np.nan, [known.get(text, -1.0) for text in texts])
    if column.kind in ("number", "boolean"):
        return np.asarray(column.values, np.float64)
    present = np.flatnonzero(~column.missing)
    if not len(present):
        return np.full(len(table), np.nan)
    words = column.words()
    row = next((row for row in present.tolist() if np.isnan(parse_numbers([words[row]], ".")[0])), int(present[0]))
    text = short_repr(words[row])
    raise table.cell_error(name, row, f"{text} is not a number, which the model reads here: correct the file")


def portions(count: int, size: int) -> Iterator[slice]:
    """Slices that cover `count` rows."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _read_cycle(table: Table, source: Source) -> Doubles:
    """[N] where times stand in a cycle of the calendar."""
    column = table.column(source.column)
    if column.kind != "time":
        raise EvornnError(f"{table.source}: column {source.column!r} holds no dates or times: write ISO dates")
    missing = np.flatnonzero(column.missing)
    if len(missing):
        raise table.cell_error(source.column, int(missing[0]), "no time: fill it in")
    return np.asarray(CALENDAR[source.cycle](column.values), np.float64)


def _fill(
    preparation: Preparation, table: Table, name: str, values: Doubles, groups: Groups, open_end: bool
) -> Doubles:
    """Missing values as the preparation says. Raises EvornnError for one that is refused, or can't be filled in."""
    if preparation.missing == "mask":
        return values
    lacking = ~np.isfinite(values)
    if not lacking.any():
        return values
    is_number = table.column(name).kind == "number"
    filled = values.copy()
    for rows in groups.values():
        known = np.flatnonzero(~lacking[rows])
        rows = rows[: known[-1] + 1] if open_end and len(known) else rows
        if preparation.missing != "refuse" and len(known):
            filled[rows] = _fill_rows(values[rows], is_number and preparation.missing == "interpolate")
        bad = rows[~np.isfinite(filled[rows])]
        if len(bad):
            advice = {
                "refuse": "no finite number: fill it in, or train with missing: forward_fill",
                "forward_fill": "is missing, and nothing is before it: fill it in",
                "interpolate": "is missing, and no value is near: fill it in",
            }
            raise table.cell_error(name, int(bad[0]), advice[preparation.missing])
    return filled


def carry_forward(rows: Doubles) -> Doubles:
    """[T, C] with the last known value where one is missing: the levels from which forecasts go on."""
    if not np.isnan(rows).any():
        return rows
    return np.column_stack([_fill_rows(column, False) for column in rows.T])


def _fill_rows(values: Doubles, interpolate: bool) -> Doubles:
    """[T] from rows before; NaN at a beginning that nothing fills."""
    steps, known = np.arange(len(values)), np.isfinite(values)
    if interpolate:
        return np.asarray(np.interp(steps, steps[known], values[known]))
    last = np.maximum.accumulate(np.where(known, steps, -1))
    return np.where(last >= 0, values[last], np.nan)


def _shift(values: Doubles, ahead: int, groups: Groups) -> Doubles:
    """[N] those of later rows of the same group, or of earlier ones; NaN beyond its ends."""
    if not ahead:
        return values
    moved = np.full_like(values, np.nan)
    for rows in groups.values():
        here, there = (rows[:-ahead], rows[ahead:]) if ahead > 0 else (rows[-ahead:], rows[:ahead])
        moved[here] = values[there]
    return moved
