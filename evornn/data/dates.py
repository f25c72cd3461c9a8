"""ISO dates as they stand in a file: the local time says which day it is, the offset from UTC gives the order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.datetime64]  # [N] in microseconds

_DATE = r"(\d{4})(?:([-/])(\d{1,2})(?:\2(\d{1,2}))?|(\d\d)(\d\d))?"
_TIME = r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?"
_OFFSET = r"\s?(?:Z|([+-])(\d\d):?(\d\d)?)"
_ISO = re.compile(rf"{_DATE}(?:[T ]{_TIME}({_OFFSET})?)?", re.ASCII)


@dataclass(frozen=True)
class Dates:
    """N times in the order of the file."""

    local: Times  # [N] as written
    offsets: NDArray[np.timedelta64] | None  # [N] from UTC; None: none is written

    @property
    def instants(self) -> Times:
        """[N] in UTC where offsets are known, else as written."""
        return self.local if self.offsets is None else np.asarray(self.local - self.offsets, "datetime64[us]")

    def isoformat(self) -> list[str]:
        """[N] the local times as text, without a time of day where all are midnight."""
        units = (unit for unit in ("D", "s") if (self.local == self.local.astype(f"datetime64[{unit}]")).all())
        unit = next(units, "us")
        return [str(text) for text in np.datetime_as_string(self.local, unit=unit)]  # type: ignore[call-overload]


class BadDate(ValueError):
    """A cell that can't be read as a date: its row, what is wrong with it, and what to do."""

    def __init__(self, row: int, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.row, self.problem, self.advice = row, problem, advice


def parse_dates(cells: list[str]) -> Dates:
    """Read a column of dates.

    Args:
        cells: [N] such as 2008-12-31, 2008-12, 2008-12-31T10:30 or 2008-12-31T10:30+01:00.

    Raises:
        BadDate: A cell is no date, or only some have an offset from UTC.
    """
    times, offsets = list[datetime](), list[int | None]()
    for row, cell in enumerate(cells):
        try:
            time, offset = parse_date(cell)
        except ValueError:
            raise BadDate(row, "is not an ISO date", "write dates like 2008-12-31") from None
        if offsets and (offset is None) != (offsets[0] is None):
            problem = "has an offset from UTC" if offset is not None else "has no offset from UTC"
            raise BadDate(row, f"{problem}, unlike the first row", "write all dates with it, or none")
        times.append(time)
        offsets.append(offset)
    local = np.array(times, "datetime64[us]")
    known = [offset for offset in offsets if offset is not None]
    return Dates(local, np.array(known, "timedelta64[m]") if known else None)


def check_order(dates: Dates) -> None:
    """Raises BadDate for a time that is not after the one before."""
    steps = np.diff(dates.instants)
    back = np.flatnonzero(steps <= np.timedelta64(0))
    if not len(back):
        return
    row, step = int(back[0]) + 1, steps[back[0]]
    has_time = dates.local[row - 1] != dates.local[row - 1].astype("datetime64[D]")
    if dates.offsets is None and has_time and step > np.timedelta64(-1, "h"):
        advice = f"write the offset from UTC, as in {dates.isoformat()[row]}+01:00, if clocks were put back; else sort"
        raise BadDate(row, "is not after the row before", f"{advice} the rows by date")
    if step == np.timedelta64(0):
        raise BadDate(row, "is the date of the row before, too", "leave one row for each date")
    raise BadDate(row, "is not after the row before", "sort the rows by date")


def parse_date(cell: str) -> tuple[datetime, int | None]:
    """The local time, and the minutes of its offset from UTC if it has one. Raises ValueError."""
    match = _ISO.fullmatch(cell)
    if match is None:
        raise ValueError
    year, _, month, day, month2, day2, hour, minute, second, fraction, offset, sign, hours, minutes = match.groups()
    date = int(year), int(month or month2 or 1), int(day or day2 or 1)
    time = datetime(*date, int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "0")[:6].ljust(6, "0")))
    if offset is None:
        return time, None
    return time, (-1 if sign == "-" else 1) * (60 * int(hours or 0) + int(minutes or 0))
