"""Evolution first, then learning from where it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from evornn.catalog import Catalog
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import LocalOracle, Part, PopulationPart
from evornn.trainers.core.sequential import InTurn
from evornn.trainers.core.trainer import Oracle, State, Trainer


@settings
class EvolveThenRefine(InTurn):
    """A global search finds a basin with a share `split` of the budget, and another trainer, usually a gradient one,
    descends into it with the rest (Belew, McInerney & Schraudolph 1991, "Evolving networks: using the genetic algorithm
    with connectionist learning"). `refine` starts from what `evolve` answers."""

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"evolve": TRAINERS, "refine": TRAINERS}

    evolve: PopulationPart = field(default_factory=lambda: TRAINERS["cma_es"]())
    refine: Part = field(default_factory=lambda: TRAINERS["adam"]())

    def in_order(self) -> tuple[Trainer, Trainer]:
        return self.evolve, self.refine

    def handed_over(self, found: State, oracle: Oracle) -> Oracle:
        return LocalOracle(oracle, self.evolve.candidates(found), found["step"])
