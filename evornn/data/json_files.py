"""JSON lines (an object per row) and JSON arrays of objects as tables. Lists in an object are steps of a sequence."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evornn.data.contents import Contents
from evornn.data.encoding import find_encoding
from evornn.data.opening import open_plain
from evornn.data.options import ReadOptions
from evornn.data.table import SEQUENCE
from evornn.data.table_reader import TableReader
from evornn.errors import EvornnError

ROWS = 20_000  # of a block

Record = tuple[int, dict[str, Any]]  # its line or number, and its values


def read_json(path: Path, options: ReadOptions) -> Contents:
    """A table whose columns are the keys of all objects. Raises EvornnError for objects inside objects."""
    keys, has_lists = _keys(path, options)
    names = (SEQUENCE, *keys) if has_lists else tuple(keys)
    options = options.with_kinds({SEQUENCE: "category", **options.kinds}) if has_lists else options
    reader = TableReader(names, options, exact=frozenset(name for name, is_number in keys.items() if is_number))
    rows = list[tuple[int, list[str]]]()
    for number, (line, record) in enumerate(_records(path, options)):
        own = [str(number + 1)] if has_lists else []
        rows += [(line, [*own, *cells]) for cells in _steps(path, line, record, keys)]
        if len(rows) >= ROWS:
            _flush(reader, rows, path.name)
    _flush(reader, rows, path.name)
    if not names or not len(reader.lines):
        raise EvornnError(f"{path}: has no objects: give one per line")
    return Contents(reader.part(path.name), tuple(reader.doubts), {"format": "JSON"}, has_lists)


def _flush(reader: TableReader, rows: list[tuple[int, list[str]]], source: str) -> None:
    if rows:
        columns = list(zip(*(cells for _, cells in rows), strict=True))
        reader.add(columns, np.array([line for line, _ in rows], np.int64), source)
        rows.clear()


def _keys(path: Path, options: ReadOptions) -> tuple[dict[str, bool], bool]:
    """All keys in the order of their first appearance, with whether all values are numbers; and whether some have
    lists."""
    keys, has_lists = dict[str, bool](), False
    for _, record in _records(path, options):
        for name, value in record.items():
            is_list = isinstance(value, list)
            has_lists = has_lists or is_list
            keys[name] = keys.get(name, True) and all(map(_may_be_number, value if is_list else [value]))
    if has_lists and SEQUENCE in keys:
        raise EvornnError(f"{path}: a key is called {SEQUENCE!r}, as the number of a sequence: rename it")
    return keys, has_lists


def _may_be_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _records(path: Path, options: ReadOptions) -> Iterator[Record]:
    encoding = options.encoding or find_encoding(path)
    with open_plain(path) as file, io.TextIOWrapper(file, encoding=encoding) as text:
        try:
            start = next((words.lstrip() for words in text if words.strip()), "")
            text.seek(0)
            if start.startswith("["):
                yield from enumerate(_objects(path, _parse(path, 1, text.read())), 1)
                return
            for line, words in enumerate(text, 1):
                if words.strip():
                    yield from ((line, record) for record in _objects(path, [_parse(path, line, words)], line))
        except UnicodeError as error:
            raise EvornnError(f"{path}: is not in {encoding} ({error}): set encoding to another") from None


def _parse(path: Path, line: int, words: str) -> Any:
    """JSON that begins at a line."""
    try:
        return json.loads(words.rstrip())
    except json.JSONDecodeError as error:
        where = f"{path}, line {line + error.lineno - 1}"
        raise EvornnError(
            f"{where}: is no JSON ({error.msg}): give one object per line, or a list of objects"
        ) from None
    except (RecursionError, ValueError) as error:  # lists in lists in lists; whole numbers of thousands of digits
        raise EvornnError(f"{path}, line {line}: can't be read ({error}): give each value a key of its own") from None


def _objects(path: Path, records: list[Any], first: int = 1) -> Iterator[dict[str, Any]]:
    for k, record in enumerate(records):
        if not isinstance(record, dict):
            raise EvornnError(f"{path}, line {first + k}: is a {type(record).__name__}: give one object per line")
        yield record


def _steps(path: Path, line: int, record: dict[str, Any], keys: Iterable[str]) -> Iterator[list[str]]:
    """The rows of an object: one, or one for each value of its lists."""
    lengths = {len(value) for value in record.values() if isinstance(value, list)}
    if len(lengths) > 1:
        raise EvornnError(f"{path}, line {line}: its lists have different lengths: give each step one value of each")
    for k in range(lengths.pop() if lengths else 1):
        values = {name: value[k] if isinstance(value, list) else value for name, value in record.items()}
        yield [_cell(path, line, name, values.get(name)) for name in keys]


def _cell(path: Path, line: int, name: str, value: Any) -> str:
    """A value as a text file would have it."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, (dict, list)):
        raise EvornnError(f"{path}, line {line}: {name!r} is nested: give each value a key of its own")
    return str(value)
