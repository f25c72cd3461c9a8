"""The columns of a CSV file that a model reads, in portions of rows, so that memory doesn't grow with the file; and
answers as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evornn.data.dates import BadDate, parse_dates
from evornn.data.preparation import Answer, Feature, Preparation
from evornn.data.table import Column, Table
from evornn.errors import EvornnError, short_repr, suggestion
from evornn.models.rows import column_texts
from evornn.models.units import sources

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PORTION = 2**16  # rows
COUNTS = "row", "ahead"  # columns of answers that are whole numbers
MISSING = ("", "NA", "NaN", "nan", "null")


def read_parts(
    path: Path, preparation: Preparation, with_answers: bool = False, rows: int = PORTION
) -> Iterator[Table]:
    """Read a CSV file in portions.

    Args:
        path: The file, with the names of columns in its first line.
        preparation: Says which columns are needed.
        with_answers: Whether the true answers are needed, too.
        rows: Of a portion.

    Raises:
        EvornnError: The file can't be read, lacks a column, or has a cell that is no number.
    """
    parts: list[Feature | Answer] = [*preparation.features, *preparation.answers]
    with_categories = {part.column for part in parts if part.categories}
    needed = [
        *(source.column for source in sources(preparation)),
        *((answer.column for answer in preparation.answers) if with_answers else ()),
    ]
    texts = [*with_categories, *filter(None, (preparation.group, preparation.time))]
    names = _read_names(path)
    for name in (*needed, *filter(None, (preparation.group,))):
        if name not in names:
            raise EvornnError(f"{path}: no column {name!r}{suggestion(name, names)}")
    wanted = [name for name in names if name in needed or name in (preparation.group, preparation.time)]
    yield from _read(path, wanted, [name for name in wanted if name in texts], preparation.time, rows)


def _read_names(path: Path) -> list[str]:
    return [str(name).strip() for name in next(_frames(path, nrows=0, chunksize=None)).columns]


def _read(path: Path, names: Sequence[str], texts: Sequence[str], time: str | None, rows: int) -> Iterator[Table]:
    count = 0
    for frame in _frames(path, chunksize=rows, dtype=dict.fromkeys(texts, "str")):
        frame.columns = [str(name).strip() for name in frame.columns]
        lines = np.arange(count + 2, count + 2 + len(frame), dtype=np.int64)
        count += len(frame)
        made = [_text(frame[n], n) if n in texts else _number(frame[n], n, path, lines) for n in names]
        made = [_time(column, path, lines) if column.name == time else column for column in made]
        yield Table(tuple(made), str(path), lines)


def _frames(path: Path, **options: Any) -> Iterator[DataFrame]:
    """Frames of pandas. Raises EvornnError."""
    import pandas
    from pandas.errors import EmptyDataError, ParserError

    options |= {"skipinitialspace": True, "encoding": "utf-8-sig", "low_memory": False}
    options |= {"keep_default_na": False, "na_values": list(MISSING)}
    if tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1):
        options["float_precision"] = "round_trip"  # to the last bit, as later versions read numbers anyway
    try:
        frames = pandas.read_csv(path, **options)
        if options["chunksize"] is None:
            yield frames
        else:
            with frames:
                yield from frames
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except EmptyDataError:
        raise EvornnError(f"{path}: empty file: give one row per step below the names of columns") from None
    except (OSError, UnicodeError, ParserError) as error:
        problem = " ".join(str(error).split())
        raise EvornnError(f"{path}: can't be read as CSV ({problem}): save it as CSV in UTF-8") from None


def _text(values: Series[Any], name: str) -> Column:
    return Column(name, "text", values.fillna("").to_numpy(object))


def _number(values: Series[Any], name: str, path: Path, lines: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Column:
    import pandas

    numbers = pandas.to_numeric(values, errors="coerce")
    bad = np.flatnonzero(numbers.isna() & values.notna())
    if len(bad):
        cell = short_repr(str(values.iloc[bad[0]]))
        raise EvornnError(f"{path}, line {lines[bad[0]]}, column {name!r}: {cell} is not a number: correct the file")
    return Column(name, "number", numbers.to_numpy(np.float64))


def _time(column: Column, path: Path, lines: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Column:
    """Dates or times as they are written, or the numbers of a clock."""
    import pandas

    numbers = pandas.to_numeric(pandas.Series(column.values), errors="coerce")
    if numbers.notna().all():
        return Column(column.name, "number", numbers.to_numpy(np.float64))
    try:
        dates = parse_dates(column.values.tolist())
    except BadDate as error:
        cell = f"{path}, line {lines[error.row]}, column {column.name!r}: {column.values[error.row]!r}"
        raise EvornnError(f"{cell} {error.problem}: {error.advice}") from None
    return Column(column.name, "time", dates.local, offsets=dates.offsets)


def csv_text(table: Table, with_names: bool) -> str:
    """The rows of a table as CSV, numbers to the last bit; missing and infinite ones are empty."""
    names = [",".join(_quote(name) for name in table.names)] if with_names else []
    rows = map(",".join, zip(*(_cells(column) for column in table.columns), strict=True))
    return "".join(f"{line}\n" for line in (*names, *rows))


def records(table: Table) -> Iterator[dict[str, Any]]:
    """The rows of a table for JSON; missing and infinite numbers are None."""
    for values in zip(*(_plain(column) for column in table.columns), strict=True):
        yield dict(zip(table.names, values, strict=True))


def _cells(column: Column) -> list[str]:
    if column.kind in ("number", "boolean"):
        return ["" if value is None else repr(value) for value in _plain(column)]
    return [_quote(text) for text in column_texts(column).tolist()]


def _plain(column: Column) -> list[Any]:
    if column.kind not in ("number", "boolean"):
        return list(column_texts(column).tolist())
    if column.name in COUNTS:
        return list(column.values.astype(np.int64).tolist())
    return [value if value - value == 0 else None for value in column.values.tolist()]


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text
