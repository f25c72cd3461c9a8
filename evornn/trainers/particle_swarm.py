"""Particle swarm optimisation: members move towards the best points that they and their neighbours have visited."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from evornn.settings import settings
from evornn.trainers.core.coordinates import Points
from evornn.trainers.core.search import LARGEST, Generation, SearchTrainer
from evornn.trainers.core.trainer import State


@settings
class ParticleSwarm(SearchTrainer):
    """Particle swarm (Kennedy & Eberhart 1995) in the form of Clerc & Kennedy 2002: inertia and attractions are those
    of the constriction factor 0.7298. On a `ring` each member knows its two neighbours (Bratton & Kennedy 2007,
    "Defining a standard for particle swarm optimization"), with `all` it knows all members.

    With mini-batches the best points are evaluated again in every generation, at twice the cost.
    """

    stored_populations = 6

    population: Annotated[int, Ge(3)] = 32
    neighbours: Literal["ring", "all"] = "ring"
    inertia: Annotated[float, Ge(0), Lt(1)] = 0.7298
    cognitive: Annotated[float, Gt(0)] = 1.49618  # attraction to a member's own best point
    social: Annotated[float, Gt(0)] = 1.49618  # attraction to the neighbours' best point

    def begin(self, n: int) -> State:
        empty = np.zeros((0, n))
        return {"points": empty, "velocities": empty, "bests": empty, "losses": np.zeros(0)}

    def next_generation(self, search: State, generation: Generation) -> State:
        if not len(search["points"]):
            points, losses = generation.evaluate(generation.sample(self.population))
            return {"points": points, "velocities": np.zeros_like(points), "bests": points, "losses": losses}
        velocities = self._velocities(search, generation.rng)
        both, losses = generation.evaluate_with_parents(
            search["bests"], search["losses"], search["points"] + velocities
        )
        (bests, points), (old, new) = np.split(both, 2), np.split(losses, 2)
        better = new < old
        seen = {"bests": np.where(better[:, None], points, bests), "losses": np.where(better, new, old)}
        return {"points": points, "velocities": velocities, **seen}

    def _velocities(self, search: State, rng: np.random.Generator) -> Points:
        """[P, n] velocities after inertia and the attractions to a member's own and its neighbours' best point."""
        points, bests = search["points"], search["bests"]
        r_cognitive, r_social = rng.random(points.shape), rng.random(points.shape)
        guides = bests[self._guides(search["losses"])]
        pull = self.cognitive * r_cognitive * (bests - points) + self.social * r_social * (guides - points)
        velocities: Points = np.clip(self.inertia * search["velocities"] + pull, -LARGEST, LARGEST)
        return velocities

    def _guides(self, losses: NDArray[np.float64]) -> NDArray[np.intp]:
        """[P] for each member the row with the best loss among itself and its neighbours."""
        members = np.arange(len(losses))
        if self.neighbours == "all":
            return np.full(len(losses), np.argmin(losses))
        ring = np.stack([members, np.roll(members, 1), np.roll(members, -1)])
        guides: NDArray[np.intp] = ring[np.argmin(losses[ring], axis=0), members]
        return guides

    def statistics(self, state: State) -> dict[str, float]:
        """diversity: the population's standard deviation in units of the initial one, averaged over parameters."""
        points = state["search"]["points"]
        return {"diversity": float(points.std(axis=0).mean())} if len(points) else {}
