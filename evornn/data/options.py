"""What a user can say about a file. All that is left out is found out from the file, and said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from evornn.data.table import ColumnKind
from evornn.errors import EvornnError, UnknownName

DateOrder: TypeAlias = Literal["day_first", "month_first"]
Ragged: TypeAlias = Literal["refuse", "fill", "drop"]

MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NaT", "NULL", "null", "None", "-", "?"}
)


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file or a frame. None: find out."""

    separator: str | None = None  # between cells: , ; | a tab or a space, which stands for any number of them
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None  # a name that Python knows, such as latin-1
    header: bool | None = None  # whether the first line has the columns' names
    names: tuple[str, ...] = ()  # names of the columns, instead of the header's
    skip: int | None = None  # lines above the header
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)  # column → kind
    missing: tuple[str, ...] = ()  # further cells that stand for a missing value, such as -999
    dates: DateOrder | None = None  # how to read 01/02/2008
    ragged: Ragged = "refuse"  # rows that have too few cells: refuse them, fill them with missing values, drop them
    wide: str | None = None  # FIRST:LAST, the columns that are the steps of a sequence: a row becomes a sequence
    frame_ms: float = 25.0  # of recordings: the length of a frame
    hop_ms: float = 10.0  # and the time from one to the next
    mels: int = 40  # and the number of features of each

    def __post_init__(self) -> None:
        """Raises EvornnError for a value that no file can have."""
        if self.separator is not None and (len(self.separator) > 1 or self.separator in ('"', "\n", "\r")):
            raise EvornnError(f"separator is {self.separator!r}: give one character, such as ';'")
        if self.decimal not in (None, ".", ","):
            raise EvornnError(f"decimal is {self.decimal!r}: give '.' or ','")
        if self.encoding is not None and not _is_of_text(self.encoding):
            raise EvornnError(
                f"encoding is {self.encoding!r}, which Python doesn't know: give one like utf-8 or latin-1"
            )
        if len(set(self.names)) < len(self.names):
            raise EvornnError("names: name each column once")
        if self.skip is not None and self.skip < 0:
            raise EvornnError(f"skip is {self.skip}: give the number of lines above the header")
        for name, kind in self.kinds.items():
            if kind not in get_args(ColumnKind):
                raise UnknownName(f"kind of column {name}:", kind, get_args(ColumnKind))

    def with_kinds(self, kinds: Mapping[str, ColumnKind]) -> ReadOptions:
        """The same with other kinds of columns."""
        return replace(self, kinds=kinds)


def _is_of_text(encoding: str) -> bool:
    """Whether it is an encoding of text, as "hex" and "undefined" are not."""
    try:
        return " ".encode(encoding).decode(encoding) == " "
    except (LookupError, ValueError):
        return False
