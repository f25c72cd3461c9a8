"""What was understood of a source: columns, sequences, sampling, what may be asked of it, and what is not certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.frequency import UnevenDates, infer_frequency
from evornn.data.groups import check_times, dates_of, sequences
from evornn.data.preparation import Question
from evornn.data.recordings import TIME
from evornn.data.table import FILE, SEQUENCE, Column, ColumnKind, Table
from evornn.errors import EvornnError

POINTS = 40  # of a column's curve
MOST_CLASSES = 12  # that are counted
FEW = 20  # whole numbers that may be classes
CHECKED = 500  # sequences whose times are checked

Groups = list[tuple[str, NDArray[np.int64]]]


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
    group_fits = group is None or not table.column(group).missing.any()
    groups = sequences(table, group if group_fits else None, None)
    if not group_fits:
        doubts.append(_error_doubt(lambda: sequences(table, group, None)))
    step = _sampling(table, groups, group, time, doubts)
    columns = tuple(_facts(column, groups, column.name not in (group, time, FILE)) for column in table.columns)
    for column in columns:
        _ask_about_column(column, table, doubts)
    lengths = [len(rows) for _, rows in groups]
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


def _sampling(table: Table, groups: Groups, group: str | None, time: str | None, doubts: list[Doubt]) -> str:
    """The step between rows in words. Adds what is wrong with the times to the doubts."""
    if time is None:
        return ""
    candidates = _group_candidates(table, time) if group is None and not _is_ordered(table, groups, time) else []
    if candidates:
        question = f"column {time!r}: times begin anew: which column tells the sequences apart?"
        doubts.append(Doubt(question, tuple(("group", name) for name in candidates), True))
        return ""
    try:
        for _, rows in groups[:CHECKED]:
            check_times(table, time, rows)
    except EvornnError as error:
        doubts.append(Doubt(str(error), blocking=True))
        return ""
    return _step(table.column(time), groups[0][1])


def _is_ordered(table: Table, groups: Groups, time: str) -> bool:
    try:
        for _, rows in groups[:CHECKED]:
            check_times(table, time, rows, check_even=False)
    except EvornnError:
        return False
    return True


def _group_candidates(table: Table, time: str) -> list[str]:
    """Columns in whose groups times rise."""
    names = [column.name for column in table.columns if column.name != time and _may_be_group(column)]
    return [name for name in names if _is_ordered(table, sequences(table, name, None), time)]


def _may_be_group(column: Column) -> bool:
    if column.kind not in ("category", "number") or column.missing.any():
        return False
    is_whole = column.kind == "category" or bool((column.values == np.round(column.values)).all())
    return is_whole and 1 < len(np.unique(column.values)) <= len(column.values) / 2


def _step(column: Column, rows: NDArray[np.int64]) -> str:
    if len(rows) < 2:
        return ""
    if column.kind == "number":
        return f"{np.median(np.diff(column.values[rows])):.4g}"
    try:
        frequency = infer_frequency(dates_of(column, rows))
    except UnevenDates:
        return ""
    return f"{frequency.count} {frequency.unit}{'' if frequency.count == 1 else 's'}"


def _facts(column: Column, groups: Groups, may_be_target: bool) -> ColumnFacts:
    missing = column.missing
    known = column.values[~missing]
    question = _question(column, groups) if may_be_target and len(known) else None
    facts = ColumnFacts(column.name, column.kind, int(missing.sum()), question=question)
    if not len(known) or column.kind == "text":
        return facts
    if column.kind in ("category", "boolean"):
        values, counts = np.unique(known.astype(np.int64), return_counts=True)
        names = column.categories or ("false", "true")
        most = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
        return replace(facts, classes=tuple((names[int(values[k])], int(counts[k])) for k in most), count=len(values))
    low, high = known.min(), known.max()
    if column.kind == "time":
        return replace(facts, low=_time_text(low), high=_time_text(high))
    curve = tuple(_curve(column.values[groups[0][1]]))
    return replace(facts, low=f"{low:.6g}", high=f"{high:.6g}", curve=curve)


def _time_text(value: Any) -> str:
    return str(value).removesuffix(".000000").removesuffix(":00").removesuffix("T00:00")


def _curve(values: NDArray[np.float64]) -> list[float]:
    """Means of up to POINTS parts; NaN where all is missing."""
    parts = np.array_split(values, min(POINTS, len(values)))
    return [float(part[~np.isnan(part)].mean()) if not np.isnan(part).all() else float("nan") for part in parts]


def _question(column: Column, groups: Groups) -> Question | None:
    """What may be asked of a column: one value for each sequence, or one for each step."""
    if column.kind not in ("number", "category", "boolean"):
        return None
    is_number = column.kind == "number"
    if len(groups) > 1 and all(_is_constant(column.values[rows]) for _, rows in groups):
        return "regress" if is_number else "classify"
    return None if _is_constant(column.values) else "forecast" if is_number else "label"


def _is_constant(values: NDArray[Any]) -> bool:
    return bool((values == values[0]).all())


def _ask_about_column(column: ColumnFacts, table: Table, doubts: list[Doubt]) -> None:
    rows = len(table)
    if column.question == "regress" and (count := _whole_numbers(table.column(column.name))):
        question = f"column {column.name!r}: are its {count} whole numbers classes?"
        doubts.append(Doubt(question, (("kinds", f"{column.name}=category"),)))
    if rows > 1 and column.low and column.low == column.high and not column.missing and column.kind == "number":
        doubts.append(Doubt(f"column {column.name!r}: is {column.low} in all rows: it tells a network nothing"))
    if 0 < column.missing < rows and column.kind in ("number", "boolean"):
        question = f"column {column.name!r}: {column.missing:,} of {rows:,} values are missing: what about them?"
        doubts.append(Doubt(question, tuple(("fill", policy) for policy in ("mask", "forward_fill", "interpolate"))))


def _whole_numbers(column: Column) -> int:
    """How many different numbers there are, if they are few and whole; else 0."""
    values = np.unique(column.values[~column.missing])
    return len(values) if len(values) <= FEW and (values == np.round(values)).all() else 0


def _error_doubt(call: Any) -> Doubt:
    try:
        call()
    except EvornnError as error:
        return Doubt(str(error), blocking=True)
    raise AssertionError("the call was to fail")
