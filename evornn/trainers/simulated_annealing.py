"""Simulated annealing: steps that raise the loss are accepted less often as the temperature falls."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from evornn.kernels.normal import standard_normal
from evornn.settings import settings
from evornn.trainers.core.population import WORST
from evornn.trainers.core.search import LARGEST, SMALLEST, Generation, SearchTrainer
from evornn.trainers.core.trainer import State

ADAPTATION = 0.1  # rate at which a chain's step size follows its acceptance


@settings
class SimulatedAnnealing(SearchTrainer):
    """Independent chains of Metropolis steps (Kirkpatrick, Gelatt & Vecchi 1983, "Optimization by simulated
    annealing"). The temperature falls geometrically over the budget; as in Corana et al. (1987), each chain adapts its
    step size to the share of steps that are accepted.

    With mini-batches the chains' current points are evaluated again at every step, at twice the cost.
    """

    stored_populations = 2

    population: Annotated[int, Ge(2)] = 8  # chains
    sigma: Annotated[float, Gt(0)] = 0.5  # initial step size, in standard deviations of the initial distribution
    temperature: Annotated[float, Gt(0)] = 0.3  # initial, in standard deviations of the first losses
    cooling: Annotated[float, Gt(0), Lt(1)] = 1e-5  # last temperature / first temperature
    acceptance: Annotated[float, Gt(0), Lt(1)] = 0.25  # target share of accepted steps

    def begin(self, n: int) -> State:
        return {"points": np.zeros((0, n)), "losses": np.zeros(0), "steps": np.zeros(0), "hot": 0.0}

    def next_generation(self, search: State, generation: Generation) -> State:
        if not len(search["points"]):
            points, losses = generation.evaluate(generation.sample(self.population))
            return {"points": points, "losses": losses, "steps": np.full(len(points), self.sigma), "hot": _std(losses)}
        steps, rng, count = search["steps"], generation.rng, len(search["points"])
        proposals = search["points"] + steps[:, None] * standard_normal(rng, *search["points"].shape)
        both, losses = generation.evaluate_with_parents(search["points"], search["losses"], proposals)
        (old, new), (before, after) = np.split(both, 2), np.split(losses, 2)
        # Metropolis: a better point is always accepted, a worse one with probability exp(−Δ / temperature).
        temperature = self.temperature * search["hot"] * self.cooling**generation.elapsed
        accepted = rng.random(count) < np.exp(np.minimum(0, before - after) / max(temperature, 1e-300))
        news = {"points": np.where(accepted[:, None], new, old), "losses": np.where(accepted, after, before)}
        factor = np.exp(ADAPTATION * (accepted - self.acceptance))
        return {**news, "steps": np.clip(steps * factor, SMALLEST, LARGEST), "hot": search["hot"]}

    def statistics(self, state: State) -> dict[str, float]:
        """sigma: the mean step size of the chains, in standard deviations of the initial distribution."""
        steps = state["search"]["steps"]
        return {"sigma": float(steps.mean())} if len(steps) else {}


def _std(losses: NDArray[np.float64]) -> float:
    finite = losses[losses < WORST]
    return float(finite.std()) if len(finite) else 0.0
