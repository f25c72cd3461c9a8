"""The queue under many processes, on SQLite and PostgreSQL: nothing lost, nothing doubled, no zombie's write; how fast.

`python -m benchmarks.queue [--quick] [--json FILE]`
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError
from time import perf_counter
from typing import Any

import numpy as np

from evornn.store.errors import Fenced
from evornn.store.records import Claim, LogLine, NewRun
from evornn.store.store import Store, open_store
from evornn.training.records import Checkpoint, Result, Row
from tests.support.postgres import Postgres

SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 900.0  # seconds for a phase; a process that fails ends it at once
GENES = 200


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    jobs: int
    processes: int
    zombie_writes: int
    writers: int
    records: int  # of each writer


FULL = Size(jobs=10_000, processes=16, zombie_writes=1_000, writers=8, records=250)
QUICK = Size(jobs=200, processes=4, zombie_writes=40, writers=4, records=20)


def main() -> None:
    """Print what was found, and write it to a file if asked. Ends with an error where something was lost or doubled."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    given = arguments.parse_args()
    size = QUICK if given.quick else FULL
    results: dict[str, Any] = {"cpus": os.cpu_count(), "machine": platform.machine(), "jobs": size.jobs}
    for name, url in databases():
        results[name] = measure(url, size)
        print(f"{name}: " + ", ".join(f"{what.replace('_', ' ')} {value}" for what, value in results[name].items()))
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    if any(results[name][what] for name in ("sqlite", "postgresql") for what in ("lost", "doubled", "errors")):
        raise SystemExit("the queue is not sound")


def databases() -> Iterator[tuple[str, str]]:
    """The URL of an empty database of each kind, there while it is being used."""
    with tempfile.TemporaryDirectory() as folder:
        yield "sqlite", f"sqlite:///{folder}/evornn.db"
    with Postgres() as server:
        yield "postgresql", server.database()


def measure(url: str, size: Size) -> dict[str, Any]:
    """Submissions, claims and ends by all processes at once; then zombies; then writers."""
    with open_store(url) as store:
        seconds, claims, errors = together(
            url, size.processes, ("submitted", "claimed", "ended"), _submit_claim_end, size
        )
        runs = [run for run, _ in claims]
        ended = store.count_runs(state="succeeded")
        rejected = zombie_writes_rejected(store, size.zombie_writes)
        recorded, _, more = together(url, size.writers, ("recorded",), _record, size)
        return {
            "processes": size.processes,
            **{f"{phase}_per_second": round(size.jobs / spent) for phase, spent in seconds.items()},
            "lost": 2 * size.jobs - len(set(runs)) - ended,
            "doubled": len(runs) - len(set(runs)),
            "zombie_writes": size.zombie_writes,
            "zombie_writes_rejected": rejected,
            "writers": size.writers,
            "records_per_second": round(size.writers * size.records / recorded["recorded"]),
            "locked": sum("locked" in error for error in errors + more),
            "errors": len(errors) + len(more) + size.zombie_writes - rejected,
        }


Phases = tuple[dict[str, float], list[tuple[int, int]], list[str]]  # seconds, claims, errors


def together(url: str, processes: int, names: tuple[str, ...], work: Callable[..., Any], size: Size) -> Phases:
    """Processes that begin each phase at the same moment. Seconds of the phases, what was claimed, what went wrong."""
    barrier, answers = SPAWN.Barrier(processes + 1), SPAWN.Queue()
    started = [SPAWN.Process(target=_process, args=(url, n, work, size, barrier, answers)) for n in range(processes)]
    for process in started:
        process.start()
    seconds = {}
    with suppress(BrokenBarrierError):  # then a process says why
        barrier.wait(PATIENCE)
        for name in names:
            begin = perf_counter()
            barrier.wait(PATIENCE)
            seconds[name] = perf_counter() - begin
    reports = [answers.get(timeout=PATIENCE) for _ in started]
    for process in started:
        process.join()
    claims = [claim for claimed, _ in reports for claim in claimed]
    return seconds, claims, [error for _, error in reports if error]


