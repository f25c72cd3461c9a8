"""A problem whose large populations are computed by several processes, with the same bits as by one.

A population is split at whole tiles, whose arithmetic is independent (docs/internals/kernels.md), so the result doesn't
depend on who computes which part. Each worker that is ready gets one part; that of a worker that dies is computed in
this process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

from evornn.arrays import Genome
from evornn.layout import Layout
from evornn.tasks.core.task import Score
from evornn.trainers.core.query import Answer, Query, Segment, concatenate
from evornn.training.problem import Problem

MIN_SHARDED_COST = 100_000_000  # floating point operations of a call; sending fewer takes longer (results/scaling.md)


class WorkerLost(Exception):
    """Raised while waiting for a worker whose process has died or failed."""


class ShardWorker(Protocol):
    """A process with the same problem."""

    def submit(self, query: Query) -> Callable[[], Answer]:
        """Send a query and return at once; the returned function waits for the answer. It raises WorkerLost."""


class ShardPool(Protocol):
    """The workers of a run."""

    def broadcast(self, problem: Problem) -> None:
        """Send the problem to the workers, before the first query."""

    def ready_workers(self) -> Sequence[ShardWorker]:
        """The workers that can answer now. The first call starts them."""


class ShardedProblem(Problem):
    """A problem whose queries this process and the workers of a pool answer together."""

    def __init__(self, problem: Problem, pool: ShardPool) -> None:
        self.problem, self.network, self.pool = problem, problem.network, pool
        pool.broadcast(problem)

    def answer(self, query: Query) -> Answer:
        # One part for this process, which computes it while the workers compute theirs.
        workers = self._ready_workers(query)
        local, *remote = partition(len(query.genomes), 1 + len(workers), self._tile)
        queries = [query.take(rows) for rows in remote]
        pending = [worker.submit(part) for worker, part in zip(workers, queries, strict=False)]
        answers = [self.problem.answer(query.take(local))]
        for part, wait in zip(queries, pending, strict=True):
            try:
                answers.append(wait())
            except WorkerLost:
                answers.append(self.problem.answer(part))
        return concatenate(answers)

    @property
    def _tile(self) -> int:
        """Members whose arithmetic must not be split."""
        from evornn.kernels.evaluate import TILE  # and torch, which a dispatcher doesn't need

        return TILE[self.network.device.type]

    def _ready_workers(self, query: Query) -> Sequence[ShardWorker]:
        """The workers to share a query with; none if it takes less time to compute than to send."""
        members = len(query.genomes)
        if not self.is_separable or members <= self._tile:
            return ()
        flops = members * self.min_cost(query) * self.flops_per_step
        return self.pool.ready_workers() if flops >= MIN_SHARDED_COST else ()

    # ---- computed by this process alone ------------------------------------------------------------------------------

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
    """Split a population into parts of whole tiles, about as many in each.

    A last tile of a single member stays with the tile before it, since torch rounds a single member differently.

    Args:
        count: P.
        shards: Largest number of parts.
        tile: Members per tile.

    Returns:
        Slices of the population, in order.
    """
    tiles = max(1, (count - 2) // tile + 1)
    shards = min(shards, tiles)
    edges = [*(k * tiles // shards * tile for k in range(shards)), count]
    return [slice(begin, end) for begin, end in pairwise(edges)]
