"""Live progress of a tuning: trials done, best loss so far, time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evornn.cli.progress import ENDED, Spoken, Tally, duration, live

if TYPE_CHECKING:
    from evornn.service.tuning.session import Step
    from evornn.store.records import StoredRun


class Trials(Tally):
    """Counts the trials of a tuning, which is one job after the other."""

    def __init__(self, whole: Step) -> None:
        super().__init__([])
        self.seeds, self.total = whole.seeds, whole.trials
        self._expected = self.total * self.seeds * whole.steps
        self._known = 0  # network steps that the jobs so far were to spend

    def begin(self, runs: list[StoredRun]) -> None:
        """The next job."""
        for run in runs:
            self.steps[run.id] = self.wanted[run.id] = run.network_steps or 0
            self._before += self.steps[run.id]
            self._known += run.budget["steps"]
            if run.state in ENDED:
                self.over.add(run.id)
            else:
                self.wanted[run.id] = run.budget["steps"]
            if run.champion_valid is not None and run.champion_valid < self.best:
                self.best, self.where = run.champion_valid, f" ({run.network}, {run.trainer})"

    @property
    def share(self) -> float:
        return self.done / self.seeds / self.total

    def line(self) -> str:
        left = self._expected - self._known + sum(self.wanted.values()) - sum(self.steps.values())
        time_left = duration(left / self.rate if self.rate else float("inf"))
        best = f"best so far {self.best:.4g}{self.where}" if self.best < float("inf") else "no loss yet"
        done = f"tuning: {self.done // self.seeds} of {self.total} trials"
        return f"{done} · {best} · {self.rate / 1e6:.1f} M steps/s · {time_left} left"


class SpokenTrials(Spoken, Trials):
    """For where there is no terminal."""


@contextmanager
def trials(whole: Step, quiet: bool) -> Iterator[Trials]:
    """How far a tuning is; any step says how much it is. A live line on a terminal, a line now and then elsewhere,
    nothing when quiet."""
    if quiet:
        yield Trials(whole)
    elif sys.stdout.isatty():
        tally = Trials(whole)
        with live(tally):
            yield tally
    else:
        spoken = SpokenTrials(whole)
        yield spoken
        print(spoken.line(), flush=True)
