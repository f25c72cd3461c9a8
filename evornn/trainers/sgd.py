"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Lt

from evornn.arrays import Floats, Genomes
from evornn.settings import settings
from evornn.trainers.core.gradient import BackpropagatingTrainer, Moments


def sgd(gradients: Genomes, velocity: Floats, rate: float, momentum: float, nesterov: bool) -> tuple[Genomes, Floats]:
    """One update: v ← μ v + g; Δ = −η v, or −η (g + μ v) with Nesterov's momentum.

    The velocity starts from 0 (Sutskever et al. 2013); as in `torch.optim.SGD`, it does not contain the rate η.

    Args:
        gradients: [P, n] g.
        velocity: [P, n] v.
        rate: Learning rate η.
        momentum: μ; 0: none.
        nesterov: Whether to use Nesterov's momentum.

    Returns:
        The step Δ [P, n] to add to the genomes, and the new velocity [P, n].
    """
    velocity = np.float32(momentum) * velocity + gradients
    direction = gradients + np.float32(momentum) * velocity if nesterov else velocity
    return np.float32(-rate) * direction, velocity


@settings
class SGD(BackpropagatingTrainer):
    """Gradient descent with momentum (Polyak 1964), by backpropagation through time on mini-batches; with `batch: 1`
    an update follows every sequence."""

    moments = ("velocity",)

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = False

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        delta, velocity = sgd(gradients, moments["velocity"], rate, self.momentum, self.nesterov)
        return delta, {"velocity": velocity}
