"""What was understood of a source: columns, sequences, sampling, what may be asked of it, and what is not certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.frequency import Frequency
from evornn.data.groups import RowGroup, find_frequency, instants, list_groups
from evornn.data.preparation import Question
from evornn.data.recordings import TIME
from evornn.data.table import BOOLEANS, FILE, SEQUENCE, Column, ColumnKind, Table
from evornn.errors import EvornnError

POINTS = 40  # of a column's curve
MOST_CLASSES = 12  # that are counted
FEW = 20  # whole numbers that may be classes
CHECKED = 500  # sequences whose times are checked


@dataclass(frozen=True)
class ColumnFacts:
    """What a column holds. `low` and `high` are numbers or times as text, `curve` is of the first sequence."""

    name: str
    kind: ColumnKind
    missing: int  # values
    low: str = ""
    high: str = ""
    curve: tuple[float, ...] = ()  # means of up to POINTS parts
    classes: tuple[tuple[str, int], ...] = ()  # the most frequent ones with their rows
    count: int = 0  # of different classes
    question: Question | None = None  # that its values may answer; None: none, or it is group or time


@dataclass(frozen=True)
class Understanding:
    """A source in facts. `to_dict` gives them as JSON."""

    source: str
    about: Mapping[str, str]  # format, separator, encoding, …
    rows: int
    columns: tuple[ColumnFacts, ...]
    group: str | None  # the column that tells sequences apart; None: all rows are one
    time: str | None  # the column of times; None: rows are in order
    sequences: int
    shortest: int  # rows
    longest: int
    step: str  # from one row to the next; empty: unknown
    doubts: tuple[Doubt, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "about": dict(self.about), "doubts": [doubt.to_dict() for doubt in self.doubts]}


def understand(contents: Contents, group: str | None = None, time: str | None = None) -> Understanding:
    """What a table holds.

    Args:
        contents: What `load` gave.
        group: The column that tells sequences apart; None: the one that the reader added, if it did.
        time: The column of times; None: the only one of that kind.

    Raises:
        EvornnError: There is no such column.
    """
    table, doubts = contents.table, list(contents.doubts)
    group = table.column(group).name if group else _own_group(contents)
    time = table.column(time).name if time else _only_time(contents, doubts)
    groups, step = _sequences(table, group, time, doubts)
    columns = tuple(_facts(column, groups, column.name not in (group, time, FILE)) for column in table.columns)
    for column in columns:
        _ask_about_column(column, table, doubts)
    lengths = [len(one) for one in groups]
    return Understanding(
        source=table.source,
        about=contents.about,
        rows=len(table),
        columns=columns,
        group=group,
        time=time,
        sequences=len(groups),
        shortest=min(lengths),
        longest=max(lengths),
        step=step,
        doubts=tuple(doubts),
    )


def _own_group(contents: Contents) -> str | None:
    if contents.table.is_folder:
        return FILE
    return SEQUENCE if contents.has_sequences else None


def _only_time(contents: Contents, doubts: list[Doubt]) -> str | None:
    if contents.about.get("format") == "WAV":
        return TIME
    times = [column.name for column in contents.table.columns if column.kind == "time"]
    if len(times) > 1:
        question = "which of the columns of times gives the order of rows?"
        doubts.append(Doubt(question, tuple(("time", name) for name in times), True))
    return times[0] if len(times) == 1 else None


def _sequences(table: Table, group: str | None, time: str | None, doubts: list[Doubt]) -> tuple[list[RowGroup], str]:
    """The sequences, and the step between their rows in words. Adds what is wrong with them to the doubts."""
    if group is None and time is not None and (candidates := _group_candidates(table, time)):
        question = f"column {time!r}: times begin anew: which column tells the sequences apart?"
        doubts.append(Doubt(question, tuple(("group", name) for name in candidates), True))
        return list_groups(table, None, None), ""
    try:
        groups = list_groups(table, group, time)
    except EvornnError as error:
        doubts.append(Doubt(str(error), blocking=True))
        is_named = group is not None and not table.column(group).missing.any()
        return list_groups(table, group if is_named else None, None), ""
    if time is None:
        return groups, ""
    if not _is_ordered(table.column(time), groups):
        doubts.append(Doubt(f"column {time!r}: rows are not in order: they are read in the order of time"))
    try:
        frequencies = [find_frequency(table, time, one) for one in groups[:CHECKED]]
    except EvornnError as error:
        doubts.append(Doubt(str(error), blocking=True))
        return groups, ""
    return groups, _step(table.column(time), groups[0], frequencies[0])


def _step(column: Column, group: RowGroup, frequency: Frequency) -> str:
    if len(group) < 2:
        return ""
    if column.kind == "number":
        return f"{np.median(np.diff(column.values[group.rows])):.4g}"
    return f"{frequency.count} {frequency.unit}{'' if frequency.count == 1 else 's'}"


def _is_ordered(column: Column, groups: list[RowGroup]) -> bool:
    """Whether times rise from row to row of the file, in each group."""
    if column.kind not in ("time", "number") or column.missing.any():
        return False
    times = instants(column)
    return all((times[rows[1:]] > times[rows[:-1]]).all() for rows in (np.sort(one.rows) for one in groups))


def _group_candidates(table: Table, time: str) -> list[str]:
    """Columns in whose groups times rise, if they don't in the whole table."""
    if _is_ordered(table.column(time), list_groups(table, None, None)):
        return []
    names = [column.name for column in table.columns if column.name != time and _may_be_group(column)]
    return [name for name in names if _is_ordered(table.column(time), list_groups(table, name, None))]


