"""Runs that move: a process that claims runs and reports as a dispatcher does, but whose runs say a point a second
instead of computing. So whoever looks on is measured, and not what the computing leaves of the machine."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from evornn.experiments.execute import build_network_for, load_task
from evornn.service.dispatch.dispatcher import REPORT
from evornn.store.records import Claim, NewRun, Report, RunId
from evornn.store.store import Store, open_store
from evornn.training.loop import Progress
from evornn.training.records import Checkpoint, Row
from evornn.training.state import split

SPAWN = multiprocessing.get_context("spawn")
EVERY = 1.0  # seconds between two points of a run
BETTER = 10  # points until a run finds a better champion
OWNER = "benchmark"
FRAGMENTS: dict[str, Any] = {
    "task": {"kind": "sunspots"}, "network": {"kind": "lstm", "units": 8}, "trainer": {"kind": "snes"},
}  # fmt: skip
MARKS = 100_000  # more than there will be


@dataclass(frozen=True)
class LiveRuns:
    """The runs, and how to end them."""

    runs: list[RunId]
    pipe: Connection

    def stop(self) -> None:
        """Nothing is written any more once this returns."""
        self.pipe.send(None)
        self.pipe.recv()


@contextmanager
def live_runs(store: Store, count: int) -> Iterator[LiveRuns]:
    """So many runs that are under way until the end of the block, or until `stop`."""
    genes = build_network_for(FRAGMENTS, load_task(FRAGMENTS["task"])[1]).n
    new = [
        NewRun("sunspots", "lstm", "snes", FRAGMENTS, k, {"steps": 10**12, "marks": MARKS}, k, genes)
        for k in range(count)
    ]
    job = store.submit({"name": "live", "tasks": [FRAGMENTS["task"]]}, new, priority=1)
    pipe, other = SPAWN.Pipe()
    process = SPAWN.Process(target=write, args=(store.url.render_as_string(hide_password=False), job, genes, other))
    process.start()
    other.close()
    try:
        yield LiveRuns(pipe.recv(), pipe)
    finally:
        pipe.close()  # which ends it
        process.join()


def write(url: str, job: int, genes: int, pipe: Connection) -> None:
    """The process: until it is told to stop, or the other end is closed."""
    with open_store(url, create=False) as store:
        claims = list(iter(lambda: store.claim(OWNER, job=job), None))
        pipe.send([claim.run.id for claim in claims])
        work(store, claims, genes, pipe)
        store.release_owner(OWNER)
        try:
            pipe.send(None)
            pipe.recv()
        except (EOFError, OSError):  # nobody waits
            return


def work(store: Store, claims: list[Claim], genes: int, pipe: Connection) -> None:
    """A report on all runs every half second, as a dispatcher makes it; in each, half of the runs have a new point."""
    rng, turns = np.random.default_rng(0), round(EVERY / REPORT)
    begin = time.monotonic()
    for turn in range(MARKS * turns):
        if pipe.poll(max(0.0, begin + turn * REPORT - time.monotonic())):
            return
        mark = turn // turns + 1
        store.record_all([
            Report(claim.run.id, claim.lease, *record_at(mark, rng.standard_normal(genes, np.float32)))
            if k % turns == turn % turns else Report(claim.run.id, claim.lease)
            for k, claim in enumerate(claims)
        ])  # fmt: skip
        store.heartbeat(OWNER, len(claims), len(claims))


def record_at(mark: int, genome: Any) -> tuple[list[Row], Checkpoint, int]:
    """A point, its checkpoint, network steps. Its `seconds` are when it was written, by the machine's clock."""
    loss, champion_loss = 1.0 / mark, 1.0 / (mark // BETTER * BETTER + 1)
    losses = {"best": loss, "q25": 1.1 * loss, "median": 1.2 * loss, "q75": 1.3 * loss, "mean": 1.2 * loss}
    row = Row(
        mark=mark, network_steps=1_000_000 * mark, evaluations=1_000 * mark, updates=10 * mark, **losses,
        valid=max(1.5 * loss, champion_loss), champion_valid=champion_loss, seconds=time.monotonic(),
        extra={"sigma": loss, "condition": 1.0 + mark},
    )  # fmt: skip
    progress = Progress(updates=row.updates, mark=mark, champion_valid=champion_loss, seconds=row.seconds)
    state = {"mean": genome, "sigma": np.full_like(genome, loss)}
    saved = split({"state": state, "champion": genome, "progress": vars(progress)}, "run")
    return [row], Checkpoint(mark, *saved), row.network_steps
