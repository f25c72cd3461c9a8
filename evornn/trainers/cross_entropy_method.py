"""Cross-entropy method: a normal distribution is fitted to the best of its samples."""

from __future__ import annotations

from math import ceil
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from evornn.kernels.normal import standard_normal
from evornn.settings import settings
from evornn.trainers.core.search import LARGEST, SMALLEST, Generation, SearchTrainer, points_around
from evornn.trainers.core.trainer import State


@settings
class CrossEntropyMethod(SearchTrainer):
    """The cross-entropy method (Rubinstein 1999; de Boer et al. 2005, "A tutorial on the cross-entropy method")
    with the decreasing noise of Szita & Lőrincz 2006, without which it converges too early. It works in coordinates in
    which the initial distribution is N(0, 1); the noise falls linearly to 0 at the end of the budget.
    """

    population: Annotated[int, Ge(2)] = 32
    elites: Annotated[float, Gt(0), Le(1)] = 0.25  # share of the population that the distribution is fitted to
    sigma: Annotated[float, Gt(0)] = 1.0  # initial, in standard deviations of the initial distribution
    smoothing: Annotated[float, Gt(0), Le(1)] = 0.7  # weight of the new fit against the old distribution
    noise: Annotated[float, Ge(0)] = 0.1  # initial standard deviation of the added noise

    def begin(self, n: int) -> State:
        return {"mean": np.zeros(n), "sigma": np.full(n, self.sigma)}

    def next_generation(self, search: State, generation: Generation) -> State:
        mean, sigma, new = search["mean"], search["sigma"], self.smoothing
        noise = self.noise * (1 - generation.elapsed)
        wide = np.sqrt(sigma**2 + noise**2)
        points, losses = generation.evaluate(
            points_around(mean, wide, standard_normal(generation.rng, self.population, len(mean)))
        )
        elites = points[np.argsort(losses, kind="stable")[: ceil(self.elites * self.population)]]
        fitted = np.clip(elites.std(axis=0), SMALLEST, LARGEST)
        return {"mean": (1 - new) * mean + new * elites.mean(axis=0), "sigma": (1 - new) * sigma + new * fitted}

    def statistics(self, state: State) -> dict[str, float]:
        """sigma: the mean of the standard deviations, in units of the initial distribution's."""
        return {"sigma": float(state["search"]["sigma"].mean())}