def _may_be_group(column: Column) -> bool:
    if column.kind not in ("category", "number") or column.missing.any():
        return False
    is_whole = column.kind == "category" or bool((column.values == np.round(column.values)).all())
    return is_whole and 1 < len(np.unique(column.values)) <= len(column.values) / 2


def _facts(column: Column, groups: list[RowGroup], may_be_target: bool) -> ColumnFacts:
    missing = column.missing
    known = column.values[~missing]
    question = _question(column, groups) if may_be_target and len(known) else None
    facts = ColumnFacts(column.name, column.kind, int(missing.sum()), question=question)
    if not len(known) or column.kind == "text":
        return facts
    if column.kind in ("category", "boolean"):
        values, counts = np.unique(known.astype(np.int64), return_counts=True)
        names = column.categories or BOOLEANS[0]
        most = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
        return replace(facts, classes=tuple((names[int(values[k])], int(counts[k])) for k in most), count=len(values))
    low, high = known.min(), known.max()
    if column.kind == "time":
        return replace(facts, low=_time_text(low), high=_time_text(high))
    curve = tuple(_curve(column.values[groups[0].rows]))
    return replace(facts, low=f"{low:.6g}", high=f"{high:.6g}", curve=curve)


def _time_text(value: Any) -> str:
    return str(value).removesuffix(".000000").removesuffix(":00").removesuffix("T00:00")


def _curve(values: NDArray[np.float64]) -> list[float]:
    """Means of up to POINTS parts; NaN where all is missing."""
    parts = np.array_split(values, min(POINTS, len(values)))
    return [float(part[~np.isnan(part)].mean()) if not np.isnan(part).all() else float("nan") for part in parts]


def _question(column: Column, groups: list[RowGroup]) -> Question | None:
    """What may be asked of a column: one value for each sequence, or one for each step."""
    if column.kind not in ("number", "category", "boolean"):
        return None
    is_number = column.kind == "number"
    if len(groups) > 1 and all(_is_constant(column.take(one.rows)) for one in groups):
        return "regress" if is_number else "classify"
    return None if _is_constant(column) else "forecast" if is_number else "label"


def _is_constant(column: Column) -> bool:
    """Whether all values that are known are the same."""
    known = column.values[~column.missing]
    return bool((known == known[:1]).all())


def _ask_about_column(column: ColumnFacts, table: Table, doubts: list[Doubt]) -> None:
    rows = len(table)
    if column.question == "regress" and (count := _whole_numbers(table.column(column.name))):
        question = f"column {column.name!r}: are its {count} whole numbers classes?"
        doubts.append(Doubt(question, (("kinds", f"{column.name}=category"),)))
    if rows > 1 and column.kind == "number" and _is_constant(table.column(column.name)) and column.low:
        where = "wherever it is known" if column.missing else "in all rows"
        doubts.append(Doubt(f"column {column.name!r}: is {column.low} {where}: it tells a network nothing"))
    if 0 < column.missing < rows and column.kind in ("number", "boolean"):
        question = f"column {column.name!r}: {column.missing:,} of {rows:,} values are missing: what about them?"
        doubts.append(Doubt(question, tuple(("fill", policy) for policy in ("mask", "forward_fill", "interpolate"))))


def _whole_numbers(column: Column) -> int:
    """How many different numbers there are, if they are few and whole; else 0."""
    values = np.unique(column.values[~column.missing])
    return len(values) if len(values) <= FEW and (values == np.round(values)).all() else 0
