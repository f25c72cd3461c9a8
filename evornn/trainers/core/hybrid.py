"""What hybrids share: parts given as fragments of a spec, and oracles between a part and the real oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from evornn.arrays import Batch, Genome, Genomes
from evornn.catalog import Catalog
from evornn.trainers import TRAINERS
from evornn.trainers.core.gradient import GradientTrainer
from evornn.trainers.core.query import Answer, Kind, Query
from evornn.trainers.core.trainer import Oracle, Trainer


def _build_trainer(value: Any, info: ValidationInfo) -> Any:
    return TRAINERS.build(value, info.field_name) if isinstance(value, Mapping) else value


def _check_population(trainer: Trainer) -> Trainer:
    if isinstance(trainer, GradientTrainer):
        kind = TRAINERS.name_of(trainer)
        raise ValueError(f"{kind} has no population; use it to refine, and cma_es, snes or genetic_algorithm to evolve")
    return trainer


def _check_gradient_trainer(trainer: Trainer) -> Trainer:
    if not isinstance(trainer, GradientTrainer):
        raise ValueError(f"{TRAINERS.name_of(trainer)} follows no gradient; use sgd, rmsprop, adam, adamw or lbfgs")
    return trainer


TrainerPart = Annotated[Trainer, BeforeValidator(_build_trainer)]
PopulationPart = Annotated[TrainerPart, AfterValidator(_check_population)]
GradientPart = Annotated[TrainerPart, AfterValidator(_check_gradient_trainer)]


class HybridTrainer(Trainer):
    """A trainer that holds trainers: the settings named in `parts`.

    Their states are entries of its own state, their random numbers come from `streams.child(NAME)`, and an
    `OracleWrapper` changes what a part sees.
    """

    parts: ClassVar[Mapping[str, Catalog[Trainer]]]  # setting → catalog that its fragments are built from
    family: ClassVar[str] = "hybrid"
    needs_gradient: ClassVar[bool] = True  # an instance: whether one of its parts does

    def __post_init__(self) -> None:
        held = [getattr(self, name) for name in self.parts]
        object.__setattr__(self, "needs_gradient", any(part.needs_gradient for part in held))
        object.__setattr__(self, "solves_readout", any(part.solves_readout for part in (type(self), *held)))

    def check(self, parameters: int, sequences: int) -> None:
        for name in self.parts:
            getattr(self, name).check(parameters, sequences)


class OracleWrapper(Oracle):
    """An oracle that forwards everything to the real one, which counts the cost.

    To write one, override `answer` and change the query on its way in or the answer on its way out, as
    `InjectingOracle` below does; override `sample`, `centre` and `scale` to start a part elsewhere.
    """

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

    @property
    def num_recurrent(self) -> int:
        return self.real.num_recurrent

    @property
    def elapsed(self) -> float:
        return self.real.elapsed

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        return self.real.sample(count, rng)

    def batch(self, k: int, size: int | None) -> Batch | None:
        return self.real.batch(k, size)

    def answer(self, query: Query) -> Answer:
        return self.real.answer(query)


class InjectingOracle(OracleWrapper):
    """Injects a genome [n] into a part: it replaces the last member of every population that the part evaluates."""

    def __init__(self, real: Oracle, injected: Genome) -> None:
        super().__init__(real)
        self.injected = injected

    def answer(self, query: Query) -> Answer:
        if query.kind is not Kind.POPULATION:
            return self.real.answer(query)
        genomes = query.genomes.copy()
        genomes[-1] = self.injected
        return self.real.answer(replace(query, genomes=genomes))


class EliteOracle(OracleWrapper):
    """Starts a part from elites [m, n], best first: they are the sample, whatever its count, and the first is the
    centre.

    The part's mini-batches continue the data's order after the first `batches`.
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


class NearOracle(EliteOracle):
    """Starts a part around a genome [n]: the initial distribution, moved there and `std_scale` times as wide."""

    def __init__(self, real: Oracle, genome: Genome, std_scale: float, batches: int) -> None:
        super().__init__(real, genome[None], batches)
        self.std_scale = std_scale

    @property
    def scale(self) -> Genome:
        return self.real.scale * np.float32(self.std_scale)

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """[count, n] the genome itself, and others around it."""
        near = self.centre + np.float32(self.std_scale) * (self.real.sample(count, rng) - self.real.centre)
        return np.concatenate([self.elites, near[1:]])
