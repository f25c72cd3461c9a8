"""What is understood of groups and times: the sequences in order, the step between rows, and columns that may tell
sequences apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.doubts import Doubt
from evornn.data.frequency import Frequency
from evornn.data.groups import RowGroup, find_frequency, instants, list_groups
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

NONE = "none"  # as group or time: there is no such column
CHECKED = 500  # sequences whose steps are checked
FEWEST = 2  # rows in any order

Groups = list[RowGroup]


def order_groups(table: Table, group: str | None, time: str | None, doubts: list[Doubt]) -> tuple[Groups, bool]:
    """The sequences, as tasks have them; and whether they could be put in order. What is wrong with groups and times is
    added to the doubts."""
    try:
        groups = list_groups(table, group, time)
    except EvornnError as error:
        candidates = _group_candidates(table, time) if group is None and time is not None else []
        question = f"column {time!r}: times begin anew: which column tells the sequences apart?"
        ask = Doubt(question, tuple(("group", name) for name in candidates), True)
        doubts.append(ask if candidates else Doubt(str(error), blocking=True))
        group_fits = group is None or not table.column(group).missing.any()
        return list_groups(table, group if group_fits else None, None), False
    if any((np.diff(one.rows) < 0).any() for one in groups):
        doubts.append(Doubt(f"column {time!r}: rows are not in order: they are read in the order of time"))
    return groups, True


def _group_candidates(table: Table, time: str) -> list[str]:
    """Columns in whose groups no time is there twice."""
    times = table.column(time)
    if times.kind not in ("time", "number") or times.missing.any():
        return []
    columns = [column for column in table.columns if column.name != time and _may_be_group(column)]
    return [column.name for column in columns if not _has_twice(column.values, instants(times))]


def _has_twice(groups: NDArray[Any], times: NDArray[Any]) -> bool:
    order = np.lexsort((times, groups))
    same = [values[order][1:] == values[order][:-1] for values in (groups, times)]
    return bool((same[0] & same[1]).any())


def _may_be_group(column: Column) -> bool:
    if column.kind not in ("category", "number") or column.missing.any():
        return False
    is_whole = column.kind == "category" or bool((column.values == np.round(column.values)).all())
    return is_whole and 1 < len(np.unique(column.values)) <= len(column.values) / 2


def makes_blocks(column: Column) -> bool:
    """Whether its values may tell sequences apart: each stands in rows that follow one another."""
    if not _may_be_group(column):
        return False
    blocks = 1 + int((np.diff(column.values) != 0).sum())
    return blocks > 2 and blocks == len(np.unique(column.values))


def describe_step(table: Table, groups: Groups, time: str | None) -> tuple[str, str]:
    """The step between rows in words; and where it is another one."""
    if time is None:
        return "", ""
    try:
        frequencies = [find_frequency(table, time, group) for group in groups[:CHECKED]]
    except EvornnError as error:
        return "", str(error)
    return _step(table.column(time), groups[0], frequencies[0]), ""


def _step(column: Column, group: RowGroup, frequency: Frequency) -> str:
    if len(group) < 2:
        return ""
    if column.kind == "number":
        return f"{np.median(np.diff(column.values[group.rows])):.4g}"
    return f"{frequency.count} {frequency.unit}{'' if frequency.count == 1 else 's'}"


def ask_for_group(within: list[str]) -> list[Doubt]:
    """The question whether columns whose values stand in blocks tell sequences apart. Rows without times don't say."""
    if not within:
        return []
    ask = f"rows with one value of {' or '.join(map(repr, within))} stand together: does that tell the sequences apart?"
    return [Doubt(ask, tuple(("group", name) for name in (*within, NONE)), True)]


def ask_about_order(table: Table) -> list[Doubt]:
    """What may be wrong with the order of the file, where it is taken for that of time."""
    doubts = []
    for column in table.columns:
        known = column.take(np.flatnonzero(~column.missing))
        if len(known.values) <= FEWEST:
            continue
        if column.kind in ("text", "category") and len(np.unique(known.values)) == len(known.values):
            what = f"its texts are all different: if they are times ({known.words()[0]}), they aren't understood"
            doubts.append(Doubt(f"column {column.name!r}: {what}, and rows stay in the order of the file"))
        if column.kind == "time" and (np.diff(instants(known)) < np.timedelta64(0)).all():
            doubts.append(Doubt(f"column {column.name!r}: times fall from row to row, so that time runs backwards"))
    return doubts
