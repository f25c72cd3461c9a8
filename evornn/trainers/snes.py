"""Separable natural evolution strategy."""

from __future__ import annotations

from math import log, sqrt
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from evornn.kernels.normal import standard_normal
from evornn.settings import settings
from evornn.trainers.core.ranks import utilities
from evornn.trainers.core.search import LARGEST, SMALLEST, Generation, SearchTrainer, points_around, recover_steps
from evornn.trainers.core.trainer import State


@settings
class SNES(SearchTrainer):
    """SNES (Schaul, Glasmachers & Schmidhuber 2011, "High dimensions and heavy tails for natural evolution
    strategies"; Wierstra et al. 2014, algorithm 6), in coordinates in which the initial distribution is N(0, 1).

    One departure: `sigma_change` limits the change of a standard deviation per generation. Sampled populations hardly
    ever reach the limit; without it, a genome that a hybrid moved by many standard deviations would make sigma explode.
    """

    population: Annotated[int, Ge(2)] = 32
    sigma: Annotated[float, Gt(0)] = 1.0  # initial, in standard deviations of the initial distribution
    learning_rate: Annotated[float, Gt(0)] = 1.0  # of the mean
    sigma_learning_rate: Annotated[float, Gt(0)] = 1.0  # of the standard deviations, times (3 + ln n) / (5 √n)
    sigma_change: Annotated[float, Gt(0)] | None = 0.5  # largest relative change per generation; None: as in the paper

    def begin(self, n: int) -> State:
        return {"mean": np.zeros(n), "sigma": np.full(n, self.sigma)}

    def next_generation(self, search: State, generation: Generation) -> State:
        mean, sigma = search["mean"], search["sigma"]
        n = len(mean)
        s = standard_normal(generation.rng, self.population, n)
        proposals = points_around(mean, sigma, s)
        points, losses = generation.evaluate(proposals)
        s, u = recover_steps(points, proposals, s, mean, sigma), utilities(losses).astype(np.float32)
        # Natural gradient: Σ u s for the mean, Σ u (s² − 1) for the logarithm of sigma.
        rate = self.sigma_learning_rate * (3 + log(n)) / (5 * sqrt(n))
        factor = np.exp(rate / 2 * (u @ np.square(s)))  # the utilities sum to 0, so that − 1 drops out
        if self.sigma_change is not None:
            factor = np.clip(factor, 1 - self.sigma_change, 1 + self.sigma_change)
        changed = np.clip(sigma * factor, SMALLEST, LARGEST)
        return {"mean": mean + self.learning_rate * sigma * (u @ s), "sigma": changed}

    def statistics(self, state: State) -> dict[str, float]:
        """sigma: the mean of the standard deviations, in units of the initial distribution's."""
        return {"sigma": float(state["search"]["sigma"].mean())}
