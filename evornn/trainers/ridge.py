"""Solved read-outs of random recurrent weights: training by linear regression."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from evornn.arrays import Batch, Genomes
from evornn.settings import settings
from evornn.trainers.core.trainer import Oracle
from evornn.trainers.weight_guessing import WeightGuessing


@settings
class Ridge(WeightGuessing):
    """Guess the weights of the recurrent part, solve the linear read-out of each guess by ridge regression, keep the
    best by training loss (Jaeger 2001, "The echo state approach to analysing and training recurrent neural networks").

    In an `echo_state` network without `evolved` scales all guesses are alike: then a `population` of 1 is enough. A
    guess costs two passes, one to solve its read-out and one to evaluate it. The loss must be mse. A network that feeds
    its outputs back gets the targets instead while its read-out is solved.
    """

    solves_readout = True

    ridge: Annotated[float, Ge(0)] = 1e-6  # λ of mean squared error + λ·‖weights of the read-out‖²

    def guesses(self, oracle: Oracle, rng: np.random.Generator, batch: Batch | None) -> Genomes:
        return oracle.readouts(super().guesses(oracle, rng, batch), self.ridge, batch)
