"""What searches share: a generation is a function of plain arrays in normalised coordinates."""

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
    """What a search may use in one generation: random numbers, its place in the budget, and evaluations."""

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
        """Whether losses of earlier generations are still valid: not if each generation has its own mini-batch."""
        return self.batch is None

    def evaluate(self, points: Points) -> tuple[Points, NDArray[np.float64]]:
        """Evaluate points [P, n].

        Returns the points [P, n] to continue with, of which a hybrid's oracle may have changed some, and their losses
        [P], all finite: NaN and infinities are replaced by the worst number. Without a change the points are the very
        array that was passed.
        """
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
        """Evaluate points together with their parents, which are evaluated again only if losses are not comparable.

        Args:
            parents: [E, n].
            parent_losses: [E] from an earlier generation.
            points: [P, n].

        Returns:
            [E + P, n] the parents followed by the points, and all their losses [E + P].
        """
        if not self.is_comparable:
            return self.evaluate(np.concatenate([parents, points]))
        points, losses = self.evaluate(points)
        return np.concatenate([parents, points]), np.concatenate([parent_losses, losses])

    def results(self) -> tuple[Genomes, Losses]:
        """All genomes that were evaluated, as the oracle returned them, and their losses."""
        if len(self.evaluations) == 1:
            return self.evaluations[0]
        genomes, losses = (np.concatenate(parts) for parts in zip(*self.evaluations, strict=True))
        return genomes, losses

    def sample(self, count: int) -> Points:
        """[count, n] points of the architecture's initial distribution.

        A hybrid's oracle may return another number of genomes; they are repeated or cut to the count.
        """
        genomes = self.oracle.sample(count, self.rng)
        return self.coordinates.z(genomes[np.resize(np.arange(len(genomes)), count)])


@settings
class SearchTrainer(PopulationTrainer):
    """A search in coordinates in which the initial distribution is N(0, 1).

    To write one, implement `begin` and `next_generation`; the class takes care of the best genome, mini-batches,
    bounds, random numbers and checkpoints.

    >>> import numpy as np
    >>> from evornn import Network, train
    >>> from evornn.settings import settings
    >>> from evornn.trainers.core.search import SearchTrainer
    >>> @settings
    ... class HillClimbing(SearchTrainer):
    ...     population: int = 8
    ...     sigma: float = 0.1  # in standard deviations of the initial distribution
    ...
    ...     def begin(self, n):
    ...         return {"centre": np.zeros(n)}
    ...
    ...     def next_generation(self, search, generation):
    ...         steps = generation.rng.standard_normal((self.population, len(search["centre"])))
    ...         points, losses = generation.evaluate(search["centre"] + self.sigma * steps)
    ...         return {"centre": points[losses.argmin()]}
    >>> network = Network("elman", inputs=1, units=4, outputs=1)
    >>> train(network, "sunspots", HillClimbing(sigma=0.2), budget=200_000).result.stopped_by
    'budget'
    """

    batch: Annotated[int, Ge(1)] | None = None  # sequences per evaluation, None for all
    bounds: Annotated[Bounds | None, AfterValidator(check_bounds)] = None  # of every parameter; None: no bounds

    @abstractmethod
    def begin(self, n: int) -> State:
        """The search before its first generation, for n parameters: plain arrays, numbers and strings by name."""

    @abstractmethod
    def next_generation(self, search: State, generation: Generation) -> State:
        """The search after one more generation; the old one and its arrays must stay unchanged."""

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
    """[P, 1] factors of steps [P, n] that were injected, in units of the search's distribution.

    They make a step no longer than √n + 2 n / (n + 2), about the largest length of the distribution's own steps
    (Hansen 2011, "Injecting external solutions into CMA-ES").
    """
    n = normal.shape[1]
    factors = np.minimum(1, (sqrt(n) + 2 * n / (n + 2)) / np.linalg.norm(normal, axis=1))
    return np.asarray(factors[:, None], normal.dtype)


def points_around(mean: NDArray[np.float64], sigma: float | NDArray[np.float64], steps: Points) -> Points:
    """The points mean + sigma · steps, in the precision of the steps.

    Args:
        mean: [n].
        sigma: A number, or [n].
        steps: [P, n].

    Returns:
        [P, n].
    """
    points: Points = np.asarray(sigma, steps.dtype) * steps
    points += mean.astype(steps.dtype, copy=False)
    return points


def recover_steps(
    points: Points, proposals: Points, steps: Points, mean: NDArray[np.float64], sigma: float | NDArray[np.float64]
) -> Points:
    """The steps that lead to the points an oracle returned.

    Only rows that a hybrid's oracle changed are computed from the points, in which small steps are rounded off.

    Args:
        points: [P, n] as the oracle returned them.
        proposals: [P, n] as they were evaluated.
        steps: [P, n] that led to the proposals, in units of sigma.
        mean: [n].
        sigma: A number, or [n].

    Returns:
        [P, n] steps in units of sigma.
    """
    if points is proposals:
        return steps
    rows = (points != proposals).any(axis=1)
    recovered = steps.astype(np.float64)
    recovered[rows] = (points[rows] - mean) / sigma
    return recovered


def mirrored_normal(count: int, n: int, rng: np.random.Generator) -> Floats:
    """Draw standard normal steps in mirrored pairs.

    Args:
        count: P, even.
        n: Number of parameters.
        rng: Source of the draws.

    Returns:
        [P, n], whose second half is the first half negated.
    """
    half = standard_normal(rng, count // 2, n)
    return np.concatenate([half, -half])
