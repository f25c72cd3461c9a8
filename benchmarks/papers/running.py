"""The runs of a section, and what they say about each line."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.papers.figures import FIGURES, solved, verdict
from benchmarks.papers.section import Line, Section
from benchmarks.stored import Watching, compute, job_of
from evornn.experiments.statistics import Interval
from evornn.store.records import StoredRun
from evornn.store.store import Store


@dataclass(frozen=True)
class Measured:
    """A line with what its runs in a store say."""

    line: Line
    ours: Interval | None  # None: not all of its runs have ended
    runs: int
    solved: int
    failed: int
    seconds: float  # of computing, all runs
    verdict: str


def run(section: Section, store: Store, workers: int | None, watching: Watching, full: bool) -> None:
    """Compute what is missing of a section; interrupted, it goes on there the next time."""
    compute([line.spec for line in section.lines if full or not line.full], store, workers, watching)


def measured(section: Section, store: Store) -> list[Measured]:
    """What the store says about each line."""
    return [_measured(section, line, store) for line in section.lines]


def _measured(section: Section, line: Line, store: Store) -> Measured:
    job = job_of(line.spec, store)
    runs = [] if job is None else store.runs(job=job)
    done = [run for run in runs if run.state == "succeeded"]
    ours = FIGURES[section.figure](done) if done and not any(run.finished is None for run in runs) else None
    return Measured(
        line=line,
        ours=ours,
        runs=len(done),
        solved=sum(map(solved, done)),
        failed=sum(run.state == "failed" for run in runs),
        seconds=sum(run.seconds or 0.0 for run in runs),
        verdict="not run" if ours is None else verdict(section.figure, ours, line.published, section.tolerance),
    )


def environments(section: Section, store: Store) -> list[dict[str, object]]:
    """The different machines and versions that computed a section."""
    found: list[dict[str, object]] = []
    for run in _first_runs(section, store):
        environment = store.result(run.id).environment
        kept = {name: environment.get(name) for name in ("evornn", "commit", "cpu", "cores", "backend")}
        found += [] if kept in found else [kept]
    return found


def _first_runs(section: Section, store: Store) -> list[StoredRun]:
    jobs = [job for line in section.lines if (job := job_of(line.spec, store)) is not None]
    return [done[0] for job in jobs if (done := store.runs(job=job, state="succeeded", limit=1))]
