"""Evolution and learning together: a trainer that holds two trainers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from evornn.arrays import Batch, Genome, Genomes, Losses, Streams
from evornn.catalog import Catalog
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.gradient import GradientTrainer
from evornn.trainers.trainer import Oracle, State, Trainer


def _built(value: Any, info: ValidationInfo) -> Any:
    return TRAINERS.build(value, info.field_name) if isinstance(value, Mapping) else value


def _has_population(trainer: Trainer) -> Trainer:
    if isinstance(trainer, GradientTrainer):
        kind = TRAINERS.name_of(trainer)
        raise ValueError(f"{kind} has no population; use it to refine, and cma_es, snes or genetic_algorithm to evolve")
    return trainer


Part = Annotated[Trainer, BeforeValidator(_built)]


@settings
class Memetic(Trainer):
    """A memetic algorithm (Moscato 1989): `evolve` searches, and in every `every`-th generation the `elites` best
    members of its population are refined by `updates` steps of `refine`.

    Where refinement lowered the loss, the refined genome goes back into the population (Lamarckian) or its loss alone
    (Baldwinian; Hinton & Nowlan 1987, Whitley et al. 1994). `evolve` is any trainer that evaluates populations,
    `refine` any trainer at all. A generation's cost includes all that its refinement asked.
    """

    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"evolve": TRAINERS, "refine": TRAINERS}
    family: ClassVar[str] = "hybrid"
    needs_gradient: ClassVar[bool] = True  # of an instance: whether a part does

    evolve: Annotated[Part, AfterValidator(_has_population)] = field(default_factory=lambda: TRAINERS["cma_es"]())
    refine: Part = field(default_factory=lambda: TRAINERS["adam"]())
    every: Annotated[int, Ge(1)] = 1  # generations
    elites: Annotated[int, Ge(1)] = 2
    updates: Annotated[int, Ge(1)] = 5
    lamarckian: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "needs_gradient", self.evolve.needs_gradient or self.refine.needs_gradient)

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return {"step": 0, "evolve": self.evolve.start(oracle, streams.child("evolve")), "improved": 0.0}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        k = state["step"]
        refined = (k + 1) % self.every == 0
        used = RefiningOracle(oracle, self, k // self.every, streams) if refined else oracle
        evolve = self.evolve.step(state["evolve"], used, streams.child("evolve"))
        improved = used.improved if isinstance(used, RefiningOracle) else state["improved"]
        return {"step": k + 1, "evolve": evolve, "improved": improved}

    def best(self, state: State) -> Genome:
        return self.evolve.best(state["evolve"])

    def candidates(self, state: State) -> Genomes:
        return self.evolve.candidates(state["evolve"])

    def statistics(self, state: State) -> dict[str, float]:
        """Those of `evolve`, and improved: the share of the elites whose loss the last refinement lowered."""
        return {**self.evolve.statistics(state["evolve"]), "improved": state["improved"]}

    def check(self, parameters: int, sequences: int) -> None:
        self.evolve.check(parameters, sequences)
        self.refine.check(parameters, sequences)


class Passed:
    """An oracle that passes everything on to the real one, which counts the cost."""

    def __init__(self, real: Oracle) -> None:
        self.real = real

    @property
    def n(self) -> int:
        return self.real.n

    @property
    def centre(self) -> Genome:
        return self.real.centre

    @property
    def scale(self) -> Genome:
        return self.real.scale

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        return self.real.sample(count, rng)

    def batch(self, k: int, size: int | None) -> Batch | None:
        return self.real.batch(k, size)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> Losses:
        return self.real.losses(genomes, batch)

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        return self.real.evaluate(genomes, batch)

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes]:
        return self.real.gradients(genomes, batch)


class RefiningOracle(Passed):
    """What `evolve` sees in the `round`-th refined generation: populations come back with their elites refined."""

    def __init__(self, real: Oracle, memetic: Memetic, round: int, streams: Streams) -> None:
        super().__init__(real)
        self.memetic, self.round, self.streams = memetic, round, streams.child(f"refine/{round}")
        self.improved = 0.0

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        genomes, losses = self.real.evaluate(genomes, batch)
        elites = lowest(losses, self.memetic.elites)
        if not len(elites):
            return genomes, losses
        refined = self._refined(genomes[elites])[: len(elites)]
        after = self.real.losses(refined, batch)
        better = after < losses[elites[: len(refined)]]  # False where the loss after is NaN
        self.improved = float(better.sum() / len(elites))
        return self._written(genomes, losses, elites[: len(refined)][better], refined[better], after[better])

    def _refined(self, elites: Genomes) -> Genomes:
        refine, updates = self.memetic.refine, self.memetic.updates
        local = LocalOracle(self.real, elites, self.round * updates)
        state = refine.start(local, self.streams)
        for _ in range(updates):
            state = refine.step(state, local, self.streams)
        return refine.candidates(state)

    def _written(
        self, genomes: Genomes, losses: Losses, rows: NDArray[np.intp], refined: Genomes, after: Losses
    ) -> tuple[Genomes, Losses]:
        genomes, losses = genomes.copy(), losses.copy()
        losses[rows] = after
        if self.memetic.lamarckian:
            genomes[rows] = refined
        return genomes, losses


class LocalOracle(Passed):
    """What `refine` sees: samples are the elites [m, n], best first, whatever the count; the centre is the first.

    Its mini-batches go on in the data's order where the last refinement stopped.
    """

    def __init__(self, real: Oracle, elites: Genomes, batches: int) -> None:
        super().__init__(real)
        self.elites, self.batches = elites, batches

    @property
    def centre(self) -> Genome:
        best: Genome = self.elites[0]
        return best

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        return self.elites.copy()

    def batch(self, k: int, size: int | None) -> Batch | None:
        return self.real.batch(self.batches + k, size)


def lowest(losses: Losses, count: int) -> NDArray[np.intp]:
    """The members with the lowest finite losses, best first; at most `count`."""
    order = np.argsort(losses, kind="stable")
    return order[np.isfinite(losses[order])][:count]
