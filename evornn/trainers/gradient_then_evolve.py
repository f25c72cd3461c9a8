"""Learning first, then evolution around its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar

from annotated_types import Gt

from evornn.catalog import Catalog
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import GradientPart, NearOracle, PopulationPart
from evornn.trainers.core.sequential import SequentialTrainer
from evornn.trainers.core.trainer import Oracle, State, Trainer


@settings
class GradientThenEvolve(SequentialTrainer):
    """Gradient descent spends a share `split` of the budget; its answer is the initial mean of an evolutionary search,
    whose initial distribution is `spread` times as wide as the architecture's."""

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"gradient": TRAINERS, "evolve": TRAINERS}

    gradient: GradientPart = field(default_factory=lambda: TRAINERS["adam"]())
    evolve: PopulationPart = field(default_factory=lambda: TRAINERS["cma_es"]())
    spread: Annotated[float, Gt(0)] = 0.1

    def phases(self) -> tuple[Trainer, Trainer]:
        return self.gradient, self.evolve

    def second_oracle(self, first_state: State, oracle: Oracle) -> Oracle:
        return NearOracle(oracle, self.gradient.best(first_state), self.spread, first_state["step"])
