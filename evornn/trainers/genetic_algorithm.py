"""Genetic algorithm, by the library EvoTorch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from evotorch import algorithms, operators

from evornn.arrays import Genomes, Streams
from evornn.settings import settings
from evornn.trainers.coordinates import Coordinates
from evornn.trainers.evotorch_search import EvoTorchSearch, Question, isolated
from evornn.trainers.replay import ReplayedTrainer
from evornn.trainers.trainer import Oracle


@settings
class GeneticAlgorithm(ReplayedTrainer):
    """Tournaments choose parents, pairs of them cross over, children mutate, and the best of parents and children
    survive (Deb & Beyer 2001 for the simulated binary crossover; Luke 2013, "Essentials of metaheuristics").

    The first generation is a sample of the architecture's initial distribution. With mini-batches, parents are judged
    again together with their children, at twice the cost, since losses on different batches can't be compared.
    """

    population: Annotated[int, Ge(2)] = 32
    tournament: Annotated[int, Ge(1)] = 4  # candidates per choice of a parent
    crossover: Literal["simulated_binary", "one_point", "two_point"] = "simulated_binary"
    spread: Annotated[float, Gt(0)] = 8.0  # Deb's η of simulated binary crossover; the higher, the nearer children stay
    mutation: Annotated[float, Gt(0)] = 0.1  # standard deviation, in those of the initial distribution
    mutation_probability: Annotated[float, Gt(0), Le(1)] = 1.0  # per parameter
    elitist: bool = True  # False: children replace their parents whatever their losses
    batch: Annotated[int, Ge(1)] | None = None

    def search(self, oracle: Oracle, streams: Streams) -> GeneticSearch:
        all_data = oracle.batch(0, self.batch) is None
        with isolated(0):
            question = Question(Coordinates.of(oracle))
            algorithm = algorithms.GeneticAlgorithm(
                question,
                popsize=self.population,
                operators=[self._crossover(question), self._mutation(question)],
                elitist=self.elitist,
                **({"re_evaluate": False} if all_data else {"re_evaluate_parents_first": False}),
            )
        first = oracle.sample(self.population, streams.child("start").at(0))
        return GeneticSearch(question, algorithm, first)

    def _crossover(self, question: Question) -> Any:
        if self.crossover == "simulated_binary":
            return operators.SimulatedBinaryCrossOver(question, tournament_size=self.tournament, eta=self.spread)
        kinds = {"one_point": operators.OnePointCrossOver, "two_point": operators.TwoPointCrossOver}
        return kinds[self.crossover](question, tournament_size=self.tournament)

    def _mutation(self, question: Question) -> Any:
        chance = self.mutation_probability
        return operators.GaussianMutation(question, stdev=self.mutation, mutation_probability=chance)


class GeneticSearch(EvoTorchSearch):
    """The first generation [P, n] is evaluated alone, each later one breeds and evaluates children."""

    def __init__(self, question: Question, algorithm: Any, first: Genomes) -> None:
        super().__init__(question, algorithm)
        rows = np.resize(np.arange(len(first)), len(algorithm.population))  # a hybrid's oracle samples what it has
        algorithm.population.set_values(torch.from_numpy(question.coordinates.z(first[rows])))

    def advance(self, step: int) -> None:
        if step == 0:
            self.question.evaluate(self.algorithm.population)
        else:
            self.algorithm.step()

    def statistics(self) -> dict[str, float]:
        """diversity: standard deviation over the population, in initial ones, mean over the parameters."""
        return {"diversity": float(self.algorithm.population.values.numpy().std(axis=0).mean())}
