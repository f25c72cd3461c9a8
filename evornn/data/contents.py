"""What a reader made of a source: the table, how it was read, and what it could not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from evornn.data.doubts import Doubt
from evornn.data.table import Table


@dataclass(frozen=True)
class Contents:
    """A table with its doubts. `about` says format, separator, encoding and the like."""

    table: Table
    doubts: tuple[Doubt, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    has_sequences: bool = False  # the reader numbered them in the column SEQUENCE

    def with_sequences(self, table: Table) -> Contents:
        """The same of a table whose sequences are numbered."""
        return replace(self, table=table, has_sequences=True)
