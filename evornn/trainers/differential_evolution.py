"""Differential evolution: steps are differences between members of the population."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from evornn.settings import settings
from evornn.trainers.core.coordinates import Points
from evornn.trainers.core.search import Generation, SearchTrainer
from evornn.trainers.core.trainer import State


@settings
class DifferentialEvolution(SearchTrainer):
    """DE with binomial crossover (Storn & Price 1997, "Differential evolution: a simple and efficient heuristic for
    global optimization over continuous spaces"): a child replaces its parent if it is not worse.

    `rand` is the paper's DE/rand/1/bin, `best` its DE/best/1/bin, `current_to_best` is DE/current-to-best/1/bin. With
    mini-batches parents are evaluated again together with their children, at twice the cost.
    """

    stored_populations = 2

    population: Annotated[int, Ge(4)] = 32
    strategy: Literal["rand", "best", "current_to_best"] = "rand"
    weight: Annotated[float, Gt(0), Le(2)] = 0.5  # F, of the differences
    crossover: Annotated[float, Ge(0), Le(1)] = 0.9  # CR, the probability of each parameter to come from the mutant

    def begin(self, n: int) -> State:
        return {"points": np.zeros((0, n)), "losses": np.zeros(0)}

    def next_generation(self, search: State, generation: Generation) -> State:
        points, losses = search["points"], search["losses"]
        if not len(points):
            points, losses = generation.evaluate(generation.sample(self.population))
            return {"points": points, "losses": losses}
        mutants, rng = self._mutants(points, losses, generation.rng), generation.rng
        # Binomial crossover: at least one parameter of each child comes from the mutant.
        cross = rng.random(points.shape) < self.crossover
        cross[np.arange(len(points)), rng.integers(points.shape[1], size=len(points))] = True
        both, losses = generation.evaluate_with_parents(points, losses, np.where(cross, mutants, points))
        (parents, children), (old, new) = np.split(both, 2), np.split(losses, 2)
        better = new <= old
        return {"points": np.where(better[:, None], children, parents), "losses": np.where(better, new, old)}

    def _mutants(self, points: Points, losses: NDArray[np.float64], rng: np.random.Generator) -> Points:
        """[P, n] a base point for every member, plus the weighted difference of two others."""
        a, b, c = (points[others] for others in distinct_triples(len(points), rng))
        best: Points = points[np.argmin(losses)]
        base: Points = {"rand": a, "best": best, "current_to_best": points + self.weight * (best - points)}[
            self.strategy
        ]
        mutants: Points = base + self.weight * (b - c)
        return mutants

    def statistics(self, state: State) -> dict[str, float]:
        """diversity: the population's standard deviation in units of the initial one, averaged over parameters."""
        points = state["search"]["points"]
        return {"diversity": float(points.std(axis=0).mean())} if len(points) else {}


def distinct_triples(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """[3, P] three other members for each of `count` members, all different, each choice equally likely."""
    # Distances to the members ahead, 1 … count − 1. The second is drawn from one fewer, the third from two fewer; each
    # skips the distances that were drawn before it.
    ahead = np.stack([rng.integers(1, count - k, size=count) for k in range(3)])
    ahead[1] += ahead[1] >= ahead[0]
    for least in np.sort(ahead[:2], axis=0):
        ahead[2] += ahead[2] >= least
    return (np.arange(count) + ahead) % count
