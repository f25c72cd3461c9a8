"""Separable natural evolution strategy, by the library EvoTorch."""

from __future__ import annotations

from typing import Annotated, cast

import torch
from annotated_types import Ge, Gt
from evotorch import algorithms

from evornn.arrays import Streams
from evornn.settings import settings
from evornn.trainers.coordinates import Coordinates
from evornn.trainers.evotorch_search import EvoTorchSearch, Question, isolated
from evornn.trainers.replay import ReplayedTrainer
from evornn.trainers.trainer import Oracle


@settings
class SNES(ReplayedTrainer):
    """SNES (Schaul, Glasmachers & Schmidhuber 2011, "High dimensions and heavy tails for natural evolution
    strategies"), in coordinates in which the initial distribution is N(0, 1).

    One departure: `sigma_change` limits how much a standard deviation may change in a generation. Sampled populations
    hardly ever reach the limit, but a genome that a hybrid moved by many standard deviations would make it explode.
    """

    population: Annotated[int, Ge(2)] = 32
    sigma: Annotated[float, Gt(0)] = 1.0  # initial, in standard deviations of the initial distribution
    learning_rate: Annotated[float, Gt(0)] = 1.0  # of the mean
    sigma_learning_rate: Annotated[float, Gt(0)] = 1.0  # of the standard deviations, times (3 + ln n) / (5 √n)
    sigma_change: Annotated[float, Gt(0)] | None = 0.5  # largest relative change per generation; None: as in the paper
    batch: Annotated[int, Ge(1)] | None = None

    def search(self, oracle: Oracle, streams: Streams) -> SNESSearch:
        with isolated(0):
            question = Question(Coordinates.of(oracle))
            algorithm = algorithms.SNES(
                question,
                popsize=self.population,
                center_init=torch.zeros(oracle.n, dtype=torch.float64),
                stdev_init=self.sigma,
                center_learning_rate=self.learning_rate,
                stdev_learning_rate=self.sigma_learning_rate,
                stdev_max_change=self.sigma_change,
            )
        return SNESSearch(question, algorithm)


class SNESSearch(EvoTorchSearch):
    """sigma is the mean of the standard deviations, in units of the initial distribution's."""

    def statistics(self) -> dict[str, float]:
        return {"sigma": cast(float, self.algorithm.status["stdev"].mean().item())}
