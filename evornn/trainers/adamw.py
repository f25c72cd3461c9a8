"""AdamW: Adam with weight decay that is independent of its step sizes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from evornn.arrays import Genomes
from evornn.settings import settings
from evornn.trainers.adam import Adam
from evornn.trainers.core.gradient import Moments


@settings
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm
    2), by backpropagation through time on mini-batches."""

    weight_decay: Annotated[float, Ge(0)] = 0.01  # times the learning rate, as in `torch.optim.AdamW`

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        delta, moments = super().update(genomes, gradients, moments, k, rate)
        return delta - np.float32(rate * self.weight_decay) * genomes, moments
