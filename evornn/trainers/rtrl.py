"""Real-time recurrent learning: the exact gradient, carried forwards."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from evornn.arrays import Genomes
from evornn.settings import settings
from evornn.trainers.core.gradient import FirstOrderTrainer, Moments


@settings
class RTRL(FirstOrderTrainer):
    """Real-time recurrent learning (Williams & Zipser 1989, "A learning algorithm for continually running fully
    recurrent neural networks"): the derivatives of the state by all weights are carried forwards with the state, so no
    past states are stored, and the weights can change within a sequence, after `every` time steps.

    Unlike in truncated backpropagation, a gradient reaches back to the start of the sequence. It is exact as long as
    the weights don't change; with `every` as long as the sequences it equals backpropagation's. For small networks: a
    time step costs as much as n + 1, and the derivatives are [B, states, n] numbers per member.
    """

    moments = ()
    exact = True

    every: Annotated[int, Ge(1)] = 1  # time steps per update

    @property
    def length(self) -> int | None:
        return self.every

    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        return np.float32(-rate) * gradients, {}
