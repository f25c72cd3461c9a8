"""pandas frames and files as tables that a model reads, and its answers as frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evornn.data.preparation import Preparation
from evornn.data.table import Table

if TYPE_CHECKING:
    from pandas import DataFrame


def read_table(preparation: Preparation, source: Any, with_answers: bool = False) -> Table:
    """A frame, or the file at a path, as the table that a model reads. Raises EvornnError if a column is missing."""
    from evornn.data.reading import read
    from evornn.models.predict import concatenate
    from evornn.models.table_file import read_parts, select_columns

    if isinstance(source, Path):
        return concatenate(list(read_parts(source, preparation, with_answers)))
    return select_columns(read(source), preparation, with_answers)


def to_frame(table: Table | DataFrame) -> DataFrame:
    """A table as a pandas frame: words of categories, times as they are."""
    from pandas import DataFrame

    if isinstance(table, DataFrame):
        return table
    words = ("category", "text")
    return DataFrame({one.name: one.words() if one.kind in words else one.values for one in table.columns})
