"""Adam: gradient descent with a step of its own for every parameter."""

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
    """Step [P, n] of the k-th update and the new moments m, v [P, n] (Kingma & Ba 2015, algorithm 1)."""
    b1, b2 = betas
    m = np.float32(b1) * m + np.float32(1 - b1) * gradients
    v = np.float32(b2) * v + np.float32(1 - b2) * gradients * gradients
    c1, c2 = np.float32(1 - math.pow(b1, k)), np.float32(math.sqrt(1 - math.pow(b2, k)))
    step = np.float32(-rate) * (m / c1) / (np.sqrt(v) / c2 + np.float32(eps))
    return step.astype(np.float32, copy=False), m, v


@settings
class Adam(BackpropagatingTrainer):
    """Adam (Kingma & Ba 2015), by backpropagation through time on mini-batches."""

    moments = ("m", "v")

    betas: tuple[Beta, Beta] = (0.9, 0.999)  # memory of the first and second moment
    eps: Annotated[float, Gt(0)] = 1e-8

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        delta, m, v = adam(gradients, moments["m"], moments["v"], k, rate, self.betas, self.eps)
        return delta, {"m": m, "v": v}
