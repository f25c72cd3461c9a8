"""Errors that say what to do next. Every error that a user can cause is an `EvornnError`; any other is a bug in
evornn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

MAX_LENGTH = 80  # characters of a wrong value that an error quotes


class EvornnError(Exception):
    """An error that the user can correct. `str(error)` is one line: what is wrong, then what to do."""


class UnknownName(EvornnError):
    """A name that is in no catalog. The message offers the nearest known name."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, sorted(known)
        super().__init__(f"unknown {what} {short_repr(name)}{suggestion(str(name), self.known)}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, object, list[str]]]:
        return type(self), (self.what, self.name, self.known)  # so that it travels between processes


@contextmanager
def require(extra: str, what: str) -> Iterator[None]:
    """Around the imports of `what`, whose libraries the extra installs. Raises EvornnError where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "evornn":  # a bug, which no installation mends
            raise
        raise EvornnError(f"{what} needs the extra {extra}: pip install 'evornn[{extra}]'") from error


def suggestion(name: str, known: Iterable[str]) -> str:
    """`": did you mean 'elman'?"`, or the list of known names when none is near."""
    known = sorted(known)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f": known are {', '.join(known)}"


def short_repr(value: object) -> str:
    """A wrong value as an error quotes it: only its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
