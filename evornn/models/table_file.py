"""The columns of a file that a model reads, in parts, so that memory does not grow with it; and answers as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evornn.data.doubts import UnansweredDoubt
from evornn.data.options import ReadOptions
from evornn.data.preparation import Preparation
from evornn.data.table import Column, Table
from evornn.models.units import sources

COUNTS = "row", "ahead"  # columns of answers that are whole numbers


def read_parts(path: Path, preparation: Preparation, with_answers: bool = False) -> Iterator[Table]:
    """Read a file in parts, of any format and dialect that `evornn.data.reading` knows.

    Args:
        path: The file.
        preparation: Says which columns are needed.
        with_answers: Whether the true answers are needed, too.

    Raises:
        EvornnError: The file can't be read, lacks a column, or has a cell that is no number.
    """
    from evornn.data.reading import read_blocks  # and pandas, which a server needs in its helper alone

    try:
        for table in read_blocks(path, _options(preparation, with_answers)):
            yield select_columns(table, preparation, with_answers)
    except UnansweredDoubt as error:  # what was said of the file that the model learned from is no answer
        raise UnansweredDoubt(error.doubt, error.source, "correct the file") from None


def select_columns(table: Table, preparation: Preparation, with_answers: bool = False) -> Table:
    """The columns that a model reads, in its order. Raises EvornnError if one is missing."""
    names = needed_columns(preparation, table.names, with_answers)
    return Table(tuple(table.column(name) for name in names), table.source, table.lines)


def needed_columns(preparation: Preparation, known: Collection[str], with_answers: bool = False) -> list[str]:
    """The names of the columns that a model reads; that of times only if it is known or needed."""
    needed = {source.column: None for source in sources(preparation)}
    if with_answers:
        needed |= {answer.column: None for answer in preparation.answers}
    if preparation.group is not None:
        needed[preparation.group] = None
    return [str(name) for name in (*needed, *({preparation.time} & {*known} - {*needed}))]


def _options(preparation: Preparation, with_answers: bool) -> ReadOptions:
    """As the file was read that the model learned from, of which columns may be missing."""
    kinds, needed = preparation.read.kinds.items(), needed_columns(preparation, (), with_answers)
    return preparation.read.with_kinds({name: kind for name, kind in kinds if name in needed})


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
    return [_quote(text) for text in column.words()]


def _plain(column: Column) -> list[Any]:
    if column.kind not in ("number", "boolean"):
        return column.words()
    if column.name in COUNTS:
        return list(column.values.astype(np.int64).tolist())
    return [value if value - value == 0 else None for value in column.values.tolist()]


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text
