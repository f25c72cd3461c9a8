"""Evolution of recurrent networks with optimal linear output: the search covers the recurrent part alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from pydantic import AfterValidator

from evornn.arrays import Batch, Genome, Genomes, Streams
from evornn.catalog import Catalog
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import HybridTrainer, OracleWrapper, PopulationPart
from evornn.trainers.core.query import Answer, Kind, Query
from evornn.trainers.core.trainer import Oracle, State, Trainer


def _check_leaves_readouts(trainer: Trainer) -> Trainer:
    if trainer.solves_readout:
        raise ValueError(f"{TRAINERS.name_of(trainer)} solves read-outs itself; use a trainer that does not")
    return trainer


@settings
class Evolino(HybridTrainer):
    """Evolino (Schmidhuber, Wierstra, Gagliolo & Gomez 2007, "Training recurrent networks by Evolino"): `evolve`
    searches the weights of the recurrent part alone; before a genome is evaluated, its linear read-out is solved by
    ridge regression.

    The paper searches LSTMs by enforced subpopulations; here `evolve` is any trainer that evaluates populations, and
    the network any with a linear read-out. If `evolve` uses a gradient, it is that of the recurrent part with a fixed
    read-out. A genome costs two passes, one to solve its read-out and one to evaluate it. The loss must be mse. A
    network that feeds its outputs back gets the targets instead while its read-out is solved.
    """

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"evolve": TRAINERS}
    solves_readout = True

    evolve: Annotated[PopulationPart, AfterValidator(_check_leaves_readouts)] = field(
        default_factory=lambda: TRAINERS["cma_es"]()
    )
    ridge: Annotated[float, Ge(0)] = 1e-6  # λ of mean squared error + λ·‖weights of the read-out‖²

    def start(self, oracle: Oracle, streams: Streams) -> State:
        if not oracle.num_recurrent:
            raise EvornnError(
                "evolino: the network has no parameters but its read-out: use ridge, or set echo_state's evolved"
            )
        evolve = self.evolve.start(RecurrentOracle(oracle, self.ridge), streams.child("evolve"))
        return {"step": 0, "evolve": evolve, "best": oracle.centre}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        seen = RecurrentOracle(oracle, self.ridge)
        evolve = self.evolve.step(state["evolve"], seen, streams.child("evolve"))
        best = seen.full_genome(self.evolve.best(evolve), state["best"])
        return {"step": state["step"] + 1, "evolve": evolve, "best": best}

    def best(self, state: State) -> Genome:
        best: Genome = state["best"]
        return best

    def statistics(self, state: State) -> dict[str, float]:
        """Those of `evolve`."""
        return self.evolve.statistics(state["evolve"])


class RecurrentOracle(OracleWrapper):
    """The oracle of `evolve`: a genome is a recurrent part [r], evaluated together with its solved read-out."""

    def __init__(self, real: Oracle, ridge: float) -> None:
        super().__init__(real)
        self.ridge, self.history = ridge, list[Genomes]()  # full genomes [P, n] of this step, in order

    @property
    def n(self) -> int:
        return self.real.num_recurrent

    @property
    def centre(self) -> Genome:
        return self.real.centre[: self.n]

    @property
    def scale(self) -> Genome:
        return self.real.scale[: self.n]

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        return self.real.sample(count, rng)[:, : self.n]

    def answer(self, query: Query) -> Answer:
        answer = self.real.answer(replace(query, genomes=self._solve(query.genomes, query.batch)))
        if query.kind is Kind.POPULATION:
            self.history.append(answer.genomes)
        return replace(answer, gradients=self._recurrent(answer.gradients), genomes=self._recurrent(answer.genomes))

    def _recurrent(self, values: Genomes) -> Genomes:
        return values[:, : self.n].copy() if len(values) else values

    def full_genome(self, genome: Genome, known: Genome) -> Genome:
        """[n] a recurrent part [r] with its read-out: as last evaluated, else as in `known` [n], else solved now."""
        for genomes in (*self.history[::-1], known[None]):
            same = genomes[(genomes[:, : self.n] == genome).all(axis=1)]
            if len(same):
                return np.array(same[0])
        return np.array(self._solve(genome[None], None)[0])

    def _solve(self, genomes: Genomes, batch: Batch | None) -> Genomes:
        readouts = np.broadcast_to(self.real.centre[self.n :], (len(genomes), self.real.n - self.n))
        solved = self.real.readouts(np.concatenate([genomes, readouts], axis=1), self.ridge, batch)
        self.history.append(solved)
        return solved
