"""A folder of files as one table: a sequence per file, whose class is its subfolder or stands in a table beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evornn.data.arrays import read_npy
from evornn.data.contents import Contents
from evornn.data.doubts import Doubt, amount
from evornn.data.json_files import read_json
from evornn.data.opening import Format, file_format
from evornn.data.options import ReadOptions
from evornn.data.parquet_files import read_parquet
from evornn.data.recordings import read_recording
from evornn.data.table import FILE, FOLDER, Column, Table
from evornn.data.table_reader import TableReader
from evornn.data.text_files import TextFile, about_text, open_text, read_rows, read_text
from evornn.errors import EvornnError

SUFFIXES = frozenset(
    {".csv", ".tsv", ".tab", ".txt", ".dat", ".asc", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".npy", ".wav"}
)
PACKED = frozenset({".gz", ".bz2", ".xz", ".zip"})
_READERS: dict[Format, Callable[[Path, ReadOptions], Contents]] = {
    "json": read_json,
    "parquet": read_parquet,
    "npy": read_npy,
    "wav": read_recording,
}


def read_folder(folder: Path, options: ReadOptions) -> Contents:
    """All files of a folder and its subfolders. Raises EvornnError if they are not of one kind."""
    paths, left_out = _data_files(folder)
    formats = {path: file_format(path) for path in paths}
    labels = _labels_file(folder, formats, options)
    files = [path for path in paths if path != labels]
    kinds = {formats[path] for path in files}
    if len(kinds) != 1:
        raise EvornnError(f"{folder}: has files of {len(kinds)} kinds ({', '.join(sorted(kinds))}): leave those of one")
    contents = _read_texts(folder, files, options) if kinds == {"text"} else _read_others(folder, files, options)
    doubts = list(contents.doubts)
    if left_out:
        names = ", ".join(left_out[:3])
        doubts.append(Doubt(f"{amount(len(left_out), 'file')} left out, by their names no data: {names}"))
    table = contents.table
    if labels is not None:
        table = _join_labels(table, labels, options, doubts)
    about = {**contents.about, "files": f"{len(files)}" + (f", with {labels.name} about them" if labels else "")}
    return Contents(table, tuple(doubts), about)


def _data_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Files with data by their suffixes, sorted, and the names of the others. Hidden ones don't count."""
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    every = [path for path in every if not any(p.startswith((".", "__")) for p in path.relative_to(folder).parts)]
    data = [path for path in every if _suffix(path) in SUFFIXES]
    if not data:
        raise EvornnError(f"{folder}: has no files of data: give files of {', '.join(sorted(SUFFIXES))}")
    return data, [path.name for path in every if path not in set(data)]


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in PACKED else (suffixes or [""])[-1]


def _read_texts(folder: Path, files: Sequence[Path], options: ReadOptions) -> Contents:
    """Text files below one another, so that what one says of dates and decimals holds for all."""
    texts = [open_text(path, str(path.relative_to(folder.parent)), options) for path in files]
    first = texts[0]
    reader = TableReader(first.dialect.names, options)
    rows = list[int]()
    for text in texts:
        before = len(reader.lines)
        read_rows(text, reader, _positions(text, first))
        rows.append(len(reader.lines) - before)
    columns = _file_columns(folder, files, rows, first.dialect.names)
    table = Table((*columns, *reader.columns()), folder.name, reader.lines.take(), is_folder=True)
    return Contents(table, _once(reader.doubts), about_text(first))


def _positions(text: TextFile, first: TextFile) -> list[int] | None:
    """Where a file has the columns of the first."""
    names, wanted = text.dialect.names, first.dialect.names
    if names == wanted:
        return None
    if set(names) != set(wanted):
        name = next(iter(sorted(set(wanted) ^ set(names))))
        what = "has no" if name in wanted else "has a"
        problem = f"{what} column {name!r}, unlike {first.source}"
        raise EvornnError(f"{text.source}: {problem}: give all files the same columns")
    return [names.index(name) for name in wanted]


def _once(doubts: Sequence[Doubt]) -> tuple[Doubt, ...]:
    """A doubt that many files have in common, once."""
    return tuple(dict.fromkeys(doubts))


def _read_others(folder: Path, files: Sequence[Path], options: ReadOptions) -> Contents:
    parts = [_READERS[file_format(path)](path, options) for path in files]
    about = parts[0].about
    for path, part in zip(files, parts, strict=True):
        if part.table.names != parts[0].table.names:
            raise EvornnError(f"{path}: has other columns than {files[0].name}: give all files the same columns")
        if part.about.get("rate") != about.get("rate"):
            rates = f"{part.about['rate']}, {files[0].name} {about['rate']}"
            raise EvornnError(f"{path}: has {rates}: resample to one rate")
    tables = [part.table for part in parts]
    columns = _file_columns(folder, files, [len(table) for table in tables], tables[0].names)
    joined = [_concatenate([table.columns[k] for table in tables], files) for k in range(len(tables[0].columns))]
    lines = np.concatenate([table.lines for table in tables])
    table = Table((*columns, *joined), folder.name, lines, is_folder=True)
    return Contents(table, _once([doubt for part in parts for doubt in part.doubts]), about)


