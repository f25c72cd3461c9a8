"""What was understood of a source: columns, sequences, sampling, what may be asked of it, and what is not certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.features import READABLE
from evornn.data.groups import RowGroup
from evornn.data.preparation import Question
from evornn.data.recordings import TIME
from evornn.data.sampling import NONE, ask_about_order, ask_for_group, describe_step, makes_blocks, order_groups
from evornn.data.table import BOOLEANS, FILE, SEQUENCE, Column, ColumnKind, Table

POINTS = 40  # of a column's curve
MOST_CLASSES = 12  # that are counted
MANY_INPUTS = 30  # categories of one column, above which they are asked about
FEW = 20  # whole numbers that may be classes
TRAINING, VALIDATION = 0.7, 0.85  # where the parts of a sequence end, as tasks have it
FILLS = ("mask", "forward_fill", "interpolate")
FORECAST_FILLS = FILLS[:2]  # a straight line reads later rows, which a forecast doesn't know


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
    leaves_range: bool = False  # whether a trend takes it to values that it did not have before
    question: Question | None = None  # that its values may answer; None: none, or it is group or time
    same_within: tuple[str, ...] = ()  # columns that may tell sequences apart, and within which it is the same


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
    uneven: str = ""  # where steps are not alike, which a forecast does not take

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "about": dict(self.about), "doubts": [doubt.to_dict() for doubt in self.doubts]}


def understand(contents: Contents, group: str | None = None, time: str | None = None) -> Understanding:
    """What a table holds.

    Args:
        contents: What `load` gave.
        group: The column that tells sequences apart; "none": there is none; None: the one that the reader added, if it
            did.
        time: The column of times; "none": rows are in order; None: the only one of that kind.

    Raises:
        EvornnError: There is no such column.
    """
    table, doubts = contents.table, list(contents.doubts)
    without_group = group == NONE and NONE not in table.names
    group = None if without_group else table.column(group).name if group else _own_group(contents)
    without_time = time == NONE and NONE not in table.names
    time = None if without_time else table.column(time).name if time else _only_time(contents, doubts)
    groups, is_ordered = order_groups(table, group, time, doubts)
    step, uneven = describe_step(table, groups, time) if is_ordered else ("", "")
    doubts += [Doubt(f"{uneven}; only a forecast needs even steps")] if uneven else []
    within = [] if group or without_group else [name for name in table.names if makes_blocks(table.column(name))]
    doubts += [*ask_for_group(within), *ask_about_order(table)] if time is None else []
    columns = tuple(_facts(one, groups, one.name not in (group, time, FILE), table, within) for one in table.columns)
    for column in columns:
        _ask_about_column(column, table, doubts)
        if column.count > MANY_INPUTS and column.name not in (group, FILE):
            doubts.append(_ask_about_categories(column))
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
        uneven=uneven,
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


def _facts(column: Column, groups: list[RowGroup], may_be_target: bool, table: Table, within: list[str]) -> ColumnFacts:
    missing = column.missing
    known = column.values[~missing]
    question = _question(column, groups) if may_be_target and len(known) else None
    others = [name for name in within if name != column.name] if question else []
    same = tuple(name for name in others if _is_same_within(column, table.column(name)))
    facts = ColumnFacts(column.name, column.kind, int(missing.sum()), question=question, same_within=same)
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
    leaves = question == "forecast" and _leaves_range(column.values, groups)
    return replace(facts, low=f"{low:.6g}", high=f"{high:.6g}", curve=curve, leaves_range=leaves)


def _leaves_range(values: NDArray[np.float64], groups: list[RowGroup]) -> bool:
    """Whether most values of the part for validation lie outside of the range of those before, sequence by sequence."""
    outside, count = 0, 0
    for group in groups:
        first, last = int(TRAINING * len(group)), int(VALIDATION * len(group))
        before, later = (part[~np.isnan(part)] for part in np.split(values[group.rows[:last]], [first]))
        if len(before):
            outside, count = outside + int(((later < before.min()) | (later > before.max())).sum()), count + len(later)
    return outside > count / 2


def _is_same_within(column: Column, blocks: Column) -> bool:
    """Whether a column changes only where another one does, whose values stand in blocks."""
    changes, begins = np.diff(column.values) != 0, np.diff(blocks.values) != 0
    return bool((begins | ~changes).all())


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
    if 0 < column.missing < rows and column.kind in READABLE:
        question = f"column {column.name!r}: {column.missing:,} of {rows:,} values are missing: what about them?"
        fills = FORECAST_FILLS if column.question == "forecast" else FILLS
        doubts.append(Doubt(question, tuple(("fill", policy) for policy in fills)))


def _ask_about_categories(column: ColumnFacts) -> Doubt:
    count = f"{column.count:,}"
    return Doubt(
        f"column {column.name!r}: as an input of a network, its {count} categories are {count} inputs of 0 or 1, with "
        "weights of their own: is it a name, to be left out, or are many of them rare, to be put together?"
    )


def _whole_numbers(column: Column) -> int:
    """How many different numbers there are, if they are few and whole; else 0."""
    values = np.unique(column.values[~column.missing])
    return len(values) if len(values) <= FEW and (values == np.round(values)).all() else 0
