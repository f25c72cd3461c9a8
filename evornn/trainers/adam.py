"""Adam: gradient descent with an individual step size for every parameter."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt

from evornn.arrays import Floats, Genomes
from evornn.settings import settings
from evornn.trainers.core.gradient import BackpropagatingTrainer, Moments

Beta = Annotated[float, Ge(0), Lt(1)]


def adam(
    gradients: Floats,
    m: Floats,
    v: Floats,
    k: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Floats, Floats, Floats]:
    """One update (Kingma & Ba 2015, algorithm 1).

    Args:
        gradients: [P, n], or [n].
        m: First moments, in the shape of the gradients.
        v: Second moments, in the shape of the gradients.
        k: Number of the update, counting from 1.
        rate: Learning rate.
        betas: Decay rates of the first and the second moment.
        eps: Added to the root of the second moment.

    Returns:
        The step to add to the parameters, and the new moments m and v.
    """
    b1, b2 = betas
    m = np.float32(b1) * m + np.float32(1 - b1) * gradients
    v = np.float32(b2) * v + np.float32(1 - b2) * gradients * gradients
    # The moments start from 0: c1 and c2 correct their bias.
    c1, c2 = np.float32(1 - math.pow(b1, k)), np.float32(math.sqrt(1 - math.pow(b2, k)))
    step = np.float32(-rate) * (m / c1) / (np.sqrt(v) / c2 + np.float32(eps))
    return step.astype(np.float32, copy=False), m, v


@settings
class Adam(BackpropagatingTrainer):
    """Adam (Kingma & Ba 2015), by backpropagation through time on mini-batches."""

    moments = ("m", "v")

    betas: tuple[Beta, Beta] = (0.9, 0.999)  # decay rates of the first and the second moment
    eps: Annotated[float, Gt(0)] = 1e-8

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        delta, m, v = adam(gradients, moments["m"], moments["v"], k, rate, self.betas, self.eps)
        return delta, {"m": m, "v": v}
