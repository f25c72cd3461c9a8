"""Live progress of a job: runs done, best loss so far, network steps per second, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from evornn.service.interface import StoreInterface
    from evornn.store.records import StoredRun
    from evornn.training.records import Update

TERMINAL_STATES = ("succeeded", "failed", "cancelled")
LEAST_SHARE = 0.01  # of all steps, from which the time left can be told
PRINT_INTERVAL = 10.0  # seconds between lines without a terminal


class Tally(Protocol):
    """What a live display shows."""

    @property
    def share(self) -> float:
        """Of all that is done, 0 … 1."""

    def line(self) -> str:
        """What is done in one line."""


class JobProgress:
    """Tracks a job: as the listener of a dispatcher, or of one elsewhere by `observe`. `line` sums it up."""

    def __init__(self, runs: list[StoredRun]) -> None:
        self.total = len(runs)
        self.finished = {run.id for run in runs if run.state in TERMINAL_STATES}
        self.failed = 0
        self.steps = {run.id: run.network_steps or 0 for run in runs}
        self.budgets = {
            run.id: run.budget["steps"] if run.state not in TERMINAL_STATES else self.steps[run.id] for run in runs
        }
        losses = [run.champion_valid for run in runs if run.champion_valid is not None]
        self.best = min(losses, default=float("inf"))
        self.best_label = ""
        self.problem: str | None = None  # why no run can be computed
        self._start, self._initial_steps = time.monotonic(), sum(self.steps.values())

    def on_claim(self, run: StoredRun) -> None:
        """Nothing changes."""

    def on_update(self, run: StoredRun, update: Update) -> None:
        """Count network steps, and look for a better loss."""
        self.steps[run.id] = update.network_steps
        for row in update.rows:
            if row.champion_valid < self.best:
                self.best, self.best_label = row.champion_valid, f" ({run.network}, {run.trainer})"

    def observe(self, run: StoredRun) -> None:
        """Take over the current state of a run from the store."""
        self.steps[run.id] = run.network_steps or 0
        if run.champion_valid is not None and run.champion_valid < self.best:
            self.best, self.best_label = run.champion_valid, f" ({run.network}, {run.trainer})"
        if run.state in TERMINAL_STATES and run.id not in self.finished:
            self.on_end(run, run.state, run.error or "")

    def on_problem(self, problem: str | None) -> None:
        """Note why no run of the job can be computed; None: one can."""
        self.problem = problem

    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        """Count a run that has finished, and print the reason of a failure.

        Args:
            run: The run.
            state: As in `Listener.on_end`.
            reason: Why it ended.
        """
        if state in TERMINAL_STATES:
            self.finished.add(run.id)
            self.budgets[run.id] = self.steps[run.id]
        if state == "failed":
            self.failed += 1
            print_line(
                f"run {run.id} ({run.task}, {run.network}, {run.trainer}, seed {run.seed}) failed: {reason}", sys.stderr
            )

    @property
    def ended_count(self) -> int:
        """Number of finished runs."""
        return len(self.finished)

    @property
    def share(self) -> float:
        """Share of all network steps, 0 … 1."""
        return min(1.0, sum(self.steps.values()) / max(1, sum(self.budgets.values())))

    @property
    def rate(self) -> float:
        """Network steps per second since the start."""
        return (sum(self.steps.values()) - self._initial_steps) / max(1e-9, time.monotonic() - self._start)

    def line(self) -> str:
        """Runs, best loss, speed and time left in one line; or why there is no progress."""
        if self.problem:
            return f"{self.ended_count}/{self.total} runs · waiting: {self.problem}"
        done, total = sum(self.steps.values()), sum(self.budgets.values())
        known = done - self._initial_steps > LEAST_SHARE * total  # before, executors start
        left = (total - done) / self.rate if known else float("inf")
        best = f"best validation loss {self.best:.4g}{self.best_label}" if self.best < float("inf") else "no loss yet"
        failed = f", {self.failed} failed" if self.failed else ""
        speed = f"{self.rate / 1e6:.1f} M steps/s · {duration(left)} left"
        return f"{self.ended_count}/{self.total} runs{failed} · {best} · {speed}"


class ProgressPrinter(JobProgress):
    """Shows its line now and then, where there is no terminal: printed, or as `show` does it."""

    interval = PRINT_INTERVAL

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._last_print = time.monotonic()

    def show(self) -> None:
        """Show the current line."""
        print_line(self.line())

    def on_update(self, run: StoredRun, update: Update) -> None:
        super().on_update(run, update)
        self._print_if_due()

    def observe(self, run: StoredRun) -> None:
        super().observe(run)
        self._print_if_due()

    def on_problem(self, problem: str | None) -> None:
        is_new = problem != self.problem
        super().on_problem(problem)
        if is_new:
            self.show()

    def _print_if_due(self) -> None:
        if time.monotonic() - self._last_print > self.interval:
            self._last_print = time.monotonic()
            self.show()


class NotebookProgress(ProgressPrinter):
    """A bar in the output of a notebook's cell."""

    interval = 0.5

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._output = import_module("IPython.display").display(self, display_id=True)  # every kernel has it

    def show(self) -> None:
        """Draw the bar anew."""
        self._output.update(self)

    def __repr__(self) -> str:
        return self.line()

    def _repr_html_(self) -> str:
        bar = f"<progress value='{self.share:.4f}' max='1'></progress>"
        return f"<div role='status'>{bar} {escape(self.line())}</div>"


