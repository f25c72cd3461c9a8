"""Policy gradients with parameter-based exploration: mirrored pairs around a mean."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, MultipleOf

from evornn.settings import settings
from evornn.trainers.core.ranks import centred_ranks
from evornn.trainers.core.search import (
    LARGEST,
    SMALLEST,
    Generation,
    SearchTrainer,
    mirrored_normal,
    points_around,
    recover_steps,
)
from evornn.trainers.core.trainer import State


@settings
class PGPE(SearchTrainer):
    """PGPE with symmetric sampling (Sehnke et al. 2010, "Parameter-exploring policy gradients"), in
    coordinates in which the initial distribution is N(0, 1).

    One departure: centred ranks, scaled to variance 1, replace rewards minus a baseline, so that the learning rates
    don't depend on the loss.
    """

    population: Annotated[int, Ge(2), MultipleOf(2)] = 32  # half of it are mirror images
    sigma: Annotated[float, Gt(0)] = 1.0  # initial, in standard deviations of the initial distribution
    learning_rate: Annotated[float, Gt(0)] = 0.5  # of the mean, times σ²
    sigma_learning_rate: Annotated[float, Gt(0)] = 0.1  # of the standard deviations, times σ²

    def begin(self, n: int) -> State:
        return {"mean": np.zeros(n), "sigma": np.full(n, self.sigma)}

    def next_generation(self, search: State, generation: Generation) -> State:
        mean, sigma = search["mean"], search["sigma"]
        s = mirrored_normal(self.population, len(mean), generation.rng)
        proposals = points_around(mean, sigma, s)
        points, losses = generation.evaluate(proposals)
        s, u = recover_steps(points, proposals, s, mean, sigma), centred_ranks(losses)
        u = (u / max(float(u.std()), 1e-30) / len(u)).astype(np.float32)
        towards = np.clip(u @ (np.square(s) - 1), -1, 1)
        changed = sigma * np.exp(self.sigma_learning_rate * towards)  # for small steps σ + α ∇σ, but never negative
        mean = mean + self.learning_rate * sigma * (u @ s)
        return {"mean": mean, "sigma": np.clip(changed, SMALLEST, LARGEST)}

    def statistics(self, state: State) -> dict[str, float]:
        """sigma: the mean of the standard deviations, in units of the initial distribution's."""
        return {"sigma": float(state["search"]["sigma"].mean())}
