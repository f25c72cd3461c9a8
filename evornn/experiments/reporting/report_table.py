"""A table of a report, as words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportTable:
    """A table with its caption."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    words: int = 1  # so many columns at the left are words, which may be long; the others are numbers
