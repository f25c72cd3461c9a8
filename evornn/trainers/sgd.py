"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Lt

from evornn.arrays import Floats, Genomes
from evornn.settings import settings
from evornn.trainers.core.gradient import BackpropagatingTrainer, Moments


def sgd(gradients: Genomes, velocity: Floats, rate: float, momentum: float, nesterov: bool) -> tuple[Genomes, Floats]:
    """Step [P, n] and new velocity [P, n]: v ← μ v + g; Δ = −η v, or −η (g + μ v) after Nesterov.

    The velocity starts from 0 (Sutskever et al. 2013; as in `torch.optim.SGD` the rate η is no part of it).
    """
    velocity = np.float32(momentum) * velocity + gradients
    direction = gradients + np.float32(momentum) * velocity if nesterov else velocity
    return np.float32(-rate) * direction, velocity


@settings
class SGD(BackpropagatingTrainer):
    """Gradient descent with momentum (Polyak 1964), by backpropagation through time on mini-batches; with `batch: 1`
    after every sequence."""

    moments = ("velocity",)

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = False

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        delta, velocity = sgd(gradients, moments["velocity"], rate, self.momentum, self.nesterov)
        return delta, {"velocity": velocity}
