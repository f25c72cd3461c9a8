"""Cells in, a table out: chooses each column's kind by its first cells, and asks where they leave a doubt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evornn.data.column_readers import (
    CodeReader,
    ColumnReader,
    Lines,
    NumberReader,
    is_missing,
)
from evornn.data.doubts import Doubt
from evornn.data.growing import Growing
from evornn.data.numbers import Decimal, decimals, first_name, parse_numbers
from evornn.data.options import ReadOptions
from evornn.data.table import Column, ColumnKind, Table
from evornn.data.time_reader import TimeReader
from evornn.data.times import ORDERS, is_date_like, parse_times

SAMPLE = 1000  # cells from which a kind is told


_MISSING: dict[ColumnKind, Any] = {
    **dict.fromkeys(("number", "boolean"), np.nan),
    "category": -1,
    "time": np.datetime64("NaT", "us"),
    "text": np.array("", object),
}


class Undecided(ColumnReader):
    """A column without a value so far."""

    def __init__(self, kind: ColumnKind = "number") -> None:
        self.kind, self.count = kind, 0

    def add(self, cells: Sequence[str | None], lines: Lines, source: str) -> None:
        self.count += len(cells)

    def column(self, name: str) -> Column:
        count, self.count = self.count, 0
        return Column(name, self.kind, np.full(count, _MISSING[self.kind]))

    def doubts(self, name: str) -> list[Doubt]:
        return [Doubt(f"column {name!r}: has no value at all")] if self.count else []


@dataclass
class TableReader:
    """Blocks of cells become columns."""

    names: tuple[str, ...]
    options: ReadOptions
    doubts: list[Doubt] = field(default_factory=list)
    readers: list[ColumnReader] = field(default_factory=list)
    lines: Growing = field(default_factory=lambda: Growing(np.int64))
    exact: frozenset[str] = frozenset()  # columns whose numbers were no text, and so have a decimal point

    def __post_init__(self) -> None:
        self.readers = [Undecided(self.options.kinds.get(name, "number")) for name in self.names]
        self.missing = [is_missing(self.options, self.options.kinds.get(name)) for name in self.names]

    def add(self, columns: Sequence[Sequence[str]], lines: Lines, source: str) -> None:
        """Rows of cells, column by column."""
        cells = [self.clean(k, column) for k, column in enumerate(columns)]
        self.choose(cells)
        for reader, column in zip(self.readers, cells, strict=True):
            reader.add(column, lines, source)
        self.lines.append(lines)

    def clean(self, k: int, cells: Sequence[str]) -> list[str | None]:
        """Without spaces around them; missing cells are None."""
        missing = self.missing[k]
        return [None if (word := cell.strip()) in missing else word for cell in cells]

    def choose(self, columns: Sequence[Sequence[str | None]]) -> None:
        """Readers for the columns whose first values these are."""
        fresh = {
            k: [cell for cell in column if cell is not None][:SAMPLE]
            for k, column in enumerate(columns)
            if isinstance(self.readers[k], Undecided) and any(cell is not None for cell in column)
        }
        evidence = self._evidence(sample for k, sample in fresh.items() if self.names[k] not in self.exact)
        for k, sample in fresh.items():
            undecided: Any = self.readers[k]
            options = replace(self.options, decimal=".") if self.names[k] in self.exact else self.options
            self.readers[k] = choose_reader(self.names[k], sample, options, evidence)
            self.readers[k].add([None] * undecided.count, np.zeros(undecided.count, np.int64), "")

    def _evidence(self, samples: Iterable[Sequence[str]]) -> frozenset[Decimal]:
        """The decimal points of the columns that leave no doubt."""
        own = zip(self.names, self.readers, strict=True)
        numbers = (one for name, one in own if isinstance(one, NumberReader) and name not in self.exact)
        known = frozenset(one.decimal for one in numbers if not (one.is_open or one.unclear))
        return known.union(*(points for sample in samples if len(points := decimals(sample)) == 1))

    def columns(self) -> list[Column]:
        """All that was read. Their doubts are in `doubts` then."""
        for name, reader in zip(self.names, self.readers, strict=True):
            self.doubts += reader.doubts(name)
        return [reader.column(name) for name, reader in zip(self.names, self.readers, strict=True)]

    def part(self, source: str) -> Table:
        """What was read since the last part."""
        return Table(tuple(self.columns()), source, self.lines.take())


def choose_reader(name: str, cells: Sequence[str], options: ReadOptions, evidence: frozenset[Decimal]) -> ColumnReader:
    """The reader that fits a column.

    Args:
        name: The column.
        cells: Its first values, none of which is missing.
        options: Which may say its kind.
        evidence: The decimal points of columns that leave no doubt.
    """
    kind = options.kinds.get(name)
    if kind in ("category", "boolean", "text"):
        return CodeReader(kind)
    dates = is_date_like(cells) if kind is None else {}
    if kind == "time" or max(dates.values(), default=0) > len(cells) / 2:
        return _time_reader(cells, options)
    if kind == "number" or decimals(cells):
        example = first_name(cells) if kind is None else ""
        if not example:
            return _number_reader(name, cells, options, evidence)
        question = f"column {name!r}: numbers like {example} are read as names (categories), not as amounts"
        return CodeReader("category", note=Doubt(question, (("kinds", f"{name}=number"),)))
    return CodeReader()


def _time_reader(cells: Sequence[str], options: ReadOptions) -> TimeReader:
    if options.dates:
        return TimeReader((options.dates,))
    counts = {order: int((~parse_times(cells, order).bad).sum()) for order in ORDERS}
    best = max(counts.values())
    orders = tuple(order for order in ORDERS if counts[order] == best)
    return TimeReader(("iso",) if "iso" in orders else orders)


def _number_reader(name: str, cells: Sequence[str], options: ReadOptions, evidence: frozenset[Decimal]) -> NumberReader:
    sentinels = tuple(float(value) for value in parse_numbers(options.missing, ".") if np.isfinite(value))
    reader = NumberReader(sentinels=sentinels, evidence=evidence, may_be_names=name not in options.kinds)
    reader.note = _date_doubt(name, cells)
    if options.decimal:
        reader.decimal, reader.is_open = options.decimal, False
        return reader
    reader.decimal = next(iter(evidence)) if len(evidence) == 1 else "."
    reader.choose_decimal(cells)
    return reader


def _date_doubt(name: str, cells: Sequence[str]) -> Doubt | None:
    """Whether whole numbers may be dates such as 20081231."""
    digits = [cell for cell in cells if len(cell) == 8 and cell.isdecimal() and cell[:2] in ("19", "20")]
    if len(digits) < len(cells) or len(set(digits)) < 2 or parse_times(digits, "iso").bad.any():
        return None
    return Doubt(f"column {name!r}: is {cells[0]} a date? It is read as a number", (("kinds", f"{name}=time"),))
