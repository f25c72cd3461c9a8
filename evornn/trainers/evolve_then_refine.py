"""Evolution first, then learning from its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from evornn.catalog import Catalog
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import EliteOracle, PopulationPart, TrainerPart
from evornn.trainers.core.sequential import SequentialTrainer
from evornn.trainers.core.trainer import Oracle, State, Trainer


@settings
class EvolveThenRefine(SequentialTrainer):
    """A global search finds a basin with a share `split` of the budget, and another trainer, usually a gradient one,
    descends into it with the rest (Belew, McInerney & Schraudolph 1991, "Evolving networks: using the genetic algorithm
    with connectionist learning"). `refine` starts from the result of `evolve`."""

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"evolve": TRAINERS, "refine": TRAINERS}

    evolve: PopulationPart = field(default_factory=lambda: TRAINERS["cma_es"]())
    refine: TrainerPart = field(default_factory=lambda: TRAINERS["adam"]())

    def phases(self) -> tuple[Trainer, Trainer]:
        return self.evolve, self.refine

    def second_oracle(self, first_state: State, oracle: Oracle) -> Oracle:
        return EliteOracle(oracle, self.evolve.candidates(first_state), first_state["step"])
