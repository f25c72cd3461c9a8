"""Numbers as people write them: 1234.5, 1,234.5, 1.234,5, 1_000, 1 000."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from evornn.data.scaling import Doubles

Decimal: TypeAlias = Literal[".", ","]

DIGITS = 15  # that a number in double precision keeps
LARGEST_WHOLE = 2**53  # beyond it, a number in double precision skips whole numbers
_PLAIN = frozenset("0123456789+-.eE")
_SPACES = "_ '’\u00a0\u202f"
_MINUS = "−"


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    """Groups of three digits are divided by one character, and begin with no zero."""
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?P<group>[{thousands}{_SPACES}])\d{{3}}(?:(?P=group)\d{{3}})*)"
    fraction = re.escape(decimal)
    return re.compile(rf"[+\-{_MINUS}]?(?:{whole}(?:{fraction}\d*)?|{fraction}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


PATTERNS: dict[Decimal, re.Pattern[str]] = {".": _pattern(".", ","), ",": _pattern(",", ".")}


def parse_numbers(cells: Sequence[str], decimal: Decimal) -> Doubles:
    """[N] numbers; NaN for a cell that is none, or one that is beyond all numbers."""
    if set("".join(cells)) <= _PLAIN and (decimal == "." or "." not in "".join(cells)):
        try:
            return _finite(np.array(list(map(float, cells)), np.float64))
        except ValueError:
            pass  # one by one
    return _finite(np.array([_parse(cell, decimal) for cell in cells], np.float64))


def _finite(values: Doubles) -> Doubles:
    return np.where(np.isfinite(values), values, np.nan)


def _parse(cell: str, decimal: Decimal) -> float:
    match = PATTERNS[decimal].fullmatch(cell)
    if match is None:
        return float("nan")
    digits = cell.replace(match["group"], "") if match["group"] else cell
    return float(digits.replace(decimal, ".").replace(_MINUS, "-"))


def matches(cells: Sequence[str], decimal: Decimal) -> int:
    """How many of the cells are numbers."""
    return sum(PATTERNS[decimal].fullmatch(cell) is not None for cell in cells)


def is_name(cell: str) -> bool:
    """Whether a whole number is rather a name than an amount: 0123, or more digits than a number keeps."""
    return cell.isdecimal() and ((len(cell) > 1 and cell[0] == "0") or len(cell) > DIGITS)


def first_name(cells: Sequence[str]) -> str:
    """The first of the cells that is rather a name than an amount; empty: there is none."""
    return next(filter(is_name, cells), "")


def decimals(cells: Sequence[str]) -> frozenset[Decimal]:
    """The decimal points with which most of the cells are numbers. Both, for numbers like 1,234 or 1.234: they are
    others then; both for whole numbers, too."""
    counts: dict[Decimal, int] = {decimal: matches(cells, decimal) for decimal in PATTERNS}
    most = max(counts.values())
    if most <= len(cells) / 2:
        return frozenset()
    return frozenset(decimal for decimal, count in counts.items() if count == most)


def has_point(cell: str) -> bool:
    """Whether it has a point or a comma."""
    return "," in cell or "." in cell
