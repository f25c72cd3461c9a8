"""Evolution and learning side by side: the result of learning joins the population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar

from annotated_types import Ge

from evornn.arrays import Genome, Genomes, Streams
from evornn.catalog import Catalog
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import GradientPart, HybridTrainer, InjectingOracle, PopulationPart
from evornn.trainers.core.trainer import Oracle, State, Trainer


@settings
class GradientInjection(HybridTrainer):
    """A gradient descent runs beside the search `evolve`. Before every `every`-th generation it makes `updates` more
    updates, and its answer replaces the last member of the population (Hansen 2011, "Injecting external solutions into
    CMA-ES": `cma_es` shortens such a step to the usual length). A generation costs its population and the gradients
    before it."""

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"evolve": TRAINERS, "gradient": TRAINERS}

    evolve: PopulationPart = field(default_factory=lambda: TRAINERS["cma_es"]())
    gradient: GradientPart = field(default_factory=lambda: TRAINERS["adam"]())
    every: Annotated[int, Ge(1)] = 1  # generations
    updates: Annotated[int, Ge(1)] = 5

    def start(self, oracle: Oracle, streams: Streams) -> State:
        gradient = self.gradient.start(oracle, streams.child("gradient"))
        return {"step": 0, "evolve": self.evolve.start(oracle, streams.child("evolve")), "gradient": gradient}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        k, gradient, used = state["step"], state["gradient"], oracle
        if (k + 1) % self.every == 0:
            for _ in range(self.updates):
                gradient = self.gradient.step(gradient, oracle, streams.child("gradient"))
            used = InjectingOracle(oracle, self.gradient.best(gradient))
        evolve = self.evolve.step(state["evolve"], used, streams.child("evolve"))
        return {"step": k + 1, "evolve": evolve, "gradient": gradient}

    def best(self, state: State) -> Genome:
        return self.evolve.best(state["evolve"])

    def candidates(self, state: State) -> Genomes:
        return self.evolve.candidates(state["evolve"])

    def statistics(self, state: State) -> dict[str, float]:
        """Those of both parts."""
        return {**self.gradient.statistics(state["gradient"]), **self.evolve.statistics(state["evolve"])}
