"""Blocks of text in which all is regular, read by pandas."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evornn.data.column_readers import CodeReader, Lines, NumberReader
from evornn.data.dialect import Dialect
from evornn.data.table_reader import TableReader

_EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
_TRUTHS = (b"true", b"True", b"TRUE", b"false", b"False", b"FALSE")  # which pandas takes for 1 and 0


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
    if len(dialect.separator.strip(" ")) != 1 or len(points) > 1 or not reader.lines:
        return False
    if _has_header(block, dialect) or not _is_regular(block, dialect):
        return False
    decimal = next(iter(points), ".")
    try:
        frame = pd.read_csv(io.BytesIO(block), **_pandas_options(dialect, reader, decimal))
    except (ValueError, OverflowError, pd.errors.ParserError):
        return False
    count = block.count(b"\n") + (not block.endswith(b"\n"))
    if len(frame) != count or not _are_numbers(block, frame, reader):
        return False
    lines = np.arange(line, line + count)
    for k, column in enumerate(reader.readers):
        _add_fast(column, frame[k], reader, k, lines, source)
    reader.lines.append(lines)
    return True


def _pandas_options(dialect: Dialect, reader: TableReader, decimal: str) -> dict[str, Any]:
    kinds = {NumberReader: np.float64, CodeReader: "category"}
    return {
        "header": None,
        "sep": dialect.separator,
        "decimal": decimal,
        "dtype": {k: kinds.get(type(column), object) for k, column in enumerate(reader.readers)},
        "na_values": {k: sorted(words) for k, words in enumerate(reader.missing)},
        "keep_default_na": False,
        "skip_blank_lines": False,
        "skipinitialspace": True,
        "engine": "c",
        **_EXACT,
    }


def _has_header(block: bytes, dialect: Dialect) -> bool:
    """Whether the header may be repeated: its first two names side by side, quoted or not."""
    if dialect.header is None:
        return False
    first, second = (re.escape(name.encode()) for name in dialect.header[:2])
    between = rb'"?\s*' + re.escape(dialect.separator.encode()) + rb'\s*"?'
    return re.search(first + between + second, block) is not None


def _is_regular(block: bytes, dialect: Dialect) -> bool:
    """Whether each line has one separator less than cells, and no quoted cell has a line break."""
    codes = np.frombuffer(block, np.uint8)
    ends, separators = codes == ord("\n"), codes == ord(dialect.separator)
    if b'"' in block:
        inside = np.logical_xor.accumulate(codes == ord('"'))
        if (ends & inside).any():
            return False
        separators &= ~inside
    stops = np.flatnonzero(ends)
    stops = stops if block.endswith(b"\n") else np.append(stops, len(block))
    places = np.flatnonzero(separators)
    if len(places) != len(stops) * (dialect.width - 1):
        return False
    grid = places.reshape(len(stops), -1)
    return bool((grid[:, -1] < stops).all() and (grid[1:, 0] > stops[:-1]).all())


def _are_numbers(block: bytes, frame: Any, reader: TableReader) -> bool:
    """Whether pandas took no word for a number: inf, or true for 1."""
    has_truth = any(word in block for word in _TRUTHS)
    for k, column in enumerate(reader.readers):
        if isinstance(column, NumberReader):
            values = frame[k].to_numpy()
            if np.isinf(values).any() or (has_truth and np.isin(values, (0.0, 1.0)).any()):
                return False
    return True


def _add_fast(column: Any, values: Any, reader: TableReader, k: int, lines: Lines, source: str) -> None:
    if isinstance(column, NumberReader):
        column.add_values(values.to_numpy())
        return
    if isinstance(column, CodeReader):
        words = [str(word).strip() for word in values.cat.categories]
        codes = values.cat.codes.to_numpy().astype(np.int64)
        column.add_codes(*_without_missing(codes, words, reader.missing[k]))
        return
    cells = reader.clean(k, [cell if isinstance(cell, str) else "" for cell in values])
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
