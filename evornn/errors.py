"""Errors that say what to do next. Every error a user can cause is an `EvornnError`; any other is a bug in evornn."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_LENGTH = 80  # characters of what somebody wrote that an error gives back


class EvornnError(Exception):
    """Something the user can mend. `str(error)` is one line: what is wrong, then what to do."""


class UnknownName(EvornnError):
    """A name that is in no catalog; offers the nearest known one."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, sorted(known)
        super().__init__(f"unknown {what} {short_repr(name)}{suggestion(str(name), self.known)}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, object, list[str]]]:
        return type(self), (self.what, self.name, self.known)  # so that it travels between processes


def suggestion(name: str, known: Iterable[str]) -> str:
    """`": did you mean 'elman'?"`, or the list of what is known when nothing is near."""
    known = sorted(known)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f": known are {', '.join(known)}"


def short_repr(value: object) -> str:
    """A value that is wrong, as an error gives it back: its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
