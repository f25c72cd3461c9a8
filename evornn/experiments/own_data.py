"""A file of one's own with a question about it, and what has been said so far of how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from evornn import files
from evornn.data.doubts import refuse_doubts
from evornn.data.options import ReadOptions
from evornn.data.understanding import Understanding, understand
from evornn.errors import EvornnError, UnknownName
from evornn.experiments.data_spec import data_spec
from evornn.models.table_file import csv_text

ANSWERABLE = tuple(one.name for one in fields(ReadOptions))


@dataclass(frozen=True)
class OwnData:
    """A file or folder, and what is asked of it. None: find out."""

    path: str
    targets: tuple[str, ...] = ()  # columns to predict
    group: str | None = None  # the column that tells sequences apart; "none": there is none
    time: str | None = None  # the column of times; "none": rows are in order
    fill: str | None = None  # what to do about missing values; None: refuse them
    options: ReadOptions = field(default_factory=ReadOptions)
    quantiles: tuple[float, ...] = ()  # levels to predict of numbers instead of their mean

    def understand(self) -> Understanding:
        """What the file holds. Raises EvornnError for what is no table."""
        from evornn.data.reading import load  # and pandas, which a server needs in its helper alone

        return understand(load(self.path, self.options), self.group, self.time)

    def spec(self, facts: Understanding) -> dict[str, Any]:
        """The spec that answers the question. Raises EvornnError; UnansweredDoubt, a subclass, has what to ask."""
        return data_spec(self.path, self.targets, facts, self.options, self.fill, self.quantiles)

    def beside(self, suffix: str) -> Path:
        """A file with the name of this one up to its first dot, and this suffix."""
        path = Path(self.path) if Path(self.path).name else Path(self.path).resolve()  # of the folder "."
        return path.with_name((path.name.split(".")[0] or path.name) + suffix)

    def answer(self, option: str, value: str) -> OwnData:
        """The same with an answer to a doubt. Raises EvornnError for one that can't be.

        Args:
            option: As in `Doubt.answers`.
            value: One of its values.
        """
        if option in ("group", "time", "fill"):
            return replace(self, **{option: value})  # type: ignore[arg-type]  # these are texts
        if option not in ANSWERABLE:
            raise UnknownName("option", option, ANSWERABLE)
        return replace(self, options=replace(self.options, **{option: self._value(option, value)}))

    def _value(self, option: str, value: str) -> Any:
        if option == "kinds":
            return {**self.options.kinds, **parse_kinds([value])}
        if option == "missing":
            return (*self.options.missing, value)
        if option == "names":
            return tuple(value.split(","))
        if option == "skip":
            return int(value) if value.isdecimal() and len(value) < 10 else -1
        return value == "true" if option == "header" else value


def save_frame(frame: Any) -> tuple[str, ReadOptions]:
    """Save a frame as CSV in the working folder, under a name that follows from its content. Returns the path, and how
    to read it with the kinds that the frame's columns have. Raises EvornnError if it can't be written."""
    from evornn.data.reading import load

    contents = load(frame)
    refuse_doubts(contents.doubts, contents.table.source)
    text = csv_text(contents.table, with_names=True).encode()
    path = Path(f"frame-{sha256(text).hexdigest()[:12]}.csv")
    try:
        files.write(path, text)
    except OSError as error:
        raise EvornnError(f"can't save the frame as {path}: {error.strerror or error}") from None
    kinds = {column.name: column.kind for column in contents.table.columns}
    return str(path), ReadOptions(separator=",", decimal=".", header=True, kinds=kinds)


def parse_kinds(pairs: list[str]) -> Mapping[str, Any]:
    """Column → kind, of COLUMN=KIND. A column's name may hold an equals sign, too. Raises EvornnError."""
    kinds = {}
    for pair in pairs:
        column, equals, kind = pair.rpartition("=")
        if not equals:
            raise EvornnError(f"--kind {pair}: give a column and its kind, such as load=number")
        kinds[column] = kind
    return kinds
