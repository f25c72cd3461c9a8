"""Live progress of a tuning: trials done, best loss so far, time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evornn.service.progress import TERMINAL_STATES, JobProgress, ProgressPrinter, duration, live_display, print_line

if TYPE_CHECKING:
    from evornn.service.tuning.step import TuningStep
    from evornn.store.records import StoredRun


class TuningProgress(JobProgress):
    """Tracks a tuning, which is one job after the other."""

    def __init__(self, step: TuningStep) -> None:
        super().__init__([])
        self.seeds, self.total = step.seeds, step.trials
        self._total_steps = self.total * self.seeds * step.steps
        self._budget_so_far = 0  # network steps of the jobs so far

    def begin(self, runs: list[StoredRun]) -> None:
        """Start tracking the next job."""
        for run in runs:
            self.steps[run.id] = self.budgets[run.id] = run.network_steps or 0
            self._initial_steps += self.steps[run.id]
            self._budget_so_far += run.budget["steps"]
            if run.state in TERMINAL_STATES:
                self.finished.add(run.id)
            else:
                self.budgets[run.id] = run.budget["steps"]
            if run.champion_valid is not None and run.champion_valid < self.best:
                self.best, self.best_label = run.champion_valid, f" ({run.network}, {run.trainer})"

    @property
    def share(self) -> float:
        """Share of all trials, 0 … 1."""
        return self.ended_count / self.seeds / self.total

    def line(self) -> str:
        """Trials, best loss, speed and time left in one line."""
        left = self._total_steps - self._budget_so_far + sum(self.budgets.values()) - sum(self.steps.values())
        time_left = duration(left / self.rate if self.rate else float("inf"))
        best = f"best so far {self.best:.4g}{self.best_label}" if self.best < float("inf") else "no loss yet"
        done = f"tuning: {self.ended_count // self.seeds} of {self.total} trials"
        return f"{done} · {best} · {self.rate / 1e6:.1f} M steps/s · {time_left} left"


class TuningProgressPrinter(ProgressPrinter, TuningProgress):
    """Prints its line now and then, where there is no terminal."""


@contextmanager
def tuning_progress(step: TuningStep, quiet: bool) -> Iterator[TuningProgress]:
    """Display the progress of a tuning: a live line on a terminal, a line now and then elsewhere, nothing if `quiet`.
    `step` is any of its steps, which all tell its size."""
    if quiet:
        yield TuningProgress(step)
    elif sys.stdout.isatty():
        tally = TuningProgress(step)
        with live_display(tally):
            yield tally
    else:
        printer = TuningProgressPrinter(step)
        yield printer
        print_line(printer.line())