def _concatenate(columns: Sequence[Column], files: Sequence[Path]) -> Column:
    """Columns of several files below one another."""
    first = columns[0]
    for column, path in zip(columns, files, strict=True):
        if column.kind != first.kind or (column.offsets is None) != (first.offsets is None):
            problem = f"column {column.name!r} is a {column.kind}, in {files[0].name} a {first.kind}"
            raise EvornnError(f"{path}: {problem}: set kinds to say which")
    categories = tuple(sorted({word for column in columns for word in column.categories}))
    position = {word: k for k, word in enumerate(categories)}
    values = [
        np.array([*(position[word] for word in column.categories), -1])[column.values] if categories else column.values
        for column in columns
    ]
    offsets = None if first.offsets is None else np.concatenate([c.offsets for c in columns if c.offsets is not None])
    return replace(first, values=np.concatenate(values), categories=categories, offsets=offsets)


def _file_columns(folder: Path, files: Sequence[Path], rows: Sequence[int], taken: Sequence[str]) -> list[Column]:
    """The columns FILE and, if there are subfolders, FOLDER."""
    for name in (FILE, FOLDER):
        if name in taken:
            raise EvornnError(f"{folder}: the files have a column {name!r}, as evornn calls their names: rename it")
    paths = [path.relative_to(folder) for path in files]
    columns = [_repeated(FILE, [path.as_posix() for path in paths], rows)]
    if any(len(path.parts) > 1 for path in paths):
        columns.append(_repeated(FOLDER, [path.parent.as_posix() for path in paths], rows))
    return columns


def _repeated(name: str, words: Sequence[str], rows: Sequence[int]) -> Column:
    categories = tuple(sorted(set(words)))
    codes = np.array([categories.index(word) for word in words], np.int64)
    return Column(name, "category", np.repeat(codes, rows), categories)


def _labels_file(folder: Path, formats: dict[Path, Format], options: ReadOptions) -> Path | None:
    """The one table, at the top, that is about the others: it has other columns than they, or they are recordings."""
    texts = [path for path, kind in formats.items() if kind == "text"]
    top = [path for path in texts if path.parent == folder]
    if len(texts) < len(formats):
        return top[0] if len(top) == 1 and len(texts) == 1 else None
    if len(texts) < 3 or not top:
        return None
    names = {path: open_text(path, path.name, options).dialect.names for path in texts}
    usual = Counter(names.values()).most_common(1)[0][0]
    others = [path for path in texts if names[path] != usual]
    return others[0] if len(others) == 1 and others[0] in top else None


def _join_labels(table: Table, labels: Path, options: ReadOptions, doubts: list[Doubt]) -> Table:
    """Repeat what the table beside says of a file at each of its rows."""
    own = read_text(labels, replace(options, names=(), wide=None))
    doubts += [replace(doubt, question=f"{labels.name}: {doubt.question}") for doubt in own.doubts]
    files = table.column(FILE)
    rows = _rows_of_files(own.table, files.categories, doubts)
    if rows is None:
        raise EvornnError(f"{labels}: no column has the names of all files beside it: name each, or move it away")
    key, positions = rows
    others = [column for column in own.table.columns if column.name != key]
    taken = next((column.name for column in others if column.name in table.names), None)
    if taken is not None:
        raise EvornnError(f"{labels}: column {taken!r} is one of the files, too: rename it")
    return replace(table, columns=(*table.columns, *(column.take(positions[files.values]) for column in others)))


def _rows_of_files(labels: Table, files: Sequence[str], doubts: list[Doubt]) -> tuple[str, Any] | None:
    """The column that names the files, with or without folder and suffix, and the row of each file.

    Raises EvornnError for a row that is about several files, and for a file with several rows.
    """
    for column in labels.columns:
        if column.kind not in ("category", "text", "number"):
            continue
        words = column.words()
        rows = {word: row for row, word in reversed(list(enumerate(words)))}
        keys = [next((key for key in _keys(file) if key in rows), "") for file in files]
        if not all(keys):
            continue
        known = set(keys)
        again = next((row for row, word in enumerate(words) if word in known and rows[word] != row), None)
        if again is not None:
            raise labels.cell_error(column.name, again, f"{words[again]!r} is there twice: leave one row for each file")
        shared = next((key for key, count in Counter(keys).items() if count > 1), None)
        if shared is not None:
            names = ", ".join(file for file, key in zip(files, keys, strict=True) if key == shared)
            raise labels.cell_error(column.name, rows[shared], f"{shared!r} is {names}: name files with their folders")
        if len(words) > len(files):
            doubts.append(Doubt(f"{labels.source}: {amount(len(words) - len(files), 'row')} about no file, left out"))
        return column.name, np.array([rows[key] for key in keys], np.int64)
    return None


def _keys(file: str) -> tuple[str, ...]:
    path = Path(file)
    return file, path.name, path.with_suffix("").as_posix(), path.stem
