"""The oracle of a run: answers a trainer's queries about one problem, and charges their cost to the budget."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses, Streams
from evornn.errors import EvornnError
from evornn.trainers.core.query import Answer, Costs, Kind, Query
from evornn.trainers.core.trainer import BudgetExhausted, Oracle
from evornn.training.problem import Problem
from evornn.training.regularisation import NO_REGULARISATION, Regularisation


@dataclass
class Spent:
    """What a run has spent, and at which cost it first reached targets. Saved with every checkpoint."""

    network_steps: int = 0
    evaluations: int = 0  # losses answered, one per member
    hits: dict[str, int] = field(default_factory=dict)  # target, as text → network steps

    def as_data(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Origin:
    """The start of a run from another run's champion: the genome itself and, for further members, genomes around it."""

    genome: Genome  # [n]
    initial_std_scale: float = 0.1  # their standard deviation, in units of the initial distribution's


class LocalOracle(Oracle):
    """Answers queries in this process and keeps the budget: a call that would exceed it raises BudgetExhausted.

    Args:
        problem: The training split with its network; it may share the work with other processes.
        seed: Of the run; the order of the data follows from it.
        limit: The budget in network steps.
        targets: Training losses whose first hits are recorded.
        spent: What the run has spent so far; None: nothing.
        origin: Of a warm start; None: the architecture's initial distribution.
        regularisation: What the trainer's losses have in addition; those that are recorded are without.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        limit: int,
        targets: tuple[float, ...] = (),
        spent: Spent | None = None,
        origin: Origin | None = None,
        regularisation: Regularisation = NO_REGULARISATION,
    ) -> None:
        self.problem, self.network, self.limit, self.targets = problem, problem.network, limit, targets
        self.spent, self.origin, self.seed, self.regularisation = spent or Spent(), origin, seed, regularisation
        self.begin_step()
        self.is_full_batch = True  # whether the last answer was on all training data, as they are
        self._batch_sampler = BatchSampler(Streams(seed, "order"), self.problem.num_cases)

    def begin_step(self) -> None:
        """Tell the oracle that a step of the trainer begins."""
        self.step_losses: list[Losses] = []  # of all answers since then
        self._number = self.spent.network_steps  # of the step: the same when a run is resumed

    @property
    def n(self) -> int:
        return self.network.n

    @property
    def centre(self) -> Genome:
        return self.network.layout.centre if self.origin is None else self.origin.genome

    @property
    def scale(self) -> Genome:
        return self.network.layout.scale * np.float32(1 if self.origin is None else self.origin.initial_std_scale)

    @property
    def num_recurrent(self) -> int:
        return self.problem.readout.blocks["readout.weight"].start

    @property
    def elapsed(self) -> float:
        return self.spent.network_steps / self.limit

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        genomes = self.network.layout.sample(count, rng)
        if self.origin is None:
            return genomes
        near = self.origin.genome + np.float32(self.origin.initial_std_scale) * (genomes - self.network.layout.centre)
        return np.concatenate([self.origin.genome[None], near[1:]])

    def batch(self, k: int, size: int | None) -> Batch | None:
        size = self.problem.default_batch_size if size is None else size
        if size is not None and size < self.problem.num_cases:
            return self._batch_sampler.batch(k, size)
        # Losses of different noise are no more comparable than those of different mini-batches.
        return np.arange(self.problem.num_cases) if self.regularisation.is_random else None

    def answer(self, query: Query) -> Answer:
        query = self.regularisation.adapt(query, self.seed, self._number)
        # Refuse before anything is computed what the problem can't answer or the budget can't pay.
        if query.kind is Kind.READOUTS:
            _ = self.problem.readout  # raises where there is none
        elif query.kind is Kind.WINDOW:
            query = replace(query, segment=self.problem.segment(query))
        members, cost = len(query.genomes), self.problem.min_cost(query)
        self._check_budget(members, members * cost)
        answer = self.problem.answer(query)
        # Solved read-outs have no losses to record.
        if query.kind is Kind.READOUTS:
            self.spent.network_steps += members * cost
            return answer
        costs = np.full(members, cost) if answer.costs is None else answer.costs
        if answer.costs is not None:  # episodes: known only now; an answer that costs too much is discarded
            self._check_budget(members, int(costs.sum()))
        is_whole = query.batch is None and query.kind is not Kind.WINDOW and query.perturbation is None
        self._charge(answer.losses, costs, is_whole)
        answer = self.regularisation.penalise(answer, query.genomes, self.network.layout)
        return replace(answer, genomes=query.genomes)

    def record_loss(self, loss: float) -> None:
        """Record targets that are reached by a loss on all training data which the loop has measured."""
        self._record_hits(np.array([loss], np.float32), np.zeros(1, np.int64))

    def _check_budget(self, members: int, cost: int) -> None:
        """Raises BudgetExhausted if a call costs more than is left; EvornnError if it is the first one."""
        if self.spent.network_steps + cost <= self.limit:
            return
        if self.spent.network_steps == 0:
            raise EvornnError(
                f"budget.steps: {self.limit:,} network steps don't pay for the trainer's first call, of {members} "
                f"members and {cost:,} steps: raise the budget or lower population or batch"
            )
        raise BudgetExhausted

    def _charge(self, losses: Losses, costs: Costs, is_full_batch: bool) -> None:
        """Charge an answer to the budget and record the targets that it reached."""
        self.step_losses.append(losses)
        self.is_full_batch = is_full_batch
        if is_full_batch and self.targets:
            self._record_hits(losses, costs)
        self.spent.network_steps += int(costs.sum())
        self.spent.evaluations += len(losses)

    def _record_hits(self, losses: Losses, costs: Costs) -> None:
        """Record targets first reached by losses [P], at the cost of the members up to the first that reached it."""
        for target in self.targets:
            below = np.flatnonzero(losses <= target)
            if len(below) and repr(target) not in self.spent.hits:
                self.spent.hits[repr(target)] = self.spent.network_steps + int(costs[: below[0] + 1].sum())


class BatchSampler:
    """The run's data order, the same for every trainer: the cases in a new random order in each epoch."""

    def __init__(self, streams: Streams, count: int) -> None:
        self.streams, self.count = streams, count
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def batch(self, k: int, size: int) -> Batch:
        """The k-th mini-batch: cases k·size … (k + 1)·size − 1 of the endless order, across epochs if need be."""
        begin, end = k * size, (k + 1) * size
        epochs = range(begin // self.count, (end - 1) // self.count + 1)
        parts = [self._permutation(e)[max(0, begin - e * self.count) : end - e * self.count] for e in epochs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self.streams.at(int(epoch)).permutation(self.count))
        return self._epoch[1]
