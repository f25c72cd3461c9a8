"""The reader of a column of times. Which number is the day and which the month shows in the column as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.column_readers import ColumnReader, Lines, Misfits, misfit_doubt
from evornn.data.doubts import Doubt
from evornn.data.growing import Growing
from evornn.data.table import Column
from evornn.data.times import NO_OFFSET, Letters, Order, ParsedTimes, parse_letters, parse_times
from evornn.errors import short_repr


@dataclass
class TimeReader(ColumnReader):
    """Times in every order of day and month that fits so far."""

    orders: tuple[Order, ...]
    misfits: dict[Order, Misfits] = field(default_factory=dict)
    values: dict[Order, Growing] = field(default_factory=dict)
    offsets: Growing = field(default_factory=lambda: Growing(np.int16))
    zones: Misfits = field(default_factory=Misfits)  # cells with an offset from UTC where the first has none, and so on
    example: str = ""  # of a date that has two readings
    short_year: str = ""  # an example
    has_offset: bool | None = None

    def add(self, cells: Sequence[str | None], lines: Lines, source: str) -> None:
        rows = np.array([k for k, cell in enumerate(cells) if cell is not None], np.int64)
        words = [cell for cell in cells if cell is not None]
        parsed = {order: parse_times(words, order) for order in self.orders}
        fitting = {order: one for order, one in parsed.items() if not one.bad.any()}
        if not fitting:
            best = min(parsed, key=lambda order: int(parsed[order].bad.sum()))
            fitting = {best: parsed[best]}
        self._keep(tuple(fitting))
        for order, one in fitting.items():
            self.misfits.setdefault(order, Misfits()).note(one.bad, words, lines[rows], source)
            self._of(order).append(_scatter(one.local, rows, len(cells), np.datetime64("NaT", "us")))
        first = next(iter(fitting.values()))
        self._add_offsets(first, rows, words, lines, source, len(cells))
        if len(fitting) > 1 and not self.example:
            a, b = list(fitting.values())[:2]
            self.example = next((words[k] for k in np.flatnonzero(a.local != b.local)), "")
        if first.short_years.any() and not self.short_year:
            self.short_year = words[int(first.short_years.argmax())]

    def parse(self, letters: Letters) -> ParsedTimes | None:
        """Cells [N, letters] of a block. None: they have several shapes, or leave a doubt."""
        parsed = parse_letters(letters, self.orders[0]) if len(self.orders) == 1 else None
        if parsed is None or parsed.bad.any() or (parsed.short_years.any() and not self.short_year):
            return None
        if ((parsed.offsets != NO_OFFSET) != self.has_offset).any():
            return None
        return parsed

    def add_times(self, parsed: ParsedTimes) -> None:
        """What `parse` gave."""
        self._of(self.orders[0]).append(parsed.local)
        self.offsets.append(np.where(parsed.offsets == NO_OFFSET, 0, parsed.offsets).astype(np.int16))

    def _of(self, order: Order) -> Growing:
        return self.values.setdefault(order, Growing("datetime64[us]"))

    def _keep(self, orders: tuple[Order, ...]) -> None:
        """Drop the other orders, which this block does not fit."""
        for order in set(self.orders) - set(orders):
            self.values.pop(order, None)
            self.misfits.pop(order, None)
        self.orders = orders

    def _add_offsets(
        self, parsed: ParsedTimes, rows: Lines, words: Sequence[str], lines: Lines, source: str, count: int
    ) -> None:
        written = parsed.offsets != NO_OFFSET
        good = ~parsed.bad
        if self.has_offset is None and good.any():
            self.has_offset = bool(written[good][0])
        self.zones.note(good & (written != bool(self.has_offset)), words, lines[rows], source)
        self.offsets.append(_scatter(np.where(written, parsed.offsets, 0).astype(np.int16), rows, count, np.int16(0)))

    @property
    def ambiguous(self) -> bool:
        """Whether day and month may change places, and it makes a difference."""
        return len(self.orders) > 1 and bool(self.example)

    def column(self, name: str) -> Column:
        offsets = self.offsets.take()
        minutes = offsets.astype("timedelta64[m]") if self.has_offset else None
        return Column(name, "time", self._of(self.orders[0]).take(), (), minutes)

    def doubts(self, name: str) -> list[Doubt]:
        doubts = list[Doubt]()
        misfits = self.misfits.get(self.orders[0], Misfits())
        if misfits.count:
            doubts.append(misfit_doubt(misfits, name, "time"))
        if self.ambiguous:
            question = f"column {name!r}: in {self.example}, is the first number the day or the month?"
            doubts.append(Doubt(question, (("dates", "day_first"), ("dates", "month_first")), True))
        if self.zones.count:
            has = "has no offset" if self.has_offset else "has an offset"
            problem = f"{short_repr(self.zones.cell)} {has} from UTC, unlike the first row"
            advice = "write all times with it, or none"
            doubts.append(Doubt(f"{self.zones.where}, column {name!r}: {problem}: {advice}", blocking=True))
        if self.short_year:
            question = f"column {name!r}: years have two digits ({self.short_year}); 69 to 99 are read as 1969 to 1999"
            doubts.append(Doubt(question))
        return doubts


def _scatter(values: NDArray[Any], rows: NDArray[np.int64], count: int, missing: Any) -> NDArray[Any]:
    if len(rows) == count:
        return values
    whole = np.full(count, missing, values.dtype)
    whole[rows] = values
    return whole
