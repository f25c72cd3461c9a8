"""Memory is checked before a computation starts: later, the system may end the process."""

from __future__ import annotations

import psutil

from evornn.errors import EvornnError

MAX_SHARE = 0.5  # of the available memory that one computation may take


def check_memory(what: str, needed: int, advice: str) -> None:
    """Refuse a computation that needs too much memory.

    Args:
        what: what needs the memory, as the error names it.
        needed: bytes.
        advice: which setting to change.

    Raises:
        EvornnError: `needed` is more than half of the available memory.
    """
    free = psutil.virtual_memory().available
    if needed > MAX_SHARE * free:
        raise EvornnError(
            f"{what} would take {needed / 2**30:,.1f} GiB and {free / 2**30:,.1f} GiB are available: {advice}"
        )
