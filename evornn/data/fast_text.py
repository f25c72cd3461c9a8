"""Blocks of text in which all is regular, read by pandas."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evornn.data.column_readers import CodeReader, Lines, NumberReader
from evornn.data.dialect import Dialect
from evornn.data.numbers import DIGITS, is_name
from evornn.data.scaling import Doubles
from evornn.data.table_reader import TableReader, Undecided
from evornn.data.time_reader import TimeReader

_EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
MAX_TIME = 40  # letters of a time
_PADDING, _DIGITS = (np.frombuffer(letters, np.uint8) for letters in (b' \t"', b"0123456789"))


def read_regular(block: bytes, dialect: Dialect, source: str, reader: TableReader, line: int) -> bool:
    """Read a block by pandas if all rows have the same number of cells, no cell has a line break and no header is
    repeated. False: nothing was read.

    Args:
        block: Whole rows.
        dialect: Of the file.
        source: The file, for messages.
        reader: Takes the cells. It must know the kinds of its columns.
        line: At which the block begins.
    """
    points = {column.decimal for column in reader.readers if isinstance(column, NumberReader)}
    if (
        len(dialect.separator.strip(" ")) != 1
        or len(points) > 1
        or all(isinstance(one, Undecided) for one in reader.readers)
    ):
        return False
    bounds = None if _has_header(block, dialect) else _cell_bounds(block, dialect)
    if bounds is None:
        return False
    times = {k: column.parse(_letters(block, bounds, k)) for k, column in _time_readers(reader)}
    frame = _parse(block, dialect, reader, [k for k in range(dialect.width) if times.get(k) is None])
    if frame is None or len(frame) != len(bounds) or not _are_numbers(block, bounds, frame, reader):
        return False
    lines = np.arange(line, line + len(bounds))
    for k, column in enumerate(reader.readers):
        if parsed := times.get(k):
            column.add_times(parsed)  # type: ignore[attr-defined]  # it is a TimeReader
        else:
            _add_values(column, frame[k], reader, k, lines, source)
    reader.lines.append(lines)
    return True


def _time_readers(reader: TableReader) -> list[tuple[int, TimeReader]]:
    return [(k, column) for k, column in enumerate(reader.readers) if isinstance(column, TimeReader)]


def _parse(block: bytes, dialect: Dialect, reader: TableReader, columns: list[int]) -> Any:
    """A frame of some columns. None: a cell is not of its column's kind."""
    kinds = {NumberReader: np.float64, CodeReader: "category"}
    points = [column.decimal for column in reader.readers if isinstance(column, NumberReader)]
    if not columns:
        return pd.DataFrame(index=range(block.count(b"\n") + (not block.endswith(b"\n"))))
    try:
        return pd.read_csv(
            io.BytesIO(block),
            header=None,
            sep=dialect.separator,
            decimal=next(iter(points), "."),
            usecols=columns,
            dtype={k: kinds.get(type(reader.readers[k]), object) for k in columns},
            na_values={k: sorted(reader.missing[k]) for k in columns},
            keep_default_na=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            engine="c",
            **_EXACT,
        )
    except (ValueError, OverflowError, pd.errors.ParserError):
        return None


def _has_header(block: bytes, dialect: Dialect) -> bool:
    """Whether the header may be repeated: its first two names side by side, quoted or not."""
    if dialect.header is None:
        return False
    between = rb'"?\s*' + re.escape(dialect.separator.encode()) + rb'\s*"?'
    return re.search(between.join(re.escape(name.encode()) for name in dialect.header[:2]), block) is not None


def _cell_bounds(block: bytes, dialect: Dialect) -> NDArray[np.int64] | None:
    """[N, C + 1] where the separators around each cell stand, if each line has one less than cells, and no quoted cell
    has a line break."""
    codes = np.frombuffer(block, np.uint8)
    ends, separators = codes == ord("\n"), codes == ord(dialect.separator)
    if b'"' in block:
        inside = np.logical_xor.accumulate(codes == ord('"'))
        if (ends & inside).any():
            return None
        separators &= ~inside
    stops = np.flatnonzero(ends)
    stops = stops if block.endswith(b"\n") else np.append(stops, len(block))
    places = np.flatnonzero(separators)
    if len(places) != len(stops) * (dialect.width - 1):
        return None
    starts = np.append(-1, stops[:-1])
    bounds = np.column_stack([starts, places.reshape(len(stops), -1), stops])
    return bounds if (np.diff(bounds, axis=1) > 0).all() else None


