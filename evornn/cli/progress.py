"""Live progress of a job: runs done, best loss so far, network steps per second, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evornn.service.interface import Reads
    from evornn.store.records import StoredRun
    from evornn.training.records import Update

ENDED = ("succeeded", "failed", "cancelled")
EVERY = 10.0  # seconds between lines where there is no terminal


class Tally:
    """Counts what a dispatcher tells, or what is seen of one elsewhere; `line` says it in one line."""

    def __init__(self, runs: list[StoredRun]) -> None:
        self.total = len(runs)
        self.over = {run.id for run in runs if run.state in ENDED}
        self.failed = 0
        self.steps = {run.id: run.network_steps or 0 for run in runs}
        self.wanted = {run.id: run.budget["steps"] if run.state not in ENDED else self.steps[run.id] for run in runs}
        losses = [run.champion_valid for run in runs if run.champion_valid is not None]
        self.best = min(losses, default=float("inf"))
        self.where = ""
        self._start, self._before = time.monotonic(), sum(self.steps.values())

    def claimed(self, run: StoredRun) -> None:
        pass

    def updated(self, run: StoredRun, update: Update) -> None:
        self.steps[run.id] = update.network_steps
        for row in update.rows:
            if row.champion_valid < self.best:
                self.best, self.where = row.champion_valid, f" ({run.network}, {run.trainer})"

    def seen(self, run: StoredRun) -> None:
        """A run as it stands now, from the store."""
        self.steps[run.id] = run.network_steps or 0
        if run.champion_valid is not None and run.champion_valid < self.best:
            self.best, self.where = run.champion_valid, f" ({run.network}, {run.trainer})"
        if run.state in ENDED and run.id not in self.over:
            self.ended(run, run.state, run.error or "")

    def ended(self, run: StoredRun, state: str, reason: str) -> None:
        if state in ENDED:
            self.over.add(run.id)
            self.wanted[run.id] = self.steps[run.id]
        if state == "failed":
            self.failed += 1
            print(
                f"run {run.id} ({run.task}, {run.network}, {run.trainer}, seed {run.seed}) failed: {reason}",
                file=sys.stderr,
            )

    @property
    def done(self) -> int:
        """Runs that have ended."""
        return len(self.over)

    @property
    def share(self) -> float:
        """0…1 of all network steps."""
        return min(1.0, sum(self.steps.values()) / max(1, sum(self.wanted.values())))

    @property
    def rate(self) -> float:
        """Network steps per second since the start."""
        return (sum(self.steps.values()) - self._before) / max(1e-9, time.monotonic() - self._start)

    def line(self) -> str:
        left = (sum(self.wanted.values()) - sum(self.steps.values())) / self.rate if self.rate else float("inf")
        best = f"best validation loss {self.best:.4g}{self.where}" if self.best < float("inf") else "no loss yet"
        failed = f", {self.failed} failed" if self.failed else ""
        speed = f"{self.rate / 1e6:.1f} M steps/s · {duration(left)} left"
        return f"{self.done}/{self.total} runs{failed} · {best} · {speed}"


class Spoken(Tally):
    """A tally that prints its line now and then: for where there is no terminal."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._spoke = time.monotonic()

    def updated(self, run: StoredRun, update: Update) -> None:
        super().updated(run, update)
        self._speak()

    def seen(self, run: StoredRun) -> None:
        super().seen(run)
        self._speak()

    def _speak(self) -> None:
        if time.monotonic() - self._spoke > EVERY:
            self._spoke = time.monotonic()
            print(self.line(), flush=True)


def watch(store: Reads, job: int, quiet: bool) -> None:
    """Follow a job that is computed elsewhere until it has ended, with the same display."""
    with progress(store, job, quiet) as tally:
        see(store, job, tally)


def see(store: Reads, job: int, tally: Tally) -> None:
    """Tell a tally of a job that is computed elsewhere until it has ended."""
    from evornn.service.reading.tail import follow

    for news in follow(store, job):
        ended = {event.run for event in news.events if event.run is not None and event.kind in ENDED}
        for run in [*news.running, *(store.run(number) for number in sorted(ended - tally.over))]:
            tally.seen(run)


@contextmanager
def progress(store: Reads, job: int, quiet: bool) -> Iterator[Tally]:
    """A live line on a terminal, a line now and then elsewhere, nothing when quiet."""
    runs = store.runs(job=job)
    if quiet:
        yield Tally(runs)
    elif sys.stdout.isatty():
        tally = Tally(runs)
        with live(tally):
            yield tally
    else:
        print(f"job {job}: {len(runs)} runs", flush=True)
        spoken = Spoken(runs)
        yield spoken
        print(spoken.line(), flush=True)


@contextmanager
def live(tally: Tally) -> Iterator[None]:
    """The tally's line on a terminal, with a bar."""
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    def view() -> Any:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=1.0, completed=tally.share, width=20), tally.line())
        return grid

    with Live(get_renderable=view, refresh_per_second=4):
        yield


def duration(seconds: float) -> str:
    """3 s, 2 min 5 s, 1 h 20 min, or ? when nothing is known."""
    if seconds == float("inf"):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
