"""Times as people write them, a column at once: ISO, 31.12.2008, 12/31/2008, 31 Dec 2008, with times and offsets.

Cells are sorted by their shape (all digits alike), so that each shape is matched once and its digits become numbers in
numpy. Local times stay as written (see `dates`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.dates import BadDate, Dates, Times

Letters: TypeAlias = NDArray[np.uint32] | NDArray[np.uint8]  # [N, letters]
Order: TypeAlias = Literal["iso", "day_first", "month_first"]
ORDERS: tuple[Order, ...] = ("iso", "day_first", "month_first")
NO_OFFSET = -(2**31)  # minutes, where none is written

_TIME = (
    r"(?:(?:T|,?\ +)(?P<hour>\d\d?)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?P<half>\ ?[AaPp][Mm])?"
    r"(?P<offset>\ ?(?:Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?))?)?"
)
_COMPACT_TIME = (
    r"(?:T(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d))?)?"
    r"(?P<offset>Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?)?"
)
_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_PATTERNS: tuple[tuple[Order, str], ...] = (
    ("iso", r"(?P<year>\d{4})([-/])(?P<month>\d\d?)(?:\2(?P<day>\d\d?))?" + _TIME),
    ("iso", r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)" + _COMPACT_TIME),
    ("day_first", r"(?P<day>\d\d?)([./-])(?P<month>\d\d?)\2(?P<year>\d{4}|\d\d)" + _TIME),
    ("month_first", r"(?P<month>\d\d?)([/-])(?P<day>\d\d?)\2(?P<year>\d{4}|\d\d)" + _TIME),
    ("iso", rf"(?P<day>\d\d?)\.?[ -]{_NAME}[ -](?P<year>\d{{4}}|\d\d)" + _TIME),
    ("iso", rf"{_NAME}\ (?P<day>\d\d?),?\ (?P<year>\d{{4}}|\d\d)" + _TIME),
)
_SHAPES = tuple((order, re.compile(pattern, re.ASCII)) for order, pattern in _PATTERNS)
_DIGITS = str.maketrans("123456789", "0" * 9)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_CENTURY = 69  # two digits below it are of this century, as POSIX has it


@dataclass(frozen=True)
class ParsedTimes:
    """[N] times in one order of day and month."""

    local: Times  # NaT: the cell is no time
    offsets: NDArray[np.int64]  # minutes, NO_OFFSET where none is written
    short_years: NDArray[np.bool_]  # whether the year has two digits

    @property
    def bad(self) -> NDArray[np.bool_]:
        """[N] whether a cell is no time."""
        return np.isnat(self.local)


def parse_dates(cells: Sequence[str]) -> Dates:
    """Read a column of dates.

    Args:
        cells: [N] such as 2008, 2008-12, 2008-12-31, 2008-12-31T10:30 or 2008-12-31T10:30+01:00.

    Raises:
        BadDate: A cell is no date, or only some have an offset from UTC.
    """
    parsed = parse_times([f"{cell}-01" if len(cell) == 4 else cell for cell in cells], "iso")
    if parsed.bad.any():
        raise BadDate(int(parsed.bad.argmax()), "is not an ISO date", "write dates like 2008-12-31")
    is_written = parsed.offsets != NO_OFFSET
    unlike = np.flatnonzero(is_written != is_written[:1])
    if len(unlike):
        problem = "has no offset from UTC" if is_written[0] else "has an offset from UTC"
        raise BadDate(int(unlike[0]), f"{problem}, unlike the first row", "write all dates with it, or none")
    return Dates(parsed.local, parsed.offsets.astype("timedelta64[m]") if is_written.any() else None)


def parse_times(cells: Sequence[str], order: Order) -> ParsedTimes:
    """Read cells, none of which is missing.

    Args:
        cells: [N] as text.
        order: How to read 01/02/2008; "iso" reads no such date. All orders read ISO dates and names of months.
    """
    if cells and (same := parse_letters(_letters(cells), order)):
        return same
    local = np.full(len(cells), "NaT", "datetime64[us]")
    offsets = np.full(len(cells), NO_OFFSET, np.int64)
    short_years = np.zeros(len(cells), np.bool_)
    by_shape: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        by_shape.setdefault(cell.translate(_DIGITS), []).append(row)
    for rows in by_shape.values():
        part = parse_letters(_letters([cells[row] for row in rows]), order)
        if part is not None:
            local[rows], offsets[rows], short_years[rows] = part.local, part.offsets, part.short_years
    return ParsedTimes(local, offsets, short_years)


def parse_letters(letters: Letters, order: Order) -> ParsedTimes | None:
    """Read cells [N, letters] of the same shape. None: they have several, or one that is no time."""
    shapes = np.where((letters >= ord("1")) & (letters <= ord("9")), ord("0"), letters)
    if not shapes[0].all() or (shapes != shapes[0]).any():
        return None
    match = _match("".join(map(chr, shapes[0])), order)
    return match and ParsedTimes(*_shape_times(match, letters), np.full(len(letters), len(match["year"]) == 2))


def _letters(cells: Sequence[str]) -> Letters:
    """[N, letters] the letters of cells; a shorter one ends with zeros."""
    return np.array(cells, str).view(np.uint32).reshape(len(cells), -1)


def is_date_like(cells: Sequence[str]) -> dict[Order, int]:
    """How many cells each order reads as a date that isn't only a number."""
    words = [cell if not cell.isdecimal() else "" for cell in cells]
    return {order: int((~parse_times(words, order).bad).sum()) for order in ORDERS}


