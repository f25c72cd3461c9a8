"""A CSV file as a table. Columns of numbers, of ISO times and of categories are told apart by all of their cells."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from evornn.data.dates import BadDate, parse_dates
from evornn.data.options import ReadOptions
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

BOOLEANS = {"false": 0.0, "true": 1.0}


def read(path: Path, options: ReadOptions = ReadOptions()) -> Table:  # noqa: B008  # it is frozen
    """Read a file. Raises EvornnError for one that can't be read or has no rows.

    Args:
        path: a CSV file with column names in its first line.
        options: not heeded yet.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            lines = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except (OSError, ValueError, csv.Error) as error:
        raise EvornnError(f"{path}: can't be read as CSV ({error}): save it as CSV in UTF-8") from None
    if len(lines) < 2:
        raise EvornnError(f"{path}: no rows below the header: give one row per step")
    names, rows = lines[0][1], [row for _, row in lines[1:]]
    columns = tuple(_column(name.strip(), [row[k].strip() for row in rows]) for k, name in enumerate(names))
    return Table(columns, path.name, np.array([number for number, _ in lines[1:]]))


def _column(name: str, cells: list[str]) -> Column:
    filled = [cell for cell in cells if cell]
    try:
        return Column(name, "number", np.array([float(cell or "nan") for cell in cells]))
    except ValueError:
        pass
    if all(cell.lower() in BOOLEANS for cell in filled):
        return Column(name, "boolean", np.array([BOOLEANS.get(cell.lower(), np.nan) for cell in cells]))
    try:
        dates = parse_dates(filled)
        times = np.full(len(cells), np.datetime64("NaT"), "datetime64[us]")
        times[[bool(cell) for cell in cells]] = dates.local
        return Column(name, "time", times, offsets=dates.offsets if len(filled) == len(cells) else None)
    except BadDate:
        categories = tuple(sorted(set(filled)))
        positions = {category: k for k, category in enumerate(categories)}
        return Column(name, "category", np.array([positions.get(cell, -1) for cell in cells]), categories)
