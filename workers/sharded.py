"""A problem whose large populations several processes compute, to the same bits as one.

A population is cut at whole tiles, whose arithmetic doesn't depend on one another (docs/internals/kernels.md), so the
result is the same whoever computes a part: each worker that is ready gets one, and the part of a worker that dies is
computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

from evornn.arrays import Genome
from evornn.kernels.evaluate import TILE
from evornn.layout import Layout
from evornn.tasks.core.task import Score
from evornn.trainers.core.query import Answer, Query, Segment, concatenate
from evornn.training.problem import Problem

MIN_SHARDED_COST = 100_000_000  # network steps × parameters of a call; less takes longer to send (results/scaling.md)


class WorkerLost(Exception):
    """A worker does not answer: its process died or failed."""


class ShardWorker(Protocol):
    """A process that holds the same problem."""

    def submit(self, query: Query) -> Callable[[], Answer]:
        """Send a query; returns at once. The function returned waits for the answer, and raises WorkerLost."""


class ShardPool(Protocol):
    """The workers of a run."""

    def broadcast(self, problem: Problem) -> None:
        """Give the workers the problem, before the first query."""

    def ready_workers(self) -> Sequence[ShardWorker]:
        """Those who can answer now. The first call starts them."""


class ShardedProblem(Problem):
    """A problem that this process and the workers of a pool answer together."""

    def __init__(self, problem: Problem, pool: ShardPool) -> None:
        self.problem, self.network, self.pool = problem, problem.network, pool
        pool.broadcast(problem)

    def answer(self, query: Query) -> Answer:
        workers = self._ready_workers(query)
        local, *remote = partition(len(query.genomes), 1 + len(workers), TILE[self.network.device.type])
        queries = [query.take(rows) for rows in remote]
        pending = [worker.submit(part) for worker, part in zip(workers, queries, strict=False)]
        answers = [self.problem.answer(query.take(local))]
        for part, wait in zip(queries, pending, strict=True):
            try:
                answers.append(wait())
            except WorkerLost:
                answers.append(self.problem.answer(part))
        return concatenate(answers)

    def _ready_workers(self, query: Query) -> Sequence[ShardWorker]:
        """Those to share a query with: none, where it takes less time here than to send."""
        members = len(query.genomes)
        if not self.is_separable or members <= TILE[self.network.device.type]:
            return ()
        flops = members * self.min_cost(query) * self.flops_per_step
        return self.pool.ready_workers() if flops >= MIN_SHARDED_COST else ()

    # ---- what needs no workers ---------------------------------------------------------------------------------------

    @property
    def backend(self) -> str:
        return self.problem.backend

    @property
    def flops_per_step(self) -> int:
        return self.problem.flops_per_step

    @property
    def default_batch_size(self) -> int | None:
        return self.problem.default_batch_size

    @property
    def sizes(self) -> tuple[int, int]:
        return self.problem.sizes

    @property
    def num_cases(self) -> int:
        return self.problem.num_cases

    @property
    def is_separable(self) -> bool:
        return self.problem.is_separable

    def min_cost(self, query: Query) -> int:
        return self.problem.min_cost(query)

    @property
    def readout(self) -> Layout:
        return self.problem.readout

    def check(self, gradients: bool, readouts: bool) -> None:
        self.problem.check(gradients, readouts)

    def segment(self, query: Query) -> Segment:
        return self.problem.segment(query)

    def score(self, genome: Genome, score: Score) -> float:
        return self.problem.score(genome, score)


def partition(count: int, shards: int, tile: int) -> list[slice]:
    """A population's parts: whole tiles, about as many in each, at most so many parts. A member that would be alone in
    the last one stays with those before it, since torch rounds one alone in another way."""
    tiles = max(1, (count - 2) // tile + 1)
    shards = min(shards, tiles)
    edges = [*(k * tiles // shards * tile for k in range(shards)), count]
    return [slice(begin, end) for begin, end in pairwise(edges)]
