"""What may stand in one line of a terminal: names and labels are that, everything else is made so to be shown."""

from __future__ import annotations

from unicodedata import bidirectional, category

from evornn.errors import EvornnError, short_repr

MAX_LENGTH = 200  # characters
BIDI_CONTROLS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")  # they turn around what follows


def check_line(what: str, text: str) -> None:
    """Raises EvornnError for what is too long, and for control characters: names are shown on terminals."""
    if len(text) > MAX_LENGTH:
        raise EvornnError(f"the {what} {text[:40]!r}… is longer than {MAX_LENGTH} characters: give a shorter one")
    for c in text:
        if is_control(c):
            raise EvornnError(f"the {what} {short_repr(text)} has the control character {c!a}: leave it out")


def is_control(c: str) -> bool:
    """Whether a character ends a line, moves what follows, or is an order to a terminal."""
    return category(c) in ("Cc", "Zl", "Zp") or bidirectional(c) in BIDI_CONTROLS


def escape_controls(text: str) -> str:
    """Control characters are shown, not sent: what a database holds can't write over a terminal."""
    return "".join(ascii(c)[1:-1] if is_control(c) and c != "\t" else c for c in text)
