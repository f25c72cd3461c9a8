"""Tables of files that are too large for memory: their columns are kept in the cache folder and mapped into memory, so
that the system loads and drops pages as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.data.growing import growing_on_disk
from evornn.data.mapped import Made, map_arrays, writable_folder
from evornn.data.opening import file_format
from evornn.data.options import ReadOptions
from evornn.data.table import Column, Table
from evornn.memory import check_memory

LARGE_BYTES = 256 * 2**20  # of a file whose columns are mapped
PACKED = 4  # times as many bytes are in a file that is packed
TABLE_SHARE = 2  # bytes in memory for each byte of a file, while it is read; about
FORMATS = ("text", "parquet")
FORM = 1  # of what is kept: raised when the same file would be read otherwise
KIND = "tables"


def is_large(path: Path, options: ReadOptions) -> bool:
    """Whether the columns of a file are mapped: one of more than 256 MiB, if it is CSV or one of its relatives, or
    Parquet, and is no wide table. Folders and other formats are read into memory whatever their size."""
    if path.is_dir() or not path.exists() or options.wide is not None or path.stat().st_size * PACKED <= LARGE_BYTES:
        return False
    kind = file_format(path)
    is_packed = kind == "parquet" or not _is_plain(path)
    return kind in FORMATS and path.stat().st_size * (PACKED if is_packed else 1) > LARGE_BYTES


def check_fits(path: Path) -> None:
    """Check that memory holds a file or a folder that is read as a whole. Raises EvornnError."""
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if size > LARGE_BYTES:
        what = f"{path.name}: is read into memory as a whole, which"
        advice = "save it as one long table in CSV or Parquet, whose columns stay on disk"
        check_memory(what, TABLE_SHARE * size, advice)


def read_large(path: Path, options: ReadOptions, read: Callable[[Path, ReadOptions], Table]) -> Table:
    """The table of a file with its columns mapped: what `read` gives, but for texts, which are empty.

    Args:
        path: A text file, or Parquet.
        options: How to read it.
        read: Reads it where that was not done yet.

    Raises:
        EvornnError: As `read`; or the cache can't be written.
    """
    key = blake2b(repr((FORM, path.name, asdict(options))).encode(), digest_size=16)
    with path.open("rb") as file:
        while block := file.read(2**22):
            key.update(block)

    def make(folder: Path) -> Made:
        with growing_on_disk(folder):
            return _pack(read(path, options))

    return _unpack(*map_arrays(KIND, key.hexdigest(), make))


def _pack(table: Table) -> Made:
    arrays: dict[str, NDArray[Any]] = {"lines": table.lines}
    for number, column in enumerate(table.columns):
        if column.kind != "text":
            arrays[f"values {number}"] = column.values
        if column.offsets is not None:
            arrays[f"offsets {number}"] = column.offsets
    columns = [[column.name, column.kind, column.categories] for column in table.columns]
    return arrays, {"source": table.source, "columns": columns, "rows": len(table)}


def _unpack(arrays: Any, about: dict[str, Any]) -> Table:
    nothing = np.broadcast_to(np.array("", object), about["rows"])
    columns = tuple(
        Column(name, kind, arrays.get(f"values {k}", nothing), tuple(categories), arrays.get(f"offsets {k}"))
        for k, (name, kind, categories) in enumerate(about["columns"])
    )
    return Table(columns, about["source"], arrays["lines"], is_mapped=True)


@contextmanager
def beside(table: Table) -> Iterator[None]:
    """In this context arrays grow where the table's columns lie: in memory, or in files without a name in the cache
    folder."""
    if not table.is_mapped:
        yield
        return
    with growing_on_disk(writable_folder(KIND)):
        yield


def _is_plain(path: Path) -> bool:
    """Whether a text file is not compressed."""
    with path.open("rb") as file:
        start = file.read(4)
    return not start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"PK\x03\x04"))
