"""A step of a tuning: which job is to be computed next."""

from __future__ import annotations

from dataclasses import dataclass

from evornn.store.records import JobId


@dataclass(frozen=True)
class TuningStep:
    """The next job of a tuning, and the size of the whole tuning."""

    job: JobId
    last: bool  # the job is the comparison, not a batch of trials
    trials: int  # of all methods together
    seeds: int  # of each trial
    steps: int  # network steps of each run of a trial
