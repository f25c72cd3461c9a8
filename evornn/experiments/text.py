"""Text in one line of a terminal: names and labels must be safe to print; all other text is escaped before."""

from __future__ import annotations

from unicodedata import bidirectional, category

from evornn.errors import EvornnError, short_repr

MAX_LENGTH = 200  # characters
BIDI_CONTROLS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")  # they reverse the text that follows


def check_line(what: str, text: str) -> None:
    """Check a name or label, which terminals show. Raises EvornnError if it is too long or has control characters."""
    if len(text) > MAX_LENGTH:
        raise EvornnError(f"the {what} {text[:40]!r}… is longer than {MAX_LENGTH} characters: give a shorter one")
    for c in text:
        if is_control(c):
            raise EvornnError(f"the {what} {short_repr(text)} has the control character {c!a}: leave it out")


def is_control(c: str) -> bool:
    """Whether a character ends a line, reorders the text that follows, or is a command to a terminal."""
    return category(c) in ("Cc", "Zl", "Zp") or bidirectional(c) in BIDI_CONTROLS


def escape_controls(text: str) -> str:
    """Show control characters instead of sending them, so that stored text can't control a terminal."""
    return "".join(ascii(c)[1:-1] if is_control(c) and c != "\t" else c for c in text)
