"""Files, folders and frames as tables: `read` is the way in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evornn.data.arrays import read_arrays, read_examples, read_npy, read_npz
from evornn.data.contents import Contents
from evornn.data.doubts import refuse_doubts
from evornn.data.folders import read_folder
from evornn.data.frames import read_frame
from evornn.data.json_files import read_json
from evornn.data.large_files import check_fits, is_large, read_large
from evornn.data.opening import Format, file_format
from evornn.data.options import ReadOptions
from evornn.data.parquet_files import read_parquet
from evornn.data.recordings import read_recording
from evornn.data.table import Table
from evornn.data.text_files import read_text, read_text_blocks
from evornn.data.wide import lengthen
from evornn.errors import EvornnError

FORMATS: dict[Format, Callable[[Path, ReadOptions], Contents]] = {
    "text": read_text,
    "json": read_json,
    "parquet": read_parquet,
    "npy": read_npy,
    "npz": read_npz,
    "wav": read_recording,
}


def read(source: Any, options: ReadOptions = ReadOptions()) -> Table:  # noqa: B008  # it is frozen
    """Read what people have as a table.

    Args:
        source: The path of a file or a folder; a pandas frame; a dict of arrays (X [B, T, I], y [B] or [B, T, …], or
            columns [N]); an array; a torch `Dataset` or a list of pairs (x [T, I], y).
        options: How to read it, where it doesn't say so itself.

    Raises:
        EvornnError: It can't be read, or leaves a doubt that an option has to answer.

    >>> read({"load": np.array([1.5, 2.5]), "day": np.array(["mon", "tue"])}).names
    ('load', 'day')
    """
    contents = load(source, options)
    refuse_doubts(contents.doubts, contents.table.source)
    return contents.table


def read_file(path: str | Path, options: ReadOptions) -> Table:
    """What `read` gives of a file or a folder. The columns of a large file are mapped from the cache folder, not in
    memory; see `evornn.data.large_files`. Raises EvornnError as `read`; or the cache can't be written, or what can't be
    mapped doesn't fit into memory."""
    path = Path(path)
    if is_large(path, options):
        return read_large(path, options, read)
    check_fits(path)
    return read(path, options)


def read_blocks(path: str | Path, options: ReadOptions = ReadOptions()) -> Iterator[Table]:  # noqa: B008  # it is frozen
    """A text file in parts, for files that are larger than memory. Any other source is one part.

    Kinds of columns are told from the first rows, or by the options. Each part has categories of its own.

    Raises:
        EvornnError: As `read`, at the part that leaves a doubt.
    """
    path = Path(path)
    is_text = not path.is_dir() and options.wide is None and file_format(path) == "text"
    for contents in read_text_blocks(path, options) if is_text else [load(path, options)]:
        _check_kinds(contents.table, options)
        refuse_doubts(contents.doubts, contents.table.source)
        yield contents.table


def load(source: Any, options: ReadOptions = ReadOptions()) -> Contents:  # noqa: B008  # it is frozen
    """What `read` gives, with all doubts instead of an error for the first. Raises EvornnError for what is no table."""
    contents = _load(source, options)
    _check_kinds(contents.table, options)
    return contents if options.wide is None else contents.with_sequences(lengthen(contents.table, options.wide))


def _check_kinds(table: Table, options: ReadOptions) -> None:
    """Raises EvornnError for a column that isn't there, or is always of another kind."""
    for name, kind in options.kinds.items():
        if table.column(name).kind != kind:
            raise EvornnError(
                f"{table.source}: column {name!r} is always a {table.column(name).kind}: leave out its kind"
            )


def _load(source: Any, options: ReadOptions) -> Contents:
    if isinstance(source, (str, Path)):
        path = Path(source)
        return read_folder(path, options) if path.is_dir() else FORMATS[file_format(path)](path, options)
    if isinstance(source, Table):
        return Contents(source)
    if isinstance(source, (pd.DataFrame, pd.Series)):
        return read_frame(source if isinstance(source, pd.DataFrame) else source.to_frame(), options)
    if isinstance(source, Mapping):
        return read_arrays(source, "the arrays", options)
    if isinstance(source, np.ndarray):
        return read_arrays({"": source}, "the array", options)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return read_examples(source, options)
    raise EvornnError(
        f"can't read a {type(source).__name__} as a table: give the path of a file, a pandas frame or a dict of arrays"
    )
