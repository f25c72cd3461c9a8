"""The user's own series: a CSV file with column names in its first line and one row per step."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from evornn.data.dates import BadDate, check_order
from evornn.data.frequency import Frequency, UnevenDates, infer_frequency
from evornn.data.scaling import Doubles
from evornn.data.times import parse_dates
from evornn.errors import EvornnError, suggestion
from evornn.settings import settings
from evornn.tasks.core.column_names import Names
from evornn.tasks.core.series import Forecasting, TimeSeries

_Line: TypeAlias = tuple[int, list[str]]  # its number in the file, and its cells
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SEPARATORS = (";", "\t", "|")


@settings
class CSV(Forecasting):
    """Predict columns of a CSV file (UTF-8, commas, rows evenly spaced). The path is relative to the working folder."""

    path: str
    targets: Names
    inputs: Names | None = None  # what the network reads; None: the targets
    date: str | None = None  # the column of ISO dates or times; needed for a split by dates

    def time_series(self) -> TimeSeries:
        """The named columns. Raises EvornnError that names file, column and line, and says what to do."""
        file = _read(Path(self.path))
        inputs = self.inputs or self.targets
        columns = tuple(dict.fromkeys([*inputs, *self.targets]))
        values = np.column_stack([file.numbers(name) for name in columns])
        if self.date:
            times, frequency = file.times(self.date)
        else:
            times, frequency = [str(row + 1) for row in range(len(file.rows))], Frequency("row")
        return TimeSeries(
            values=values,
            columns=columns,
            inputs=inputs,
            targets=self.targets,
            times=times,
            has_dates=self.date is not None,
            time=self.date,
            step=frequency.unit,
            step_count=frequency.count,
            season=frequency.season,
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
            row = int(bad[0])
            has_digits = any(character.isdigit() for character in self.cells(name)[row])
            advice = "write numbers like 1234.5" if has_digits else "fill it in"
            raise self.cell_error(name, row, "is not a finite number", advice)
        return values

    def times(self, name: str) -> tuple[list[str], Frequency]:
        """[N] ISO dates in increasing order, without gaps, and the step between them."""
        try:
            dates = parse_dates(self.cells(name))
            check_order(dates)
            return dates.isoformat(), infer_frequency(dates)
        except BadDate as error:
            raise self.cell_error(name, error.row, error.problem, error.advice) from None
        except UnevenDates as error:
            raise EvornnError(f"{self.path}, line {self.lines[error.row]}: {error}") from None

    def cells(self, name: str) -> list[str]:
        """[N] a column as text. Raises EvornnError where no column, or more than one, has that name."""
        if name not in self.header:
            hint = _separator_hint(self.header, name) or suggestion(name, self.header)
            raise EvornnError(f"{self.path}: no column {name!r}{hint}")
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
            table = _drop_blank_ends([(reader.line_num, row) for row in reader])
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except (OSError, ValueError, csv.Error) as error:
        raise EvornnError(f"{path}: can't be read as CSV ({error}): save it as CSV in UTF-8") from None
    if len(table) < 2:
        raise EvornnError(f"{path}: {'no rows below the header' if table else 'empty file'}: give one row per step")
    header = [name.strip() for name in table[0][1]]
    rows = [(line, row or [""] * len(header)) for line, row in table[1:]]  # an empty line lacks all values
    for line, row in rows:
        if len(row) != len(header):
            hint = _separator_hint(header) or ": fix the line, or quote cells that have a comma"
            raise EvornnError(f"{path}, line {line}: {len(row)} cells under {len(header)} column names{hint}")
    return _File(path, header, [line for line, _ in rows], [row for _, row in rows])


def _drop_blank_ends(table: list[_Line]) -> list[_Line]:
    """Without blank lines above the header and below the last row; those between rows lack values."""
    filled = [k for k, (_, row) in enumerate(table) if any(cell.strip() for cell in row)]
    return table[filled[0] : filled[-1] + 1] if filled else []


def _separator_hint(header: list[str], wanted: str | None = None) -> str:
    """What to do about a header that is one name only because its names are not separated by commas. Spaces and colons
    may be part of a name, unless they separate the one that is wanted."""
    if len(header) > 1:
        return ""
    unusual = [s for s in (" ", ":") if wanted in header[0].split(s)]
    separator = next((s for s in (*SEPARATORS, *unusual) if s in header[0]), "")
    if not separator:
        return ""
    return f": columns are separated by {separator!r}: separate them by commas"


def _number(cell: str) -> float:
    """NaN for what other programs don't take for a number, such as 1_000 or digits of other scripts."""
    return float(cell) if NUMBER.fullmatch(cell) else math.nan
