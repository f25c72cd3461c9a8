"""Sequences as a problem: mean losses over their steps, and gradients by backpropagation through time."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from evornn.arrays import Batch, Floats, Genome, Genomes, Losses, Mask, Series
from evornn.errors import EvornnError
from evornn.layout import Layout
from evornn.networks.loss import CustomLoss, has_gradient
from evornn.networks.network import Network
from evornn.networks.objective import Objective
from evornn.tasks.core.task import Score, Sequences
from evornn.trainers.core.trainer import Carry, NoGradient, Window
from evornn.training.problem import Costs, Segment

GRADIENT_COST = 3  # network steps per forward step: one forward and about two backward


class SequenceProblem:
    """A problem of B sequences; every member takes B × T steps, a gradient counts 3."""

    def __init__(self, network: Network, data: Sequences, loss: str | CustomLoss) -> None:
        self.network, self.data, self.loss = network, data, loss
        self.backend, self.flops_per_step, self.default_batch_size = network.backend_used, network.n, None

    @property
    def sizes(self) -> tuple[int, int]:
        return self.data.sizes

    @property
    def num_cases(self) -> int:
        return len(self.data)

    @property
    def is_separable(self) -> bool:
        return True

    def min_cost(self, batch: Batch | None, gradients: bool = False) -> int:
        sequences, length = len(self.data) if batch is None else len(batch), int(self.data.inputs.shape[1])
        return sequences * length * (GRADIENT_COST if gradients else 1)

    @property
    def readout(self) -> Layout:
        return readout_layout(self.network, self.loss)

    def check(self, gradients: bool, readouts: bool) -> None:
        if gradients:
            check_differentiable(self.loss)
            if not self.network.differentiable:
                raise NoGradient(f"{self.network!r} has no gradient: use an evolutionary trainer")
        if readouts:
            readout_layout(self.network, self.loss)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        losses: Losses = self._batch_objective(batch).losses(genomes, loss=self.loss)
        return losses, np.full(len(genomes), self.min_cost(batch))

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        losses, gradients = self._batch_objective(batch).gradients(genomes, loss=check_differentiable(self.loss))
        return losses, gradients, np.full(len(genomes), self.min_cost(batch, gradients=True))

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        solved: Genomes = self._batch_objective(batch).readouts(genomes, ridge=ridge)
        return solved

    def segment(self, begin: int, length: int, batch: Batch | None = None, exact: bool = False) -> Segment:
        mask = self.data.mask if batch is None else self.data.mask[batch]
        counting = np.flatnonzero(mask.any(axis=0))
        if not len(counting):
            raise EvornnError("no step of a batch counts: take larger batches, or sequences without such an empty mask")
        ahead = int(counting[counting >= begin][0])
        first = begin + (ahead - begin) // length * length
        end, last = min(first + length, mask.shape[1]), int(counting[-1]) + 1
        cost = (self.network.n + 1) * (end - begin) if exact else first - begin + GRADIENT_COST * (end - first)
        return Segment(begin, first, end, last, len(mask) * cost, exact)

    def window(self, genomes: Genomes, segment: Segment, carry: Carry | None, batch: Batch | None = None) -> Window:
        if not self.network.layout.states:
            raise EvornnError(f"{self.network!r} carries no state over: leave truncate out")
        loss, objective = check_differentiable(self.loss), self._batch_objective(batch)
        state: Any = carry
        begin = segment.begin if segment.exact else segment.first
        if begin > segment.begin:
            before = objective.examples.inputs[:, segment.begin : begin]
            _, state = self.network.predict(genomes, before, state=state, return_state=True)
        steps_objective = objective.slice_steps(slice(begin, segment.end))
        compute: Any = steps_objective.sensitivities if segment.exact else steps_objective.gradients
        losses, gradients, state = compute(genomes, loss=loss, state=state, return_state=True)
        return Window(losses, gradients, *((segment.end, state) if segment.end < segment.last else (None, None)))

    def score(self, genome: Genome, score: Score) -> float:
        values = [np.nan]

        def judge(outputs: Floats, targets: Series, mask: Mask) -> Losses:
            values[0] = float(score.compute(outputs[0], self.data))
            return np.zeros(1, np.float32)

        # As a loss of one's own, so that padding is to the network what it is in every loss.
        self.objective.losses(genome[None], loss=judge)
        return values[0]

    @cached_property
    def objective(self) -> Objective:
        """The network and all sequences."""
        return self.network.objective(self.data.inputs, self.data.targets, self.data.mask)

    def _batch_objective(self, batch: Batch | None) -> Objective:
        return self.objective if batch is None else self.objective.take(batch)


def readout_layout(network: Network, loss: str | CustomLoss) -> Layout:
    """The layout of a network whose read-out ridge regression can solve for this loss; raises EvornnError."""
    layout = network.layout
    if not isinstance(layout, Layout) or not layout.readout:
        raise EvornnError(f"{network!r} has no linear read-out to solve: use a trainer other than ridge and evolino")
    if loss != "mse":
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
        raise EvornnError(f"ridge regression minimises mse, not {name}: use another trainer, or the loss mse")
    return layout


def check_differentiable(loss: str | CustomLoss) -> str | CustomLoss:
    """The loss, if it has a gradient; raises NoGradient."""
    if has_gradient(loss):
        return loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
    advice = "a loss such as mse" if isinstance(loss, str) else "write it in torch"
    raise NoGradient(f"the loss {name} has no gradient: use an evolutionary trainer, or {advice}")