def print_line(line: str, file: IO[str] | None = None) -> None:
    """Print a line at once. A full disk must not stop a computation: what could not be written fails at its end."""
    try:
        print(line, file=file, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass


def watch(store: StoreInterface, job: int, quiet: bool) -> None:
    """Display the progress of a job that is computed elsewhere until it has finished.

    Args:
        store: Where the job is.
        job: The job.
        quiet: Print nothing.
    """
    with progress(store, job, quiet) as tally:
        track_job(store, job, tally)


def track_job(store: StoreInterface, job: int, tally: JobProgress) -> None:
    """Track a job that is computed elsewhere until it has finished.

    Args:
        store: Where the job is.
        job: The job.
        tally: Its progress, which is updated.
    """
    from evornn.service.reading.tail import follow

    for news in follow(store, job):
        tally.on_problem(news.problem)
        ended = {event.run for event in news.events if event.run is not None and event.kind in TERMINAL_STATES}
        for run in [*news.running, *(store.run(number) for number in sorted(ended - tally.finished))]:
            tally.observe(run)


@contextmanager
def progress(store: StoreInterface, job: int, quiet: bool) -> Iterator[JobProgress]:
    """Display the progress of a job: a live line on a terminal, a line now and then elsewhere.

    Args:
        store: Where the job is.
        job: The job.
        quiet: Print nothing.

    Yields:
        The progress, to be updated.
    """
    runs = store.runs(job=job)
    if quiet:
        yield JobProgress(runs)
    elif sys.stdout.isatty():
        tally = JobProgress(runs)
        with live_display(tally):
            yield tally
    else:
        print_line(f"job {job}: {len(runs)} runs")
        printer = ProgressPrinter(runs)
        yield printer
        print_line(printer.line())


@contextmanager
def show_progress(store: StoreInterface, job: int, wanted: bool | None) -> Iterator[JobProgress]:
    """Display the progress of a job to who calls evornn from Python.

    Args:
        store: Where the job is.
        job: The job.
        wanted: Whether to; None: in a notebook and on a terminal.

    Yields:
        The progress, to be updated.
    """
    if wanted is not False and in_notebook():
        bar = NotebookProgress(store.runs(job=job))
        yield bar
        bar.show()
        return
    with progress(store, job, quiet=not (wanted or (wanted is None and sys.stdout.isatty()))) as tally:
        yield tally


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def live_display(tally: Tally) -> Iterator[None]:
    """Display a progress bar and line on a terminal."""
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
    """A duration in words: 3 s, 2 min 5 s, 1 h 20 min, or ? if it is infinite."""
    if seconds == float("inf"):
        return "?"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"
