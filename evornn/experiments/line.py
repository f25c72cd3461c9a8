"""Names and labels: one line, of characters that write over nothing."""

from __future__ import annotations

from unicodedata import bidirectional, category

from evornn.errors import EvornnError, shown

LONGEST = 200  # characters
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")  # they turn around what follows


def check_line(what: str, text: str) -> None:
    """Raises EvornnError for what is too long, and for control characters: names are shown on terminals."""
    if len(text) > LONGEST:
        raise EvornnError(f"the {what} {text[:40]!r}… is longer than {LONGEST} characters: give a shorter one")
    for c in text:
        if category(c) in ("Cc", "Zl", "Zp") or bidirectional(c) in TURNING:
            raise EvornnError(f"the {what} {shown(text)} has the control character {c!a}: leave it out")
