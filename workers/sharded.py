"""A problem whose large populations several processes compute, to the same bits as one.

Members are cut at whole tiles, and no tile's arithmetic knows of another one (docs/internals/kernels.md). So it doesn't
matter who computes which part: whoever is there gets one, and the part of a helper that dies is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

import numpy as np

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.kernels.evaluate import TILE
from evornn.layout import Layout
from evornn.tasks.core.task import Score
from evornn.trainers.core.trainer import Carry, Window
from evornn.training.problem import Costs, Problem, Segment

MIN_SHARDED_COST = (
    100_000_000  # network steps × parameters of a call; less is done sooner here than sent (docs/results/scaling.md)
)

Arguments: TypeAlias = tuple[Any, ...]


class WorkerLost(Exception):
    """A helper does not answer: its process died or failed."""


class ShardWorker(Protocol):
    """A process that holds the same problem."""

    def submit(self, method: str, arguments: Arguments) -> Callable[[], Any]:
        """Send a question, the name of a method of the problem; returns at once. What it returns waits for the answer,
        and raises Lost."""


class ShardPool(Protocol):
    """The helpers of a run."""

    def broadcast(self, problem: Problem) -> None:
        """Say what helpers will be asked about, before the first question."""

    def ready_workers(self) -> Sequence[ShardWorker]:
        """Those who can answer now. Asked for the first time, they are called."""


class ShardedProblem:
    """A problem, asked here and of a crew."""

    def __init__(self, problem: Problem, pool: ShardPool) -> None:
        self.problem, self.network, self.pool = problem, problem.network, pool
        pool.broadcast(problem)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        losses, costs = self._concatenate_answers("losses", genomes, self.min_cost(batch), batch)
        return losses, costs

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        losses, gradients, costs = self._concatenate_answers(
            "gradients", genomes, self.min_cost(batch, gradients=True), batch
        )
        return losses, gradients, costs

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        parts = self._answers(
            "readouts", len(genomes), self.min_cost(batch), lambda rows: (genomes[rows], ridge, batch)
        )
        answer: Genomes = concatenate(parts)
        return answer

    def window(self, genomes: Genomes, segment: Segment, carry: Carry | None, batch: Batch | None = None) -> Window:
        def arguments(rows: slice) -> Arguments:
            return genomes[rows], segment, slice_carry(carry, rows), batch

        windows: list[Window] = self._answers("window", len(genomes), segment.cost, arguments)
        carries = [window.carry for window in windows if window.carry is not None]
        return Window(
            concatenate([window.losses for window in windows]),
            concatenate([window.gradients for window in windows]),
            windows[0].end,
            concatenate_carries(carries) if carries else None,
        )

    def _concatenate_answers(self, method: str, genomes: Genomes, steps: int, batch: Batch | None) -> list[Any]:
        """Several arrays [P, …] of an answer, each put together."""
        parts = self._answers(method, len(genomes), steps, lambda rows: (genomes[rows], batch))
        return [concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _answers(self, method: str, count: int, steps: int, arguments: Callable[[slice], Arguments]) -> list[Any]:
        """What all parts of a population are answered, in genome order. A member's network steps are `steps`."""
        workers = self._ready_workers(count, steps)
        local, *remote = partition(count, 1 + len(workers), TILE[self.network.device.type])
        pending = [(k, helper.submit(method, arguments(k))) for k, helper in zip(remote, workers, strict=False)]
        answers = [self._local_answer(method, arguments(local))]
        for part, answer in pending:
            try:
                answers.append(answer())
            except WorkerLost:
                answers.append(self._local_answer(method, arguments(part)))
        return answers

    def _local_answer(self, method: str, arguments: Arguments) -> Any:
        return getattr(self.problem, method)(*arguments)

    def _ready_workers(self, count: int, steps: int) -> Sequence[ShardWorker]:
        is_worth = (
            self.is_separable
            and count > TILE[self.network.device.type]
            and count * steps * self.flops_per_step >= MIN_SHARDED_COST
        )
        return self.pool.ready_workers() if is_worth else ()

    # ---- what needs no helpers ---------------------------------------------------------------------------------------

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

    def min_cost(self, batch: Batch | None, gradients: bool = False) -> int:
        return self.problem.min_cost(batch, gradients)

    @property
    def readout(self) -> Layout:
        return self.problem.readout

    def check(self, gradients: bool, readouts: bool) -> None:
        self.problem.check(gradients, readouts)

    def segment(self, begin: int, length: int, batch: Batch | None = None, exact: bool = False) -> Segment:
        return self.problem.segment(begin, length, batch, exact)

    def score(self, genome: Genome, score: Score) -> float:
        return self.problem.score(genome, score)


def partition(count: int, shards: int, tile: int) -> list[slice]:
    """A population's parts: whole tiles, about as many in each, at most so many parts. A member that would be alone in
    the last one stays with those before it, since torch rounds one alone in another way."""
    tiles = max(1, (count - 2) // tile + 1)
    shards = min(shards, tiles)
    edges = [*(k * tiles // shards * tile for k in range(shards)), count]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def concatenate(parts: Sequence[Any]) -> Any:
    """Arrays [P, …] one after the other."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def slice_carry(carry: Carry | None, rows: slice) -> Carry | None:
    """The state of some members."""
    return carry and [{name: values[rows] for name, values in layer.items()} for layer in carry]


def concatenate_carries(carries: Sequence[Carry]) -> Carry:
    """The state of all members."""
    layers = zip(*carries, strict=True)
    return [{name: concatenate([part[name] for part in layer]) for name in layer[0]} for layer in layers]
