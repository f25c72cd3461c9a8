"""Random weight guessing: the baseline that any search has to beat."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge
from pydantic import AfterValidator

from evornn.arrays import Batch, Genomes, Streams
from evornn.settings import settings
from evornn.trainers.core.coordinates import Bounds, check_bounds
from evornn.trainers.core.population import PopulationTrainer
from evornn.trainers.core.trainer import Oracle, State


@settings
class WeightGuessing(PopulationTrainer):
    """Draw all weights at random in every step, and keep the best (Schmidhuber, Hochreiter & Bengio 2001, "Evaluating
    benchmark problems by random guessing")."""

    family = "guessing"

    population: Annotated[int, Ge(1)] = 32  # guesses per step
    initial_range: Annotated[Bounds | None, AfterValidator(check_bounds)] = None  # uniform; None: the architecture's
    batch: Annotated[int, Ge(1)] | None = None

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return {"step": 0, **self.initial_best(oracle)}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        k = state["step"]
        batch = oracle.batch(k, self.batch)
        genomes, losses = oracle.evaluate(self.guesses(oracle, streams.at(k), batch), batch)
        return {"step": k + 1, **self.update_best(state, genomes, losses, batch)}

    def guesses(self, oracle: Oracle, rng: np.random.Generator, batch: Batch | None) -> Genomes:
        """Draw the genomes of a step.

        Args:
            oracle: Gives the initial distribution.
            rng: Source of the draws.
            batch: The mini-batch on which they are evaluated; None: all data.

        Returns:
            [population, n].
        """
        if self.initial_range is None:
            return oracle.sample(self.population, rng)
        return rng.uniform(*self.initial_range, (self.population, oracle.n)).astype(np.float32)
