"""Genetic algorithm: selection, crossover and mutation."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from evornn.kernels.normal import standard_normal
from evornn.settings import settings
from evornn.trainers.core.breeding import recombine, select_parents
from evornn.trainers.core.coordinates import Points
from evornn.trainers.core.search import Generation, SearchTrainer
from evornn.trainers.core.trainer import State


@settings
class GeneticAlgorithm(SearchTrainer):
    """Parents are selected by their losses, pairs of them cross over, children mutate, and survivors are selected
    (Holland 1975; real-coded as in Deb & Agrawal 1995, Luke 2013, "Essentials of metaheuristics").

    The first generation is a sample of the architecture's initial distribution. With mini-batches, parents that may
    survive are evaluated again together with their children, since losses on different batches are not comparable.
    """

    stored_populations = 2

    population: Annotated[int, Ge(2)] = 32
    selection: Literal["tournament", "truncation", "ranking"] = "tournament"
    tournament: Annotated[int, Ge(1)] = 4  # candidates per choice of a parent
    truncation: Annotated[float, Gt(0), Le(1)] = 0.25  # share of the population that may become parents
    crossover: Literal["simulated_binary", "uniform", "one_point", "two_point", "none"] = "simulated_binary"
    crossover_probability: Annotated[float, Ge(0), Le(1)] = 1.0  # per pair; otherwise the children are copies
    spread: Annotated[float, Gt(0)] = 8.0  # Deb's η of simulated binary crossover; the larger, the nearer children stay
    mutation: Annotated[float, Gt(0)] = 0.1  # standard deviation, in units of the initial distribution's
    mutation_probability: Annotated[float, Gt(0), Le(1)] = 1.0  # per parameter
    survivors: Literal["best", "children"] = "best"  # the best of parents and children, or the children and the elites
    elites: Annotated[int, Ge(0)] = 1  # best parents that survive among the children

    def begin(self, n: int) -> State:
        return {"points": np.zeros((0, n)), "losses": np.zeros(0)}

    def next_generation(self, search: State, generation: Generation) -> State:
        if not len(search["points"]):
            points, losses = generation.evaluate(generation.sample(self.population))
            return {"points": points, "losses": losses}
        kept = self.population if self.survivors == "best" else min(self.elites, self.population - 1)
        parent_rows = np.argsort(search["losses"], kind="stable")[:kept]
        points, losses = generation.evaluate_with_parents(
            search["points"][parent_rows], search["losses"][parent_rows], self._children(search, generation.rng)
        )
        if self.survivors == "best":
            chosen = np.argsort(losses, kind="stable")[: self.population]
        else:
            chosen = np.arange(self.population)  # elites come first, then children up to the population's size
        return {"points": points[chosen], "losses": losses[chosen]}

    def statistics(self, state: State) -> dict[str, float]:
        """diversity: the population's standard deviation in units of the initial one, averaged over parameters."""
        points = state["search"]["points"]
        return {"diversity": float(points.std(axis=0).mean())} if len(points) else {}

    def _children(self, search: State, rng: np.random.Generator) -> Points:
        """[P, n] children of selected pairs of parents, mutated."""
        pairs = (self.population + 1) // 2
        size = self.tournament if self.selection == "tournament" else self.truncation
        chosen = search["points"][select_parents(self.selection, search["losses"], 2 * pairs, size, rng)]
        first, second = chosen[:pairs], chosen[pairs:]
        both = np.stack(recombine(self.crossover, first, second, self.spread, rng))
        cross = rng.random(pairs) < self.crossover_probability
        children = np.where(cross[:, None], both, np.stack([first, second])).reshape(2 * pairs, -1)[: self.population]
        mutated = rng.random(children.shape) < self.mutation_probability
        return children + np.where(mutated, self.mutation * standard_normal(rng, *children.shape), 0)
