"""Memetic algorithm: evolution whose elites are refined by learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import ceil
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses, Streams
from evornn.catalog import Catalog
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import EliteOracle, HybridTrainer, OracleWrapper, PopulationPart, TrainerPart
from evornn.trainers.core.query import Answer, Kind, Query
from evornn.trainers.core.trainer import Oracle, State, Trainer


@settings
class Memetic(HybridTrainer):
    """A memetic algorithm (Moscato 1989): `evolve` searches, and in every `every`-th generation the `elites` best
    members of its population, a number or a share of it, are refined by `updates` steps of `refine`.

    If refinement lowers the loss, the refined genome returns to the population (Lamarckian) or its loss alone
    (Baldwinian; Hinton & Nowlan 1987, Whitley et al. 1994). `evolve` is any trainer that evaluates populations,
    `refine` is any trainer at all. The cost of a generation includes its refinement.
    """

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"evolve": TRAINERS, "refine": TRAINERS}

    evolve: PopulationPart = field(default_factory=lambda: TRAINERS["cma_es"]())
    refine: TrainerPart = field(default_factory=lambda: TRAINERS["adam"]())
    every: Annotated[int, Ge(1)] = 1  # generations
    elites: Annotated[int, Ge(1)] | Annotated[float, Gt(0), Lt(1)] = 2  # members, or a share of the population
    updates: Annotated[int, Ge(1)] = 5
    lamarckian: bool = True

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return {"step": 0, "evolve": self.evolve.start(oracle, streams.child("evolve")), "improved": 0.0}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        k = state["step"]
        refined = (k + 1) % self.every == 0
        used = RefiningOracle(oracle, self, k // self.every, streams) if refined else oracle
        evolve = self.evolve.step(state["evolve"], used, streams.child("evolve"))
        improved = used.improved if isinstance(used, RefiningOracle) else state["improved"]
        return {"step": k + 1, "evolve": evolve, "improved": improved}

    def num_elites(self, population: int) -> int:
        """How many members of a population are refined; at least one."""
        return self.elites if isinstance(self.elites, int) else ceil(self.elites * population)

    def best(self, state: State) -> Genome:
        return self.evolve.best(state["evolve"])

    def candidates(self, state: State) -> Genomes:
        return self.evolve.candidates(state["evolve"])

    def statistics(self, state: State) -> dict[str, float]:
        """Those of `evolve`, and improved: the share of the elites whose loss the last refinement lowered."""
        return {**self.evolve.statistics(state["evolve"]), "improved": state["improved"]}


class RefiningOracle(OracleWrapper):
    """The oracle of `evolve` in the `round`-th refined generation: it returns populations with refined elites."""

    def __init__(self, real: Oracle, memetic: Memetic, round: int, streams: Streams) -> None:
        super().__init__(real)
        self.memetic, self.round, self.streams = memetic, round, streams.child(f"refine/{round}")
        self.improved = 0.0

    def answer(self, query: Query) -> Answer:
        answer = self.real.answer(query)
        return self._refine_elites(answer, query.batch) if query.kind is Kind.POPULATION else answer

    def _refine_elites(self, answer: Answer, batch: Batch | None) -> Answer:
        """The answer with its elites refined, where that lowered their losses."""
        elites = elite_indices(answer.losses, self.memetic.num_elites(len(answer.losses)))
        if not len(elites):
            return answer
        refined = self._refine(answer.genomes[elites])[: len(elites)]
        losses, rows = self.real.losses(refined, batch), elites[: len(refined)]
        better = losses < answer.losses[rows]  # False where the new loss is NaN
        self.improved = float(better.sum() / len(elites))
        return self._write_back(answer, rows[better], refined[better], losses[better])

    def _refine(self, elites: Genomes) -> Genomes:
        refine, updates = self.memetic.refine, self.memetic.updates
        local = EliteOracle(self.real, elites, self.round * updates)
        state = refine.start(local, self.streams)
        for _ in range(updates):
            state = refine.step(state, local, self.streams)
        return refine.candidates(state)

    def _write_back(self, answer: Answer, rows: NDArray[np.intp], refined: Genomes, after: Losses) -> Answer:
        genomes, losses = answer.genomes.copy(), answer.losses.copy()
        losses[rows] = after
        if self.memetic.lamarckian:
            genomes[rows] = refined
        return Answer(losses, genomes=genomes)


def elite_indices(losses: Losses, count: int) -> NDArray[np.intp]:
    """Rows of the members with the lowest finite losses [P], best first; at most `count`."""
    order = np.argsort(losses, kind="stable")
    return order[np.isfinite(losses[order])][:count]
