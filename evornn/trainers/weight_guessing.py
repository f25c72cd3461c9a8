"""Random weight guessing: the yardstick that any search has to beat."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from evornn.arrays import Streams
from evornn.settings import settings
from evornn.trainers.population import PopulationTrainer
from evornn.trainers.trainer import Oracle, State


@settings
class WeightGuessing(PopulationTrainer):
    """Guess all weights anew, keep the best (Schmidhuber, Hochreiter & Bengio 2001, "Evaluating benchmark problems by
    random guessing")."""

    family = "guessing"

    population: Annotated[int, Ge(1)] = 32  # guesses per step
    batch: Annotated[int, Ge(1)] | None = None

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return {"step": 0, **self.nothing_yet(oracle)}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        k = state["step"]
        guesses = oracle.sample(self.population, streams.at(k))
        batch = oracle.batch(k, self.batch)
        genomes, losses = oracle.evaluate(guesses, batch)
        return {"step": k + 1, **self.remember(state, genomes, losses, batch)}
