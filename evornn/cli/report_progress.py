"""Live progress of the report of a model: which part, which share, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from evornn.service.progress import PRINT_INTERVAL, duration, live_display, print_line

LEAST_SECONDS = 0.5  # of computing, from which the time left can be told


class ReportProgress:
    """Is called with each part, as `evornn.models.importance.OnProgress`."""

    def __init__(self, prints: bool = False) -> None:
        self.part, self.share = "reading the file", 0.0
        self._prints, self._start = prints, time.monotonic()
        self._last_print = self._start

    def __call__(self, part: str, share: float) -> None:
        if not self.share:
            self._start = time.monotonic()  # reading is not part of what is left
        self.part, self.share = part, share
        if self._prints and time.monotonic() - self._last_print > PRINT_INTERVAL:
            self._last_print = time.monotonic()
            print_line(f"report: {self.line()}")

    def line(self) -> str:
        """The part, and the time left."""
        spent = time.monotonic() - self._start
        left = spent * (1 - self.share) / self.share if self.share and spent > LEAST_SECONDS else float("inf")
        return f"{self.part} · {self.share:.0%} · {duration(left)} left"


@contextmanager
def report_progress(quiet: bool) -> Iterator[ReportProgress]:
    """Display it: a live line on a terminal, a line now and then elsewhere, nothing if `quiet`."""
    is_live = not quiet and sys.stdout.isatty()
    tally = ReportProgress(prints=not quiet and not is_live)
    if is_live:
        with live_display(tally):
            yield tally
    else:
        yield tally
