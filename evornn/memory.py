"""Is there room in memory? Asked before anything is computed: later the system may end the process."""

from __future__ import annotations

import psutil

from evornn.errors import EvornnError

MAX_SHARE = 0.5  # of the available memory that one thing may take


def check_memory(what: str, needed: int, advice: str) -> None:
    """Raises EvornnError where `needed` bytes are too many, with what to set instead."""
    free = psutil.virtual_memory().available
    if needed > MAX_SHARE * free:
        raise EvornnError(
            f"{what} would take {needed / 2**30:,.1f} GiB and {free / 2**30:,.1f} GiB are available: {advice}"
        )
