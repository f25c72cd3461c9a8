"""The runs of a section, and what they say about each line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.papers.claims import ClaimResult, evaluate_claims
from benchmarks.papers.figures import FIGURES, is_solved, scores
from benchmarks.papers.rules import verdict
from benchmarks.papers.section import Line, Section
from benchmarks.stored import Watching, compute, job_of
from evornn.experiments.analysis.statistics import Interval
from evornn.store.records import StoredRun
from evornn.store.store import Store

Stores = Sequence[Store]  # of each line the first counts that has it


@dataclass(frozen=True)
class Measurement:
    """A line with what its runs in a store say."""

    line: Line
    ours: Interval | None  # None: not all of its runs have succeeded, and the others alone would flatter
    runs: int
    solved: int
    failed: int
    seconds: float  # of computing, all runs
    verdict: str


def run(section: Section, store: Store, workers: int | None, watching: Watching, full: bool) -> None:
    """Compute what is missing of a section; interrupted, it goes on there the next time."""
    for file in dict.fromkeys(line.file for line in section.lines if not line.is_ready):
        print(f"{section.name}: the lines that need {file} are left out: put it into this folder", file=sys.stderr)
    chosen = [line for line in section.lines if line.is_ready and (full or not line.full)]
    compute([line.spec for line in chosen], store, workers, watching)


def measure(section: Section, stores: Stores) -> list[Measurement]:
    """What the stores say about each line."""
    return [_measure(section, line, _stored_runs(line, stores)[1]) for line in section.lines]


def claim_results(section: Section, stores: Stores) -> list[ClaimResult]:
    """What they say about the claims whose lines have run to their ends."""
    runs_by_line = {line.name: _stored_runs(line, stores)[1] for line in section.lines}
    return evaluate_claims(section.claims, {name: runs for name, runs in runs_by_line.items() if _whole(runs)})


def _measure(section: Section, line: Line, runs: Sequence[StoredRun]) -> Measurement:
    done = _done(runs)
    ours = FIGURES[section.figure](runs) if _whole(runs) else None
    return Measurement(
        line=line,
        ours=ours,
        runs=len(done),
        solved=sum(map(is_solved, done)),
        failed=sum(run.state == "failed" for run in runs),
        seconds=sum(run.seconds or 0.0 for run in runs),
        verdict=_verdict(section, line, ours, done),
    )


def _verdict(section: Section, line: Line, ours: Interval | None, done: Sequence[StoredRun]) -> str:
    if ours is None:
        return "not run" if not done else "not complete"
    if section.bound is not None and np.nanmax(scores(done)) > section.bound:
        return "beyond what is possible"
    return verdict(section.reproduced, ours, line.published, section.tolerance)


def _stored_runs(line: Line, stores: Stores) -> tuple[Store, list[StoredRun]]:
    """The runs of the line in the first store that has all of them, or else in the first that has any."""
    jobs = [(store, job_of(line.spec, store)) for store in stores]
    candidates = [(store, store.runs(job=job)) for store, job in jobs if job is not None]
    return next(
        ((store, runs) for store, runs in candidates if _whole(runs)), candidates[0] if candidates else (stores[0], [])
    )


def _whole(runs: Sequence[StoredRun]) -> bool:
    return bool(runs) and all(run.state == "succeeded" for run in runs)


def _done(runs: Sequence[StoredRun]) -> list[StoredRun]:
    return [run for run in runs if run.state == "succeeded"]


def environments(section: Section, stores: Stores) -> list[dict[str, object]]:
    """The different machines and versions that computed a section."""
    distinct: list[dict[str, object]] = []
    for store, runs in (_stored_runs(line, stores) for line in section.lines):
        if not (done := _done(runs)):
            continue
        environment = store.result(done[0].id).environment
        kept = {name: environment.get(name) for name in ("evornn", "commit", "cpu", "cores", "backend")}
        distinct += [] if kept in distinct else [kept]
    return distinct
