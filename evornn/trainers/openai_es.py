"""OpenAI's evolution strategy: a gradient estimated from mirrored pairs, for Adam."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, MultipleOf

from evornn.settings import settings
from evornn.trainers.adam import adam
from evornn.trainers.core.ranks import centred_ranks
from evornn.trainers.core.search import Generation, SearchTrainer, mirrored_normal, points_around, recover_steps
from evornn.trainers.core.trainer import State


@settings
class OpenAIES(SearchTrainer):
    """The evolution strategy of Salimans et al. 2017 ("Evolution strategies as a scalable alternative to reinforcement
    learning", algorithm 1) with its mirrored sampling, centred ranks, weight decay and Adam (β 0.9 and 0.999), in
    coordinates in which the initial distribution is N(0, 1). The sampling's standard deviation is constant.
    """

    population: Annotated[int, Ge(2), MultipleOf(2)] = 64  # half of it are mirror images
    sigma: Annotated[float, Gt(0)] = 0.1  # of the sampling, in standard deviations of the initial distribution
    learning_rate: Annotated[float, Gt(0)] = 0.05  # Adam's, in the same unit
    weight_decay: Annotated[float, Ge(0)] = 0.005  # of the mean, towards that of the initial distribution

    def begin(self, n: int) -> State:
        return {"mean": np.zeros(n), "m": np.zeros(n, np.float32), "v": np.zeros(n, np.float32), "updates": 0}

    def next_generation(self, search: State, generation: Generation) -> State:
        mean, k = search["mean"], search["updates"] + 1
        s = mirrored_normal(self.population, len(mean), generation.rng)
        proposals = points_around(mean, self.sigma, s)
        points, losses = generation.evaluate(proposals)
        s = recover_steps(points, proposals, s, mean, self.sigma)
        # The estimated gradient of the loss, whose ranks stand for it: u is largest for the best.
        u = (centred_ranks(losses) / len(losses)).astype(np.float32)
        gradient = self.weight_decay * mean - u @ s / self.sigma
        delta, m, v = adam(gradient.astype(np.float32), search["m"], search["v"], k, self.learning_rate)
        return {"mean": mean + delta, "m": m, "v": v, "updates": k}
