"""What our own population trainers share: a generation is a function of plain arrays, in normalised coordinates."""

from __future__ import annotations

from abc import abstractmethod
from math import sqrt
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import AfterValidator

from evornn.arrays import Batch, Floats, Genomes, Losses, Streams
from evornn.kernels.normal import standard_normal
from evornn.settings import settings
from evornn.trainers.core.algebra import SingleThreadedBlas
from evornn.trainers.core.coordinates import Bounds, Coordinates, Points, check_bounds
from evornn.trainers.core.memory import keep_freed_memory
from evornn.trainers.core.population import PopulationTrainer, changed_rows, replace_non_finite
from evornn.trainers.core.trainer import Oracle, State

SMALLEST, LARGEST = 1e-12, 1e12  # standard deviations, in units of the initial one, that a distribution may have


class Generation:
    """One generation: its random numbers, its place in the budget, and the oracle that it may ask."""

    def __init__(
        self,
        oracle: Oracle,
        coordinates: Coordinates,
        batch: Batch | None,
        rng: np.random.Generator,
        blas: SingleThreadedBlas,
    ) -> None:
        self.oracle, self.coordinates, self.batch = oracle, coordinates, batch
        self.rng, self.blas = rng, blas
        self.elapsed = oracle.elapsed  # share of the budget spent before this generation
        self.evaluations: list[tuple[Genomes, Losses]] = []

    @property
    def is_comparable(self) -> bool:
        """Whether losses of earlier generations still hold: they do unless each has a mini-batch of its own."""
        return self.batch is None

    def evaluate(self, points: Points) -> tuple[Points, NDArray[np.float64]]:
        """The points [P, n] to go on with, of which a hybrid's oracle may have changed some, and their losses [P], all
        finite: what was not counts as the worst."""
        genomes = self.coordinates.genomes(points)
        new_genomes, losses = self.blas.call_outside(self.oracle.evaluate, genomes, self.batch)
        self.evaluations.append((new_genomes, losses))
        rows = changed_rows(genomes, new_genomes)
        if len(rows):
            points = points.copy()
            points[rows] = self.coordinates.z(new_genomes[rows])
        return points, replace_non_finite(losses)

    def evaluate_with_parents(
        self, parents: Points, parent_losses: NDArray[np.float64], points: Points
    ) -> tuple[Points, NDArray[np.float64]]:
        """[E + P, n] the elders [E, n] and the points [P, n] behind them, and all their losses: the known ones [E] of
        the elders, unless they have to be judged again together with the points."""
        if not self.is_comparable:
            return self.evaluate(np.concatenate([parents, points]))
        points, losses = self.evaluate(points)
        return np.concatenate([parents, points]), np.concatenate([parent_losses, losses])

    def results(self) -> tuple[Genomes, Losses]:
        """All genomes that were asked, as the oracle gave them back, and their losses."""
        if len(self.evaluations) == 1:
            return self.evaluations[0]
        genomes, losses = (np.concatenate(parts) for parts in zip(*self.evaluations, strict=True))
        return genomes, losses

    def sample(self, count: int) -> Points:
        """[count, n] points of the architecture's initial distribution; a hybrid's oracle has its own idea of how many
        genomes there are, which are repeated or cut to the count."""
        genomes = self.oracle.sample(count, self.rng)
        return self.coordinates.z(genomes[np.resize(np.arange(len(genomes)), count)])


@settings
class SearchTrainer(PopulationTrainer):
    """A search in coordinates in which the initial distribution is N(0, 1). Its state is plain arrays."""

    batch: Annotated[int, Ge(1)] | None = None  # sequences per evaluation, None for all
    bounds: Annotated[Bounds | None, AfterValidator(check_bounds)] = None  # of every parameter; None: no bounds

    @abstractmethod
    def begin(self, n: int) -> State:
        """The search before its first generation, for n parameters."""

    @abstractmethod
    def next_generation(self, search: State, generation: Generation) -> State:
        """The search after one more generation. It leaves the arrays of the old one as they are."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return {"step": 0, **self.initial_best(oracle), "search": self.begin(oracle.n)}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        keep_freed_memory()
        k = state["step"]
        batch = oracle.batch(k, self.batch)
        coordinates = Coordinates.of(oracle, self.bounds)
        with SingleThreadedBlas() as blas:
            generation = Generation(oracle, coordinates, batch, streams.at(k), blas)
            search = self.next_generation(state["search"], generation)
        genomes, losses = generation.results()
        return {"step": k + 1, **self.update_best(state, genomes, losses, batch), "search": search}


def shrink_factors(normal: NDArray[Any]) -> NDArray[Any]:
    """[P, 1] factors that make steps, [P, n] in units of a distribution that they don't come from, no longer than those
    that do usually are (Hansen 2011, "Injecting external solutions into CMA-ES")."""
    n = normal.shape[1]
    factors = np.minimum(1, (sqrt(n) + 2 * n / (n + 2)) / np.linalg.norm(normal, axis=1))
    return np.asarray(factors[:, None], normal.dtype)


def points_around(mean: NDArray[np.float64], sigma: float | NDArray[np.float64], steps: Points) -> Points:
    """[P, n] mean [n] + sigma · steps [P, n], in the precision of the steps."""
    points: Points = np.asarray(sigma, steps.dtype) * steps
    points += mean.astype(steps.dtype, copy=False)
    return points


def recover_steps(
    points: Points, proposals: Points, steps: Points, mean: NDArray[np.float64], sigma: float | NDArray[np.float64]
) -> Points:
    """[P, n] the steps, in units of sigma, that lead to the points: those that were asked about, but in rows that a
    hybrid's oracle changed. Only those are worked out from the points, in which a small step is rounded off."""
    if points is proposals:
        return steps
    rows = (points != proposals).any(axis=1)
    recovered = steps.astype(np.float64)
    recovered[rows] = (points[rows] - mean) / sigma
    return recovered


def mirrored_normal(count: int, n: int, rng: np.random.Generator) -> Floats:
    """[count, n] standard normal points, the second half of which are the first half's mirror images."""
    half = standard_normal(rng, count // 2, n)
    return np.concatenate([half, -half])
