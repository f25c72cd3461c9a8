"""Readers of one column each: cells come in block by block, values stay in compact arrays."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.doubts import Doubt
from evornn.data.growing import Growing
from evornn.data.numbers import PATTERNS, Decimal, decimals, has_point, is_name, parse_numbers
from evornn.data.options import MISSING, ReadOptions
from evornn.data.scaling import Doubles
from evornn.data.table import BOOLEANS, Column, ColumnKind
from evornn.errors import short_repr

Lines = NDArray[np.int64]  # [N] line of each row in its file

TRUTH = {word: float(k) for pair in (*BOOLEANS, ("0", "1"), ("f", "t"), ("n", "y")) for k, word in enumerate(pair)}
_AMOUNT = re.compile(r"(?P<before>[$€£¥])? ?[+-]?\d[\d.,]* ?(?P<after>[^\d\s]{1,6})?")
LONG_TEXT = 100  # letters that no category has
BLOCK = 2**20  # rows that are converted at a time
MANY = 50  # different values above which those of most rows are no categories


@dataclass
class Misfits:
    """Cells that are not what the others of their column are."""

    count: int = 0
    cell: str = ""  # the first
    where: str = ""

    def note(self, bad: NDArray[np.bool_], cells: Sequence[str], lines: Lines, source: str) -> None:
        """Count the bad ones of a block."""
        rows = np.flatnonzero(bad)
        if len(rows) and not self.count:
            self.cell, self.where = cells[rows[0]], f"{source}, line {lines[rows[0]]}"
        self.count += len(rows)

    @property
    def more(self) -> str:
        """How many there are beside the first, for a question."""
        return f" ({self.count - 1:,} more like it)" if self.count > 1 else ""


class ColumnReader(ABC):
    """Cells in, a column out. A missing cell is None."""

    @abstractmethod
    def add(self, cells: Sequence[str | None], lines: Lines, source: str) -> None:
        """A block of cells."""

    @abstractmethod
    def column(self, name: str) -> Column:
        """All that was read. Frees what it was read into."""

    def doubts(self, name: str) -> list[Doubt]:
        """What isn't certain about it; to be asked before `column`."""
        return []


@dataclass
class NumberReader(ColumnReader):
    """Numbers with one decimal point; missing ones and those that can't be read are NaN."""

    decimal: Decimal = "."
    sentinels: tuple[float, ...] = ()  # numbers that stand for a missing value
    evidence: frozenset[Decimal] = frozenset()  # the decimal points of other columns
    note: Doubt | None = None
    may_be_names: bool = True  # whether numbers like 007 are asked about
    is_open: bool = True  # whether no cell so far has a decimal point
    unclear: str = ""  # the first cell with one, if it may be of thousands, too
    misfits: Misfits = field(default_factory=Misfits)
    names: Misfits = field(default_factory=Misfits)
    values: Growing = field(default_factory=lambda: Growing(np.float64))

    def choose_decimal(self, cells: Sequence[str]) -> None:
        """By the first cells with a point or a comma, if there are some."""
        candidates = decimals(pointed) if (pointed := list(filter(has_point, cells))) else frozenset()
        if not candidates:
            return
        self.is_open = False
        if len(candidates) == 1:
            (self.decimal,) = candidates
        else:
            self.unclear = pointed[0]

    def add(self, cells: Sequence[str | None], lines: Lines, source: str) -> None:
        known = np.array([cell is not None for cell in cells], bool)
        present, lines = [cell for cell in cells if cell is not None], lines[known]
        if self.is_open:
            self.choose_decimal(present)
        if self.may_be_names:
            self.names.note(np.fromiter(map(is_name, present), np.bool_, len(present)), present, lines, source)
        values = np.full(len(cells), np.nan)
        values[known] = parse_numbers(present, self.decimal)
        self.misfits.note(np.isnan(values[known]), present, lines, source)
        self.add_values(values)

    def add_values(self, values: Doubles) -> None:
        """A block that is numbers already."""
        if self.sentinels:
            values = np.where(np.isin(values, self.sentinels), np.nan, values)
        self.values.append(values)

    def column(self, name: str) -> Column:
        return Column(name, "number", self.values.take())

    def doubts(self, name: str) -> list[Doubt]:
        doubts = [self.note, self._decimal_doubt(name), _sentinel_doubt(name, self.values.values())]
        doubts += [misfit_doubt(self.misfits, name, "number")] if self.misfits.count else []
        doubts += [_name_doubt(self.names, name)] if self.names.count else []
        return [doubt for doubt in doubts if doubt]

    def _decimal_doubt(self, name: str) -> Doubt | None:
        example = self.unclear
        if example and len(self.evidence) == 1:
            value = parse_numbers([example], self.decimal)[0]
            question = f"column {name!r}: {example} is read as {value:.10g}, as the other columns have it"
            return Doubt(question, (("decimal", "," if self.decimal == "." else "."),))
        if "," not in example:
            return None
        question = f"column {name!r}: is {example} a number with decimals, or one of thousands?"
        return Doubt(question, (("decimal", ","), ("decimal", ".")), True)


