"""Cooperative synapse neuroevolution: every weight has its own subpopulation."""

from __future__ import annotations

from math import ceil
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator

from evornn.settings import settings
from evornn.trainers.core.breeding import recombine
from evornn.trainers.core.coordinates import Bounds, Points, check_bounds
from evornn.trainers.core.search import Generation, SearchTrainer
from evornn.trainers.core.trainer import State


@settings
class CoSyNE(SearchTrainer):
    """CoSyNE (Gomez, Schmidhuber & Miikkulainen 2008, "Accelerated neural evolution through cooperatively coevolved
    synapses", algorithm 1). Each of the n parameters has a subpopulation of P values; the i-th values of all
    subpopulations make up the i-th network. The best quarter is recombined, and its mutated offspring replace the worst
    quarter; then the values of all but the offspring are permuted within their subpopulations, so that every network is
    new.

    The paper's pole balancers start from U[−10, 10] and mutate by Cauchy(0.3) in units of the weights.
    """

    stored_populations = 2

    population: Annotated[int, Ge(4)] = 32
    parents: Annotated[float, Gt(0), Le(0.5)] = 0.25  # best share, recombined in pairs into as many offspring
    mutation: Annotated[float, Gt(0)] = 0.3  # scale of the Cauchy noise, in units of the weights
    mutation_probability: Annotated[float, Gt(0), Le(1)] = 0.3  # per weight of an offspring
    initial_range: Annotated[Bounds | None, AfterValidator(check_bounds)] = None  # uniform; None: the architecture's

    def begin(self, n: int) -> State:
        return {"points": np.zeros((0, n)), "losses": np.zeros(0)}

    def next_generation(self, search: State, generation: Generation) -> State:
        points = self._breed(search, generation) if len(search["points"]) else self._initial_population(generation)
        points, losses = generation.evaluate(points)
        order = np.argsort(losses, kind="stable")
        return {"points": points[order], "losses": losses[order]}

    def _breed(self, search: State, generation: Generation) -> Points:
        """[P, n] the permuted members, followed by the offspring."""
        points, rng = search["points"], generation.rng
        new = min(max(2, ceil(self.parents * self.population)), self.population // 2)
        offspring = self._offspring(points[:new], generation)
        return np.concatenate([rng.permuted(points[: self.population - new], axis=0), offspring])

    def _offspring(self, best: Points, generation: Generation) -> Points:
        """[new, n] children of pairs of the best [new, n], by one-point crossover."""
        count, rng = len(best), generation.rng
        first, second = rng.integers(count, size=count), rng.integers(count, size=count)
        children, _ = recombine("one_point", best[first], best[second], 0, rng)
        noise = self.mutation * rng.standard_cauchy(children.shape) / generation.coordinates.scale
        return children + np.where(rng.random(children.shape) < self.mutation_probability, noise, 0)

    def _initial_population(self, generation: Generation) -> Points:
        if self.initial_range is None:
            return generation.sample(self.population)
        weights = generation.rng.uniform(*self.initial_range, (self.population, generation.oracle.n))
        return (weights - generation.coordinates.centre) / generation.coordinates.scale

    def statistics(self, state: State) -> dict[str, float]:
        """diversity: the subpopulations' standard deviation in units of the initial one, averaged over parameters."""
        points = state["search"]["points"]
        return {"diversity": float(points.std(axis=0).mean())} if len(points) else {}
