"""Parquet files as tables, a column at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.frames import column_of
from evornn.data.growing import Growing
from evornn.data.opening import DAMAGED
from evornn.data.options import ReadOptions
from evornn.data.table import Column, Table
from evornn.errors import EvornnError, require


def read_parquet(path: Path, options: ReadOptions) -> Contents:
    """A Parquet file. Raises EvornnError for one that is damaged, or without the extra parquet."""
    with require("parquet", "a Parquet file"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        file = parquet.ParquetFile(path)
        if not file.metadata.num_rows:
            raise EvornnError(f"{path}: has no rows: give one row per step")
        doubts = list[Doubt]()
        columns = [
            _settle(column_of(name, file.read([name]).column(0).to_pandas(), options, doubts, path.name))
            for name in file.schema_arrow.names
        ]
    except (pa.ArrowException, *DAMAGED) as error:
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise EvornnError(f"{path}: can't be read as Parquet ({problem}): get it once more") from None
    table = Table(tuple(columns), path.name, np.arange(1, file.metadata.num_rows + 1))
    return Contents(table, tuple(doubts), {"format": "Parquet"})


def _settle(column: Column) -> Column:
    """The column where arrays grow: on disk, while a large file is read."""
    if column.kind == "text":
        return column
    kept = Growing(column.values.dtype)
    kept.append(column.values)
    return replace(column, values=kept.take())