def _match(shape: str, order: Order) -> re.Match[str] | None:
    for kind, pattern in _SHAPES:
        if kind in ("iso", order) and (match := pattern.fullmatch(shape)):
            return match
    return None


def _shape_times(match: re.Match[str], codes: Letters) -> tuple[Times, NDArray[np.int64]]:
    """[rows] times and offsets of cells of one shape."""

    def number(name: str, default: int) -> NDArray[np.int64]:
        if name not in match.re.groupindex or match[name] is None:
            return np.full(len(codes), default, np.int64)
        digits = codes[:, match.start(name) : match.end(name)].astype(np.int64) - ord("0")
        return np.asarray(digits @ 10 ** np.arange(digits.shape[1])[::-1], np.int64)

    year, day = number("year", 0), number("day", 1)
    if len(match["year"]) == 2:
        year += np.where(year < _CENTURY, 2000, 1900)
    month = np.full(len(codes), _month(_group(match, "name"))) if _group(match, "name") else number("month", 1)
    hour, minute, second = number("hour", 0), number("minute", 0), number("second", 0)
    if half := _group(match, "half"):
        hour = np.where((hour < 1) | (hour > 12), 99, hour % 12 + 12 * ("p" in half.lower()))
    good = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    good &= days.astype("datetime64[M]") == months
    time = (hour * 3600 + minute * 60 + second) * 1_000_000 + _microseconds(match, number)
    local = days.astype("datetime64[us]") + time.astype("timedelta64[us]")
    offset = np.full(len(codes), NO_OFFSET, np.int64)
    if _group(match, "offset"):
        sign = -1 if _group(match, "sign") == "-" else 1
        offset = sign * (60 * number("hours", 0) + number("minutes", 0))
    return np.where(good, local, np.datetime64("NaT")), offset


def _microseconds(match: re.Match[str], number: object) -> NDArray[np.int64]:
    assert callable(number)
    digits = len(_group(match, "fraction"))
    fraction: NDArray[np.int64] = number("fraction", 0)
    return np.asarray(fraction * 10 ** (6 - digits) if digits <= 6 else fraction // 10 ** (digits - 6))


def _group(match: re.Match[str], name: str) -> str:
    return match[name] or "" if name in match.re.groupindex else ""


def _month(name: str) -> int:
    """1 to 12; 0: no month has this name."""
    fitting = [k + 1 for k, month in enumerate(_MONTHS) if month.startswith(name.lower())]
    return fitting[0] if len(fitting) == 1 else 0
