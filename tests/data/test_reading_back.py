"""Any table that is written as a text file, in any dialect, is read back as it was, block by block or row by row."""

import bz2
import csv
import gzip
import io
import lzma
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evornn.data import encoding, text_files
from evornn.data.options import MISSING, ReadOptions
from evornn.data.reading import load, read
from evornn.data.table import Table
from evornn.data.times import parse_times

PACKED = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
LETTERS = "abcxyzÄßé"


@dataclass(frozen=True)
class Dialect:
    separator: str
    decimal: str
    encoding: str
    newline: str
    quoting: Any
    packed: str
    header: bool


@st.composite
def dialects(draw: Any) -> Dialect:
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    return Dialect(
        separator,
        draw(st.sampled_from([".", ","])),
        draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])),
        draw(st.sampled_from(["\n", "\r\n"])),
        draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        draw(st.sampled_from(list(PACKED))),
        draw(st.booleans()),
    )


def words(alphabet: str) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=1, max_size=6).map(str.strip).filter(lambda word: word not in MISSING)


CELLS = {
    "number": st.floats(allow_nan=False, allow_infinity=False, width=64) | st.integers(-(10**6), 10**6).map(float),
    "boolean": st.sampled_from([0.0, 1.0]),
    "time": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
}


@st.composite
def tables(draw: Any, alphabet: str, missing: bool = True) -> dict[str, tuple[str, list[Any]]]:
    """Column → kind and values; None is missing."""
    names = draw(st.lists(words(LETTERS), min_size=2, max_size=5, unique=True))
    rows = draw(st.integers(0, 30))
    table = {}
    for name in names:
        kind = draw(st.sampled_from(["number", "boolean", "time", "category"]))
        cells = CELLS.get(kind, words(alphabet))
        inner = draw(st.lists(cells | st.none() if missing else cells, min_size=rows, max_size=rows))
        table[name] = (kind, [draw(cells), *inner, draw(cells)])  # empty rows at the end are no rows
    return table


def cell(kind: str, value: Any, decimal: str) -> str:
    if value is None:
        return ""
    if kind == "number":
        return repr(value).replace(".", decimal)
    if kind == "boolean":
        return "true" if value else "false"
    return value.isoformat() if kind == "time" else value


def written(table: dict[str, tuple[str, list[Any]]], dialect: Dialect) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=dialect.separator, quoting=dialect.quoting, lineterminator=dialect.newline)
    if dialect.header:
        writer.writerow(table)
    columns = [[cell(kind, value, dialect.decimal) for value in values] for kind, values in table.values()]
    writer.writerows(zip(*columns, strict=True))
    return PACKED[dialect.packed](buffer.getvalue().encode(dialect.encoding))


@contextmanager
def file_of(content: bytes, suffix: str = "") -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"data.csv{suffix}"
        path.write_bytes(content)
        yield path


def check(table: Table, expected: dict[str, tuple[str, list[Any]]], names: list[str]) -> None:
    assert list(table.names) == names
    for name, (kind, values) in zip(names, expected.values(), strict=True):
        column = table.column(name)
        assert column.kind == kind
        assert column.missing.tolist() == [value is None for value in values]
        if kind == "category":
            assert column.words() == [value or "" for value in values]
        elif kind == "time":
            wanted = np.array([value or "NaT" for value in values], "datetime64[us]")
            np.testing.assert_array_equal(column.values, wanted)
        else:
            np.testing.assert_array_equal(column.values, [np.nan if value is None else value for value in values])


@given(tables('abcxyzÄß ;,|\t"#'), dialects())
@settings(max_examples=30)
def test_a_table_in_any_dialect_is_read_back(table: dict[str, tuple[str, list[Any]]], dialect: Dialect) -> None:
    names = list(table) if dialect.header else [str(k + 1) for k in range(len(table))]
    options = ReadOptions(
        separator=dialect.separator,
        decimal="," if dialect.decimal == "," else ".",
        header=dialect.header,
        kinds={name: kind for name, (kind, _) in zip(names, table.values(), strict=True)},  # type: ignore[misc]
        skip=0,
    )
    with file_of(written(table, dialect), dialect.packed) as path:
        check(read(path, options), table, names)


