"""The user's own series: a CSV file with column names in its first line and one row per step."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import AfterValidator, BeforeValidator

from evornn.errors import EvornnError, suggestion
from evornn.settings import settings
from evornn.tasks.core.scaling import Doubles
from evornn.tasks.core.series import Forecasting, TimeSeries


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("name at least one column")
    if len(set(names)) < len(names):
        raise ValueError("name each column once")
    return names


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_names)]


@settings
class CSV(Forecasting):
    """Predict columns of a CSV file (UTF-8, commas). The path is relative to the working directory."""

    path: str
    targets: Names
    inputs: Names | None = None  # what the network reads; None: the targets
    date: str | None = None  # the column of ISO dates or times; needed for a split by dates

    def time_series(self) -> TimeSeries:
        """The named columns. Raises EvornnError that names file, column and line, and says what to do."""
        file = _read(Path(self.path))
        inputs = self.inputs or self.targets
        columns = tuple(dict.fromkeys([*inputs, *self.targets]))
        times = file.times(self.date) if self.date else [str(row + 1) for row in range(len(file.rows))]
        step, season = _infer_frequency(times) if self.date else ("row", None)
        return TimeSeries(
            values=np.column_stack([file.numbers(name) for name in columns]),
            columns=columns,
            inputs=inputs,
            targets=self.targets,
            times=times,
            has_dates=self.date is not None,
            step=step,
            season=season,
            source=f"From {file.path.name}.",
        )


@dataclass(frozen=True)
class _File:
    """A CSV file's header and rows."""

    path: Path
    header: list[str]
    lines: list[int]  # the line number of each row in the file, for messages
    rows: list[list[str]]

    def numbers(self, name: str) -> Doubles:
        """[N] a column of finite numbers."""
        values = np.array([_number(cell) for cell in self.cells(name)])
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise self.cell_error(name, int(bad[0]), "is not a finite number", "fill it in or leave the row out")
        return values

    def times(self, name: str) -> list[str]:
        """[N] ISO dates in increasing order."""
        import pandas as pd

        cells = self.cells(name)
        times = pd.to_datetime(pd.Series(cells), format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
        if times.isna().any():
            raise self.cell_error(name, int(times.isna().argmax()), "is not an ISO date", "write dates like 2008-12-31")
        back = times.diff() <= pd.Timedelta(0)
        if back.any():
            raise self.cell_error(name, int(back.argmax()), "is not after the row before", "sort the rows by date")
        days = bool((times == times.dt.normalize()).all())
        return [time.date().isoformat() if days else time.isoformat() for time in times]

    def cells(self, name: str) -> list[str]:
        """[N] a column as text. Raises EvornnError where no column, or more than one, has that name."""
        if name not in self.header:
            raise EvornnError(f"{self.path}: no column {name!r}{suggestion(name, self.header)}")
        if self.header.count(name) > 1:
            raise EvornnError(f"{self.path}: {self.header.count(name)} columns are called {name!r}: rename all but one")
        column = self.header.index(name)
        return [row[column].strip() for row in self.rows]

    def cell_error(self, name: str, row: int, what: str, advice: str) -> EvornnError:
        """An error that names file, line, column and cell."""
        cell = self.cells(name)[row]
        return EvornnError(f"{self.path}, line {self.lines[row]}, column {name!r}: {cell!r} {what}: {advice}")


def _read(path: Path) -> _File:
    """Raises EvornnError for a file that is missing, unreadable or empty, or whose rows differ in length."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            table = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except (OSError, ValueError, csv.Error) as error:
        raise EvornnError(f"{path}: can't be read as CSV ({error}): save it as CSV in UTF-8") from None
    if len(table) < 2:
        raise EvornnError(f"{path}: {'no rows below the header' if table else 'empty file'}: give one row per step")
    header = [name.strip() for name in table[0][1]]
    for line, row in table[1:]:
        if len(row) != len(header):
            raise EvornnError(f"{path}, line {line}: {len(row)} cells under {len(header)} column names: fix the line")
    return _File(path, header, [line for line, _ in table[1:]], [row for _, row in table[1:]])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


_FREQUENCIES = (  # step; least and most days from one row to the next; rows of a season
    ("hour", 1 / 24, 1 / 24, 24),
    ("day", 1, 1, 7),
    ("week", 7, 7, 52),
    ("month", 28, 31, 12),
    ("quarter", 90, 92, 4),
    ("year", 365, 366, None),
)


def _infer_frequency(times: list[str]) -> tuple[str, int | None]:
    """The step between two rows and the rows of a season; ("row", None) where the dates show no regular step."""
    days = np.diff(np.array(times, "datetime64[s]")) / np.timedelta64(1, "D")
    for step, min_days, max_days, season in _FREQUENCIES:
        if len(days) and np.all((days > min_days - 1e-3) & (days < max_days + 1e-3)):
            return step, season
    return "row", None