@dataclass
class CodeReader(ColumnReader):
    """Words: categories, booleans or texts, which is told at the end."""

    kind: ColumnKind | None = None  # None: find out
    codes: dict[str, int] = field(default_factory=dict)
    rows: Growing = field(default_factory=lambda: Growing(np.int32))
    note: Doubt | None = None

    def add(self, cells: Sequence[str | None], lines: Lines, source: str) -> None:
        codes = self.codes
        self._append([-1 if cell is None else codes.setdefault(cell, len(codes)) for cell in cells])

    def add_codes(self, local: NDArray[Any], words: Sequence[str]) -> None:
        """A block of positions in `words`; −1 is missing."""
        known = np.array([self.codes.setdefault(word, len(self.codes)) for word in words] + [-1])
        self._append(known[local])

    def _append(self, codes: Any) -> None:
        self.rows.append(codes)

    def column(self, name: str) -> Column:
        words, codes = list(self.codes), self.rows.take()
        kind = self.kind or self._kind(words, len(codes))
        if kind == "boolean":
            truths = np.array([TRUTH.get(word.lower(), np.nan) for word in words], np.float64)
            return Column(name, "boolean", _pick(truths, codes, np.nan))
        if kind == "text":
            return Column(name, "text", _pick(np.array(words, object), codes, ""))
        order = sorted(range(len(words)), key=_sort_key(words))
        position = np.empty(len(words), np.int64)
        position[order] = np.arange(len(words))
        return Column(name, "category", _pick(position, codes, -1), tuple(words[k] for k in order))

    def doubts(self, name: str) -> list[Doubt]:
        strange = next((word for word in self.codes if word.lower() not in TRUTH), None)
        if self.kind == "boolean" and strange is not None:
            question = f"column {name!r}: {short_repr(strange)} is neither true nor false"
            return [Doubt(question, (("missing", strange), ("kinds", f"{name}=category")), True)]
        unit = _unit(self.codes) if self.kind is None else ""
        if unit:
            example = next(iter(self.codes))
            advice = f"read as categories; write them without {unit!r} if they are amounts"
            return [Doubt(f"column {name!r}: numbers with a unit, such as {example}: {advice}")]
        return [self.note] if self.note else []

    @staticmethod
    def _kind(words: list[str], rows: int) -> ColumnKind:
        lowered = {word.lower() for word in words}
        if words and any(lowered <= set(pair) for pair in BOOLEANS):
            return "boolean"
        is_long = any(len(word) > LONG_TEXT or "\n" in word for word in words)
        return "text" if is_long or (len(words) > MANY and len(words) > rows / 2) else "category"


def is_missing(options: ReadOptions, forced: ColumnKind | None) -> frozenset[str]:
    """The cells that stand for a missing value; where categories or texts were asked for, NA may be one of them."""
    usual = frozenset({""}) if forced in ("category", "text") else MISSING
    return usual | frozenset(options.missing)


def _pick(values: NDArray[Any], codes: NDArray[Any], missing: Any) -> NDArray[Any]:
    """`values[codes]`, and `missing` for −1; block by block, since codes may lie on disk."""
    table = np.append(values, np.array([missing], values.dtype))
    if values.dtype == object:
        return np.asarray(table[codes])
    picked = Growing(table.dtype)
    for begin in range(0, len(codes), BLOCK):
        picked.append(table[codes[begin : begin + BLOCK]])
    return picked.take()


def _unit(words: Iterable[str]) -> str:
    """What stands before or after the number in all words, such as % or kW; empty: nothing."""
    matches = [_AMOUNT.fullmatch(word) for word in words]
    units = {match["before"] or match["after"] if match else "" for match in matches}
    return units.pop() if len(units) == 1 else ""


def _sort_key(words: list[str]) -> Any:
    """By number where all words are numbers, else by letters."""
    if words and all(PATTERNS["."].fullmatch(word) for word in words):
        values = parse_numbers(words, ".")
        return lambda k: (values[k], words[k])
    return lambda k: words[k]


def _name_doubt(names: Misfits, name: str) -> Doubt:
    """The question about numbers like 007 under others that are none."""
    question = f"{names.where}, column {name!r}: is {names.cell}{names.more} a name, or an amount?"
    return Doubt(question, tuple(("kinds", f"{name}={kind}") for kind in ("category", "number")), True)


def misfit_doubt(misfits: Misfits, name: str, kind: ColumnKind) -> Doubt:
    """The question about cells that are not of the kind of their column."""
    cell = short_repr(misfits.cell)
    question = f"{misfits.where}, column {name!r}: {cell} is no {kind}{misfits.more}, unlike most of the column"
    return Doubt(question, (("missing", misfits.cell), ("kinds", f"{name}=category")), True)


_SENTINELS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, -999.9, -99.9, -200.0, 1e20)


def _sentinel_doubt(name: str, values: Doubles) -> Doubt | None:
    """A number such as −999 that is repeated and far away from all others."""
    low, high = _range(values)
    for value in _SENTINELS:
        if value not in (low, high):
            continue
        others = values[values != value]
        inner_low, inner_high = _range(others)
        far = max(inner_high - inner_low, abs(inner_low), abs(inner_high))
        count = len(values) - len(others)
        if count > 1 and np.isfinite(far) and min(abs(value - inner_low), abs(value - inner_high)) > 2 * far:
            question = f"column {name!r}: {value:g} stands there {count:,} times, far from all others: is it missing?"
            return Doubt(question, (("missing", f"{value:g}"),))
    return None


def _range(values: Doubles) -> tuple[float, float]:
    """The smallest and the largest; NaN if there are none."""
    low, high = np.fmin.reduce(values, initial=np.nan), np.fmax.reduce(values, initial=np.nan)
    return float(low), float(high)
