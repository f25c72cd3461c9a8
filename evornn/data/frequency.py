"""The step between the rows of a series: minutes to years, and how many rows make a season. Gaps are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.dates import Dates

Days: TypeAlias = NDArray[np.float64]  # [N − 1] from each row to the next
Fit: TypeAlias = NDArray[np.bool_]  # [N − 1] whether a step has the right length

DAY = 86_400.0  # seconds
JITTER = 0.25  # share of a step by which steps may differ
LONGEST_HOLIDAY = 11  # days without a row that business days may have: the Chinese New Year of 2020
REGULAR = 0.8  # share of even steps from which the others can be called gaps
IRREGULAR = 0.01  # share of uneven steps from which filling in rows is unlikely to help
_UNITS = (
    ("day", DAY),
    ("hour", 3600.0),
    ("minute", 60.0),
    ("second", 1.0),
    ("millisecond", 1e-3),
    ("microsecond", 1e-6),
)
_CALENDAR = (  # unit; least and most days from one row to the next; rows of a season
    ("month", 28, 31, 12),
    ("quarter", 90, 92, 4),
    ("year", 365, 366, None),
)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Frequency:
    """The step from one row to the next: `count` units. `season` is in rows."""

    unit: str
    count: int = 1
    season: int | None = None


class UnevenDates(ValueError):
    """The step to a row is longer or shorter than the others: the row, and one line about it."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def infer_frequency(dates: Dates) -> Frequency:
    """The step that all rows have. Raises UnevenDates where they have none."""
    if len(dates.local) < 2:
        return Frequency("row")
    candidates = list(_sub_daily(dates) or _daily_and_longer(dates))
    frequency, fit = next((c for c in candidates if c[1].all()), max(candidates, key=lambda c: int(c[1].sum())))
    if fit.all():
        return frequency
    raise _uneven(dates, frequency, fit)


def _sub_daily(dates: Dates) -> list[tuple[Frequency, Fit]]:
    """The one candidate among steps of less than a day, in time that has passed; none for longer steps."""
    seconds = np.diff(dates.instants) / np.timedelta64(1, "s")
    middle = float(np.median(seconds))
    if middle > (1 - JITTER) * DAY:
        return []
    fit = np.abs(seconds - middle) <= JITTER * middle
    step = float(seconds[fit].mean())  # of a clock that jitters, the median step may be none of its units
    fitting = (u for u in _UNITS[1:] if round(step / u[1]) and abs(step / u[1] - round(step / u[1])) < 0.01)
    unit, length = next(fitting, _UNITS[-1])  # the largest of which it is a whole number; 59 min 59 s is an hour
    count = max(round(step / length), 1)
    rows_a_day = round(DAY / (count * length))
    is_part_of_day = rows_a_day > 1 and abs(rows_a_day * count * length - DAY) < 1e-6 * DAY
    season = rows_a_day if is_part_of_day else None
    return [(Frequency(unit, count, season), fit)]


def _daily_and_longer(dates: Dates) -> Iterator[tuple[Frequency, Fit]]:
    """All candidates, in local time, in which a day is a day when clocks are changed."""
    days: Days = np.diff(dates.local) / np.timedelta64(1, "D")
    yield Frequency("day", season=7), np.abs(days - 1) <= JITTER
    yield Frequency("week", season=52), np.abs(days - 7) <= 1 + 1e-3
    for unit, least, most, season in _CALENDAR:
        yield Frequency(unit, season=season), (days > least - 1e-3) & (days < most + 1e-3)
    yield from _months(dates, days)
    yield from _weekdays(dates, days)
    yield _fixed(days)


def _months(dates: Dates, days: Days) -> Iterator[tuple[Frequency, Fit]]:
    """Rows a fixed number of calendar months apart, on any day of the month."""
    months = np.diff(dates.local.astype("datetime64[M]").astype(np.int64))
    count = int(np.median(months))
    if count < 1 or np.median(days) < 20:
        return
    season = 12 // count if count < 12 and 12 % count == 0 else None
    frequency = Frequency("month", count, season)
    if count % 12 == 0:
        frequency = Frequency("year", count // 12)
    elif count == 3:
        frequency = Frequency("quarter", 1, season)
    yield frequency, months == count


def _weekdays(dates: Dates, days: Days) -> Iterator[tuple[Frequency, Fit]]:
    """Rows on some days of the week only, with holidays."""
    dates_only = dates.local.astype("datetime64[D]")
    weekday = (dates_only.astype(np.int64) + 3) % 7  # 0 is Monday
    present = np.bincount(weekday, minlength=7) > 0
    if not 2 <= present.sum() <= 6 or np.median(days) > 4 or (np.diff(dates_only) <= np.timedelta64(0)).any():
        return
    passed = np.busday_count(dates_only[:-1], dates_only[1:], weekmask=present)
    unit = "business day" if present.sum() >= 5 else "row"
    usual = float(np.mean(passed == 1)) > REGULAR  # else rows are missing at random
    yield Frequency(unit, season=int(present.sum())), (days <= LONGEST_HOLIDAY) & usual


def _fixed(days: Days) -> tuple[Frequency, Fit]:
    """A fixed number of days, or of weeks."""
    count = max(round(float(np.median(days))), 1)
    fit = np.abs(days - count) <= JITTER
    if count % 7:
        return Frequency("day", count), fit
    weeks = count // 7
    return Frequency("week", weeks, 52 // weeks if 52 % weeks == 0 and weeks < 52 else None), fit


def _uneven(dates: Dates, frequency: Frequency, fit: Fit) -> UnevenDates:
    """The first step that does not fit, in words."""
    row, misfits = int(np.argmin(fit)) + 1, int((~fit).sum())
    amount, unit = _duration(dates, row, frequency)
    usual = f"{frequency.count}" if unit == frequency.unit else _amount(frequency.count, frequency.unit)
    others = f", elsewhere {usual}" if fit.mean() > REGULAR else ", and other steps elsewhere"
    excess = np.diff(dates.local)[row - 1] - np.median(np.diff(dates.local).astype(np.int64)).astype("timedelta64[us]")
    advice = ["fill in the missing rows" if excess > np.timedelta64(0) else "space the rows evenly"]
    if excess == np.timedelta64(1, "h") and dates.offsets is None:
        advice.append("or write the offset from UTC if clocks were put forward")
    if 1 < misfits > IRREGULAR * len(fit):
        advice.append("or leave date out to count rows instead of time")
    return UnevenDates(row, f"{_amount(amount, unit)} after the row before{others}: {', '.join(advice)}")


def _duration(dates: Dates, row: int, frequency: Frequency) -> tuple[float, str]:
    """The step to a row, in the unit of the others where it is a whole number of them, and its unit."""
    pair = slice(row - 1, row + 1)
    months = int(np.diff(dates.local[pair].astype("datetime64[M]").astype(np.int64))[0])
    size = _MONTHS.get(frequency.unit, 0)
    if size and months and months % size == 0:
        return months // size, frequency.unit
    seconds = float(np.diff(dates.instants[pair])[0] / np.timedelta64(1, "s"))
    largest = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    unit, length = next((unit for unit in _UNITS if unit[0] == frequency.unit and seconds < DAY), largest)
    return seconds / length, unit


def describe_duration(seconds: float) -> str:
    """In its largest unit up to days: 31 days, 1 hour."""
    unit, length = next((one for one in _UNITS if seconds >= one[1]), _UNITS[-1])
    return _amount(seconds / length, unit)


def _amount(count: float, unit: str) -> str:
    return f"{count:.4g} {unit}{'' if count == 1 else 's'}"