def _process(url: str, number: int, work: Callable[..., Any], size: Size, barrier: Barrier, answers: Any) -> None:
    claims: list[tuple[int, int]] = []
    try:
        with open_store(url) as store:
            barrier.wait(PATIENCE)
            for _ in work(store, number, size, claims):
                barrier.wait(PATIENCE)
        answers.put((claims, ""))
    except Exception as error:
        barrier.abort()
        answers.put((claims, f"process {number}: {type(error).__name__}: {error}"))


def _submit_claim_end(store: Store, number: int, size: Size, claims: list[tuple[int, int]]) -> Iterator[None]:
    for job in range(number, size.jobs, size.processes):
        store.submit(SPEC, [RUN], idempotency_key=f"job {job}", priority=job % 3)
    yield
    while (claim := store.claim(f"process {number}", lease_seconds=PATIENCE)) is not None:
        claims.append((claim.run.id, claim.lease))
    yield
    for run, lease in claims:
        store.finish(run, lease, RESULT, [row(1)])
    yield


def _record(store: Store, number: int, size: Size, claims: list[tuple[int, int]]) -> Iterator[None]:
    job = store.submit(SPEC, [RUN])
    claim = store.claim(f"writer {number}", job=job)
    assert claim is not None
    for mark in range(1, size.records + 1):
        store.record(claim.run.id, claim.lease, [row(mark)], Checkpoint(mark, {"mean": GENOME}, {"step": mark}))
    yield


def zombie_writes_rejected(store: Store, count: int) -> int:
    """Writes of those who lost their leases to others; counts those that were refused and changed nothing."""
    job = store.submit(SPEC, [replace(RUN, position=n) for n in range(-(-count // 4))])
    zombies = _claim_all(store, "zombie", job)
    store.release_owner("zombie")
    assert len(_claim_all(store, "heir", job)) == len(zombies)
    before = repr((store.runs(job=job), store.events(job=job, limit=10 * count), store.logs(job=job)))
    rejected = 0
    for zombie in zombies:
        for write in _writes(store, zombie.run.id, zombie.lease):
            try:
                write()
            except Fenced:
                rejected += 1
    after = repr((store.runs(job=job), store.events(job=job, limit=10 * count), store.logs(job=job)))
    return min(rejected, count) if before == after else 0


def _claim_all(store: Store, owner: str, job: int) -> list[Claim]:
    return list(iter(lambda: store.claim(owner, PATIENCE, job), None))


def _writes(store: Store, run: int, lease: int) -> list[Callable[[], object]]:
    return [
        lambda: store.record(run, lease, [row(1)], Checkpoint(1, {"mean": GENOME}, {}), [LogLine("late")]),
        lambda: store.finish(run, lease, RESULT),
        lambda: store.fail(run, lease, "late", retry=True),
        lambda: store.release(run, lease),
    ]


def row(mark: int) -> Row:
    losses = dict.fromkeys(("best", "mean", "median", "q25", "q75", "valid", "champion_valid"), 1.0 / mark)
    return Row(mark=mark, network_steps=1000 * mark, evaluations=10 * mark, updates=mark, seconds=0.1, **losses)


GENOME = np.arange(GENES, dtype=np.float32)
SPEC: dict[str, Any] = {"name": "queue", "tasks": [{"kind": "sunspots"}]}
FRAGMENTS = {"task": {"kind": "sunspots"}, "network": {"kind": "elman"}, "trainer": {"kind": "adam"}}
RUN = NewRun("sunspots", "elman", "adam", FRAGMENTS, 0, {"steps": 1000}, 0, GENES)
RESULT = Result(GENOME, 0.3, 0.2, 0.25, 1000, 100, 10, 2.5, "budget", {"0.5": 120}, environment={"python": "3"})


if __name__ == "__main__":
    main()
