"""Types of command-line options that several benchmarks have."""

from __future__ import annotations

from collections.abc import Sequence

from evornn.errors import UnknownName
from evornn.networks import CELLS


def cells(text: str) -> list[str]:
    return list(CELLS) if text == "all" else names("cell", text, list(CELLS))


def names(what: str, text: str, known: Sequence[str]) -> list[str]:
    given = [name for name in text.split(",") if name]
    for name in given:
        if name not in known:
            raise UnknownName(what, name, known)
    return given


def positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def places(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]
