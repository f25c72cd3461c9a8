"""RMSProp: gradient descent with an individual step size for every parameter, without Adam's first moment."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt

from evornn.arrays import Floats, Genomes
from evornn.settings import settings
from evornn.trainers.core.gradient import BackpropagatingTrainer, Moments


def rmsprop(
    gradients: Genomes, moments: Moments, rate: float, alpha: float, eps: float, momentum: float
) -> tuple[Genomes, Moments]:
    """One update: the gradient over the root of the running mean of its square, with momentum, as in
    `torch.optim.RMSprop`.

    Args:
        gradients: [P, n].
        moments: "square" and "velocity", each [P, n].
        rate: Learning rate.
        alpha: Decay rate of the square.
        eps: Added to the root of the square.
        momentum: Decay rate of the velocity; 0: none.

    Returns:
        The step [P, n] to add to the genomes, and the new moments.
    """
    square: Floats = np.float32(alpha) * moments["square"] + np.float32(1 - alpha) * gradients * gradients
    scaled = gradients / (np.sqrt(square) + np.float32(eps))
    velocity = np.asarray(np.float32(momentum) * moments["velocity"] + scaled, np.float32)
    return np.float32(-rate) * velocity, {"square": square, "velocity": velocity}


@settings
class RMSProp(BackpropagatingTrainer):
    """RMSProp (Tieleman & Hinton 2012, "Lecture 6.5: divide the gradient by a running average of its recent
    magnitude"), by backpropagation through time on mini-batches."""

    moments = ("square", "velocity")

    alpha: Annotated[float, Ge(0), Lt(1)] = 0.99  # decay rate of the running mean of squares
    eps: Annotated[float, Gt(0)] = 1e-8
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        return rmsprop(gradients, moments, rate, self.alpha, self.eps, self.momentum)