@given(tables(LETTERS, missing=False), dialects())
@settings(max_examples=30)
def test_a_dialect_is_told_from_the_file(table: dict[str, tuple[str, list[Any]]], dialect: Dialect) -> None:
    """Where there is a doubt, it is asked; a wrong table is never read."""
    names = list(table) if dialect.header else [str(k + 1) for k in range(len(table))]
    with file_of(written(table, dialect), dialect.packed) as path:
        contents = load(path)
    if any(doubt.blocking for doubt in contents.doubts):
        return
    asked = " ".join(doubt.question for doubt in contents.doubts)
    assert contents.table.names == tuple(names) or "the first line is read as their names" in asked
    for name, (kind, values) in zip(names, table.values(), strict=True):
        if kind == "number" and contents.table.names == tuple(names):
            np.testing.assert_array_equal(contents.table.column(name).values, values)


PLAIN = {
    "time": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda time: time.replace(microsecond=0)),
    "number": st.integers(-(10**8), 10**8).map(lambda number: number / 1000 + 0.0001),
    "category": st.sampled_from(["north", "south", "west", "Köln"]),
}


@given(dialects(), st.integers(4, 40), st.permutations(list(PLAIN)), st.data())
@settings(max_examples=40)
def test_a_plainly_written_table_leaves_no_question(dialect: Dialect, rows: int, order: list[str], data: Any) -> None:
    """Names over dates, numbers with decimals and words, in any dialect, told nothing."""
    assume(dialect.header and (dialect.separator, dialect.decimal) != (",", ","))
    kinds = [*order, "number"]
    table = {
        f"{kind} {k}": (kind, data.draw(st.lists(PLAIN[kind], min_size=rows, max_size=rows)))
        for k, kind in enumerate(kinds)
    }
    with file_of(written(table, dialect), dialect.packed) as path:
        contents = load(path)
    assert not [doubt for doubt in contents.doubts if "it is read as" not in doubt.question]  # the encoding
    check(contents.table, table, list(table))


@given(tables('abcÄ",'), dialects())
@settings(max_examples=30)
def test_small_blocks_and_single_rows_give_the_same(table: dict[str, tuple[str, list[Any]]], dialect: Dialect) -> None:
    names = list(table) if dialect.header else [str(k + 1) for k in range(len(table))]
    kinds: Any = {name: kind for name, (kind, _) in zip(names, table.values(), strict=True)}
    options = ReadOptions(
        separator=dialect.separator, decimal=dialect.decimal, header=dialect.header, kinds=kinds, skip=0
    )  # type: ignore[arg-type]
    with file_of(written(table, dialect), dialect.packed) as path:
        with patch.object(text_files, "blocks", lambda file, name, size=100: encoding.blocks(file, name, size)):
            by_blocks = read(path, options)
        with patch.object(text_files, "read_regular", lambda *arguments: False):
            by_rows = read(path, options)
    check(by_blocks, table, names)
    check(by_rows, table, names)
    np.testing.assert_array_equal(by_blocks.lines, by_rows.lines)


@given(st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31, 23)), min_size=1, max_size=20))
def test_times_are_those_of_the_standard_library(times: list[datetime]) -> None:
    for form in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M", "%d %B %Y %H:%M", "%d.%m.%Y", "%m/%d/%Y %I:%M %p"):
        cells = [f"{time:{form}}" for time in times]
        order: Any = "day_first" if "%d.%m" in form else "month_first"
        expected = [datetime.strptime(cell, form) for cell in cells]
        np.testing.assert_array_equal(parse_times(cells, order).local, np.array(expected, "datetime64[us]"))
