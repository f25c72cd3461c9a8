"""Sequences as a problem: mean losses over their steps, and gradients by backpropagation through time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from evornn.arrays import Batch, Floats, Genome, Genomes, Losses, Mask, Series
from evornn.networks.network import Network, OwnLoss, has_gradient
from evornn.tasks.task import Score, Sequences
from evornn.trainers.trainer import NoGradient
from evornn.training.problem import Costs

GRADIENT_COST = 3  # network steps per forward step: one forward and about two backward


class Mapping:
    """A problem of B sequences; every member takes B × T steps, a gradient counts 3."""

    def __init__(self, network: Network, data: Sequences, loss: str | OwnLoss) -> None:
        self.network, self.data, self.loss = network, data, loss
        self._all = tuple(torch.as_tensor(a).to(network.device) for a in (data.inputs, data.targets, data.mask))

    @property
    def sizes(self) -> tuple[int, int]:
        return self.data.sizes

    @property
    def cases(self) -> int:
        return len(self.data)

    def least(self, batch: Batch | None, gradients: bool = False) -> int:
        sequences, length = len(self.data) if batch is None else len(batch), int(self.data.inputs.shape[1])
        return sequences * length * (GRADIENT_COST if gradients else 1)

    def check(self, gradients: bool) -> None:
        if gradients:
            differentiable(self.loss)
            if not self.network.differentiable:
                raise NoGradient(f"{self.network!r} has no gradient: use an evolutionary trainer")

    def is_prepared(self, gradients: bool) -> bool:
        return self.network.evaluator.is_prepared(len(self.data), gradients)

    def prepare(self, gradients: bool) -> None:
        self.network.evaluator.prepare(len(self.data), gradients)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        inputs, targets, mask = self._take(batch)
        losses: Losses = self.network.losses(genomes, inputs, targets, loss=self.loss, mask=mask)
        return losses, np.full(len(genomes), self.least(batch))

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        loss = differentiable(self.loss)
        inputs, targets, mask = self._take(batch)
        losses, gradients = self.network.gradients(genomes, inputs, targets, loss=loss, mask=mask)
        return losses, gradients, np.full(len(genomes), self.least(batch, gradients=True))

    def score(self, genome: Genome, score: Score) -> float:
        data, values = self.data, [np.nan]

        def judge(outputs: Floats, targets: Series, mask: Mask) -> Losses:
            values[0] = float(score.judge(outputs[0], data))
            return np.zeros(1, np.float32)

        # As a loss of one's own, so that padding is to the network what it is in every loss.
        self.network.losses(genome[None], data.inputs, data.targets, loss=judge, mask=data.mask)
        return values[0]

    def _take(self, batch: Batch | None) -> tuple[Any, ...]:
        return self._all if batch is None else tuple(values[torch.as_tensor(batch)] for values in self._all)


def differentiable(loss: str | OwnLoss) -> str:
    """The loss, if it has a gradient; raises NoGradient."""
    if isinstance(loss, str) and has_gradient(loss):
        return loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
    raise NoGradient(f"the loss {name} has no gradient: use an evolutionary trainer, or a loss such as mse")
