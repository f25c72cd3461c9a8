"""Dates as they stand in a file: the local time says which day it is, the offset from UTC gives the order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.datetime64]  # [N] in microseconds


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
        return self.texts(slice(None))

    @cached_property
    def unit(self) -> str:
        """The longest one that all local times are whole numbers of: a day, a second, or a microsecond."""
        units = (unit for unit in ("D", "s") if (self.local == self.local.astype(f"datetime64[{unit}]")).all())
        return next(units, "us")

    def texts(self, rows: slice | NDArray[np.int64]) -> list[str]:
        """Those of some rows, as `isoformat` writes them."""
        return np.datetime_as_string(self.local[rows], unit=self.unit).tolist()  # type: ignore[call-overload,no-any-return]


class BadDate(ValueError):
    """A cell that can't be read as a date: its row, what is wrong with it, and what to do."""

    def __init__(self, row: int, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.row, self.problem, self.advice = row, problem, advice


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