def _letters(block: bytes, bounds: NDArray[np.int64], k: int) -> NDArray[np.uint8]:
    """[N, letters] the cells of a column without quotes. Empty if they have different numbers of letters."""
    starts, stops = bounds[:, k] + 1, bounds[:, k + 1]
    width = int(stops[0] - starts[0])
    if width > MAX_TIME or (stops - starts != width).any():
        return np.zeros((1, 0), np.uint8)
    letters: NDArray[np.uint8] = np.frombuffer(block, np.uint8)[starts[:, None] + np.arange(width)]
    is_quoted = width > 2 and bool((letters[:, [0, -1]] == ord('"')).all())
    return letters[:, 1:-1] if is_quoted else letters


def _are_numbers(block: bytes, bounds: NDArray[np.int64], frame: Any, reader: TableReader) -> bool:
    """Whether all numbers are what pandas took them for: no inf, no true for 1, no name such as 007, none whose point
    says how to read the column."""
    for k, column in enumerate(reader.readers):
        if isinstance(column, NumberReader):
            values, cells = frame[k].to_numpy(), _Cells(block, bounds[:, k] + 1, bounds[:, k + 1])
            if np.isinf(values).any() or cells.have_truth(np.flatnonzero((values == 0) | (values == 1))):
                return False
            is_whole = values == np.rint(values)
            if column.may_be_names and cells.have_names(np.flatnonzero(is_whole), values):
                return False
            if column.is_open and cells.have(column.decimal, np.flatnonzero(~is_whole & ~np.isnan(values))):
                return False
    return True


@dataclass(frozen=True)
class _Cells:
    """[N] the cells of a column."""

    block: bytes
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    @property
    def codes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.block, np.uint8)

    def have_truth(self, rows: NDArray[np.int64]) -> bool:
        """Whether one ends with the e of true or false, perhaps before a quote."""
        stops = self.stops[rows]
        return bool(np.isin([self.codes[stops - 1], self.codes[stops - 2]], (ord("e"), ord("E"))).any())

    def have_names(self, rows: NDArray[np.int64], values: Doubles) -> bool:
        """Whether one of some rows, whose values are whole, is rather a name than an amount: it begins with 0 and a
        digit, or has many digits."""
        codes, starts, stops = self.codes, self.starts[rows], self.stops[rows]
        while (is_padded := np.isin(codes[starts], _PADDING)).any():
            starts = np.minimum(starts + is_padded, stops - 1)
        zeros = np.flatnonzero((codes[starts] == ord("0")) & (starts < stops - 1))
        zeros = zeros[np.isin(codes[starts[zeros] + 1], _DIGITS)]
        return any(map(is_name, self._texts(np.append(rows[zeros], np.flatnonzero(values >= 10.0**DIGITS)))))

    def have(self, character: str, rows: NDArray[np.int64]) -> bool:
        """Whether one of some rows has a character."""
        return any(character in text for text in self._texts(rows))

    def _texts(self, rows: NDArray[np.int64]) -> Iterator[str]:
        for start, stop in zip(self.starts[rows].tolist(), self.stops[rows].tolist(), strict=True):
            yield self.block[start:stop].decode().strip(' \t"')


def _add_values(column: Any, values: Any, reader: TableReader, k: int, lines: Lines, source: str) -> None:
    if isinstance(column, NumberReader):
        column.add_values(values.to_numpy())
        return
    if isinstance(column, CodeReader):
        words = [str(word).strip() for word in values.cat.categories]
        codes = values.cat.codes.to_numpy().astype(np.int64)
        column.add_codes(*_without_missing(codes, words, reader.missing[k]))
        return
    cells = reader.clean(k, values.fillna("").tolist())
    if any(cell is not None for cell in cells):
        reader.choose([cells if j == k else [None] for j in range(len(reader.names))])
    reader.readers[k].add(cells, lines, source)


def _without_missing(codes: NDArray[np.int64], words: list[str], missing: frozenset[str]) -> tuple[Any, list[str]]:
    """Words that stand for a missing value only without the spaces around them."""
    bad = [k for k, word in enumerate(words) if word in missing]
    kept = [k for k in range(len(words)) if k not in bad]
    position = np.full(len(words) + 1, -1)
    position[kept] = np.arange(len(kept))
    return position[codes], [words[k] for k in kept]
