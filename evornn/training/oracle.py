"""The oracle: answers a trainer's questions about one network on one data set, and counts what each answer cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses, Streams
from evornn.errors import EvornnError
from evornn.layout import Layout
from evornn.networks.network import Network, OwnLoss, has_gradient
from evornn.tasks.task import Sequences
from evornn.trainers.trainer import BudgetExhausted, NoGradient

GRADIENT_COST = 3  # network steps per forward step: one forward and about two backward


@dataclass
class Spent:
    """What has been spent, and where targets were first reached. Saved with every checkpoint."""

    network_steps: int = 0
    evaluations: int = 0
    hits: dict[str, int] = field(default_factory=dict)  # target → network steps

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Origin:
    """Where a warm start begins: at `genome` itself and, for further members, within `spread` of the usual spread."""

    genome: Genome
    spread: float = 0.1


class LocalOracle:
    """Answers in this process. Keeps the budget exactly: a call that would exceed it raises BudgetExhausted instead."""

    def __init__(
        self,
        network: Network,
        data: Sequences,
        loss: str | OwnLoss,
        seed: int,
        limit: int,
        targets: tuple[float, ...] = (),
        spent: Spent | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.network, self.data, self.loss, self.limit, self.targets = network, data, loss, limit, targets
        self.spent, self.origin = spent or Spent(), origin
        self.answers: list[Losses] = []  # since the trainer's step began
        self.whole = True  # whether the last answer was about all training sequences
        self._order = Order(Streams(seed, "order"), len(data))
        self._all = tuple(torch.as_tensor(a).to(network.device) for a in (data.inputs, data.targets, data.mask))

    @property
    def n(self) -> int:
        return self.network.n

    @property
    def centre(self) -> Genome:
        return self.network.layout.centre if self.origin is None else self.origin.genome

    @property
    def scale(self) -> Genome:
        return self.network.layout.scale * np.float32(1 if self.origin is None else self.origin.spread)

    @property
    def recurrent(self) -> int:
        return solvable(self.network, self.loss).blocks["readout.weight"].start

    @property
    def elapsed(self) -> float:
        return self.spent.network_steps / self.limit

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        genomes = self.network.layout.sample(count, rng)
        if self.origin is None:
            return genomes
        near = self.origin.genome + np.float32(self.origin.spread) * (genomes - self.network.layout.centre)
        return np.concatenate([self.origin.genome[None], near[1:]])

    def batch(self, k: int, size: int | None) -> Batch | None:
        return None if size is None or size >= len(self.data) else self._order.batch(k, size)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> Losses:
        before, cost = self._pay(len(genomes), batch)
        inputs, targets, mask = self._take(batch)
        losses: Losses = self.network.losses(genomes, inputs, targets, loss=self.loss, mask=mask)
        return self._answer(losses, before, cost, batch)

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        return genomes, self.losses(genomes, batch)

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes]:
        loss = differentiable(self.loss)
        before, cost = self._pay(len(genomes), batch, GRADIENT_COST)
        inputs, targets, mask = self._take(batch)
        losses, gradients = self.network.gradients(genomes, inputs, targets, loss=loss, mask=mask)
        return self._answer(losses, before, cost, batch), gradients

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        solvable(self.network, self.loss)
        self._pay(len(genomes), batch)
        inputs, targets, mask = self._take(batch)
        solved: Genomes = self.network.readouts(genomes, inputs, targets, ridge=ridge, mask=mask)
        return solved

    def reached(self, loss: float) -> None:
        """Record that a training loss, measured by the loop, stands now."""
        self._hit(np.array([loss], np.float32), self.spent.network_steps, 0)

    def _pay(self, members: int, batch: Batch | None, factor: int = 1) -> tuple[int, int]:
        """The cost before the call and the cost per member."""
        sequences = len(self.data) if batch is None else len(batch)
        cost = sequences * self.data.inputs.shape[1] * factor
        before = self.spent.network_steps
        if before + members * cost > self.limit:
            if before == 0:
                raise EvornnError(
                    f"budget.steps: {self.limit:,} network steps don't pay for the trainer's first call of {members} "
                    f"members × {cost:,} steps = {members * cost:,}: raise the budget or lower population or batch"
                )
            raise BudgetExhausted
        self.spent.network_steps = before + members * cost
        return before, cost

    def _take(self, batch: Batch | None) -> tuple[Any, ...]:
        return self._all if batch is None else tuple(values[torch.as_tensor(batch)] for values in self._all)

    def _answer(self, losses: Losses, before: int, cost: int, batch: Batch | None) -> Losses:
        self.answers.append(losses)
        self.spent.evaluations += len(losses)
        self.whole = batch is None
        if self.whole:
            self._hit(losses, before, cost)
        return losses

    def _hit(self, losses: Losses, before: int, cost: int) -> None:
        for target in self.targets:
            below = np.flatnonzero(losses <= target)
            if len(below) and repr(target) not in self.spent.hits:
                self.spent.hits[repr(target)] = before + (int(below[0]) + 1) * cost


def differentiable(loss: str | OwnLoss) -> str:
    """The loss, if it has a gradient; raises NoGradient."""
    if isinstance(loss, str) and has_gradient(loss):
        return loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
    raise NoGradient(f"the loss {name} has no gradient: use an evolutionary trainer, or a loss such as mse")


def solvable(network: Network, loss: str | OwnLoss) -> Layout:
    """The layout of a network whose read-out ridge regression can solve for this loss; raises EvornnError."""
    layout = network.layout
    if not isinstance(layout, Layout) or not layout.readout:
        raise EvornnError(f"{network!r} has no linear read-out to solve: use a trainer other than ridge and evolino")
    if loss != "mse":
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
        raise EvornnError(f"ridge regression minimises mse, not {name}: use another trainer, or the loss mse")
    return layout


class Order:
    """The run's data order, the same for every trainer: the sequences shuffled anew for each epoch."""

    def __init__(self, streams: Streams, count: int) -> None:
        self.streams, self.count = streams, count
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def batch(self, k: int, size: int) -> Batch:
        """Sequences k·size … (k+1)·size of the endless order."""
        positions = np.arange(k * size, (k + 1) * size)
        return np.concatenate(
            [
                self._permutation(e)[positions[positions // self.count == e] % self.count]
                for e in np.unique(positions // self.count)
            ]
        )

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self.streams.at(int(epoch)).permutation(self.count))
        return self._epoch[1]
