"""A table as a file or a frame gave it: columns of one kind each, and where each row stands, for messages.

Everything that people have becomes a long table: one row per step. Sequences are the groups of a column (the file that
a row came from, the number of a sequence of an array), in the order of the rows or of a column of times.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.dates import Dates
from evornn.errors import EvornnError, suggestion

ColumnKind: TypeAlias = Literal["number", "boolean", "category", "time", "text"]
Rows: TypeAlias = NDArray[np.int64] | NDArray[np.bool_] | slice
FILE, FOLDER, SEQUENCE = "file", "folder", "sequence"  # columns that readers add
BOOLEANS = (("false", "true"), ("no", "yes"), ("off", "on"))  # as they are written; the first are the classes' names


@dataclass(frozen=True)
class Column:
    """N values of one kind.

    | kind | values | missing |
    |---|---|---|
    | number, boolean | float64 (booleans 0 and 1) | NaN |
    | category | int64, positions in `categories` | −1 |
    | time | datetime64[us], local time as written | NaT |
    | text | object: str | "" |
    """

    name: str
    kind: ColumnKind
    values: NDArray[Any]  # [N]
    categories: tuple[str, ...] = ()  # sorted: by number where all are numbers, else by letters
    offsets: NDArray[np.timedelta64] | None = None  # [N] of times from UTC; None: none is written

    @property
    def missing(self) -> NDArray[np.bool_]:
        """[N] whether a value is missing."""
        if self.kind in ("number", "boolean"):
            return np.asarray(np.isnan(self.values))
        if self.kind == "category":
            return np.asarray(self.values < 0)
        return np.isnat(self.values) if self.kind == "time" else np.asarray(self.values == "")

    def take(self, rows: Rows) -> Column:
        """Some of the rows."""
        return replace(self, values=self.values[rows], offsets=None if self.offsets is None else self.offsets[rows])

    def words(self) -> list[str]:
        """[N] the values as text, whole numbers without decimals, booleans as false and true; a missing one is empty.
        Names of groups and classes are made so, whatever their column is."""
        if self.kind == "text":
            return [str(value) for value in self.values.tolist()]
        if self.kind == "category":
            return [self.categories[code] if code >= 0 else "" for code in self.values.tolist()]
        if self.kind == "time":
            return np.where(self.missing, "", Dates(self.values, None).isoformat()).tolist()  # type: ignore[no-any-return]
        if self.kind == "boolean":
            return ["" if value != value else BOOLEANS[0][int(value)] for value in self.values.tolist()]
        return ["" if value != value else f"{value:.15g}" for value in self.values.tolist()]


@dataclass(frozen=True)
class Table:
    """N rows. `lines` says where each stands in its file (a line of a text file, else its number from 1)."""

    columns: tuple[Column, ...]
    source: str  # the file's name, or "the frame"
    lines: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # [N]
    is_folder: bool = False  # the column FILE says which of its files a row came from
    is_mapped: bool = False  # columns lie in the cache folder, not in memory

    def __post_init__(self) -> None:
        """Raises EvornnError for two columns of one name."""
        name, count = Counter(self.names).most_common(1)[0] if self.columns else ("", 1)
        if count > 1:
            raise EvornnError(f"{self.source}: {count} columns are called {name!r}: rename all but one")

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, each once."""
        return tuple(column.name for column in self.columns)

    def take(self, rows: Rows) -> Table:
        """Some of the rows."""
        return replace(
            self,
            columns=tuple(column.take(rows) for column in self.columns),
            lines=self.lines[rows] if len(self.lines) else self.lines,
        )

    def column(self, name: str) -> Column:
        """The column with a name. Raises EvornnError that suggests a similar one."""
        for column in self.columns:
            if column.name == name:
                return column
        raise EvornnError(f"{self.source}: no column {name!r}{suggestion(name, self.names)}")

    def cell_error(self, name: str, row: int, problem: str) -> EvornnError:
        """An error about one cell, which names file, line and column; `problem` says what to do."""
        line = self.lines[row] if len(self.lines) else row + 1
        return EvornnError(f"{self.file(row)}, line {line}, column {name!r}: {problem}")

    def file(self, row: int) -> str:
        """Where a row came from: the file, or one of the folder's."""
        if not self.is_folder:
            return self.source
        column = self.column(FILE)
        return f"{self.source}/{column.categories[column.values[row]]}"
