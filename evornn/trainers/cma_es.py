"""Covariance matrix adaptation evolution strategy, with restarts of growing populations."""

from __future__ import annotations

from math import exp, sqrt
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from evornn.kernels.normal import standard_normal
from evornn.memory import check_memory
from evornn.settings import settings
from evornn.trainers.core.coordinates import Points
from evornn.trainers.core.covariance.adaptation import MatrixAdaptation
from evornn.trainers.core.covariance.constants import default_population
from evornn.trainers.core.covariance.eigen import EigenCovariance
from evornn.trainers.core.covariance.form import Covariance, Selection, Steps
from evornn.trainers.core.covariance.limited import LimitedMemoryCovariance
from evornn.trainers.core.covariance.separable import SeparableCovariance
from evornn.trainers.core.restarts import append_history, grow_population, should_restart
from evornn.trainers.core.search import Generation, SearchTrainer, points_around, shrink_factors
from evornn.trainers.core.trainer import State

EIGEN = 100  # parameters up to which eigendecompositions are cheap
MATRICES = 6  # n × n float32 matrices at the peak


@settings
class CMAES(SearchTrainer):
    """CMA-ES with active weights (Hansen 2016, "The CMA evolution strategy: a tutorial"; numbers of equations are
    those of arXiv 1604.00772v2), in coordinates in which the initial distribution is N(0, 1).

    `full` learns the whole covariance: by eigendecomposition up to 100 parameters, above that by matrix adaptation
    (Beyer & Sendhoff 2017). `separable` learns the variances alone (Ros & Hansen 2008), `limited_memory` a few
    directions (Loshchilov et al. 2018).

    Only the budget ends a run. A search restarts from a random point, with a population `growth` times as large (IPOP,
    Auger & Hansen 2005), when it has converged or its distribution has shrunk to nothing, grown beyond all bounds or
    become singular. Genomes that a hybrid improved are injected: their step is shortened to the length usual for the
    distribution (Hansen 2011, "Injecting external solutions into CMA-ES").
    """

    memory_hint = "set covariance: separable or limited_memory"

    population: Annotated[int, Ge(2)] | None = None  # None: 4 + ⌊3 ln n⌋
    sigma: Annotated[float, Gt(0)] = 1.0  # initial step size, in standard deviations of the initial distribution
    sigma_floor: Annotated[float, Ge(0), Le(1)] = 0.0  # share of the initial step size, its lower bound (Igel 2003)
    covariance: Literal["full", "separable", "limited_memory"] = "full"
    growth: Annotated[float, Ge(1)] = 2.0  # of the population at a restart

    def begin(self, n: int) -> State:
        return self._new_search(np.zeros(n), self.population or default_population(n), 0)

    def next_generation(self, search: State, generation: Generation) -> State:
        covariance, mean, sigma = self._covariance(len(search["mean"])), search["mean"], search["sigma"]
        # Sample and evaluate.
        z = standard_normal(generation.rng, search["population"], len(mean)).astype(covariance.dtype, copy=False)
        y = covariance.steps(search["form"], z)
        proposals = points_around(mean, sigma, y)  # eqs. 38–40
        points, losses = generation.evaluate(proposals)
        # Learn from the generation, including members that a hybrid's oracle has changed.
        if points is not proposals:
            z, y = _inject(covariance, search, z, y, np.flatnonzero((points != proposals).any(axis=1)), points)
        search = _update(covariance, search, z, y, np.argsort(losses, kind="stable"))
        search["sigma"] = max(search["sigma"], self.sigma_floor * self.sigma)
        search["history"] = append_history(search, losses)
        return (
            self._restart(search, generation)
            if should_restart(search, y, covariance.condition(search["form"]))
            else search
        )

    def statistics(self, state: State) -> dict[str, float]:
        """sigma, the overall step size; restarts, their number; condition_number of the covariance, where known."""
        search = state["search"]
        values = {"sigma": float(search["sigma"]), "restarts": float(search["restarts"])}
        condition = self._covariance(len(search["mean"])).condition(search["form"])
        return values if condition is None else {**values, "condition_number": condition}

    def covariance_bytes(self, parameters: int) -> int:
        return MATRICES * 4 * parameters**2 if self.covariance == "full" else 0

    def stored_covariance_bytes(self, parameters: int) -> int:
        if self.covariance != "full":
            return 0
        return (2 * 8 if parameters <= EIGEN else 4) * parameters**2  # C and A, or A alone

    def check(self, parameters: int, sequences: int) -> None:
        """Raises EvornnError if the full covariance doesn't fit into memory."""
        what = f"cma_es: the full covariance of {parameters:,} parameters"
        check_memory(what, self.covariance_bytes(parameters), self.memory_hint)

    def _covariance(self, n: int) -> Covariance:
        if self.covariance == "full":
            return EigenCovariance() if n <= EIGEN else MatrixAdaptation()
        return SeparableCovariance() if self.covariance == "separable" else LimitedMemoryCovariance()

    def _new_search(self, mean: NDArray[np.float64], population: int, restarts: int) -> State:
        n = len(mean)
        paths: dict[str, Any] = {"p_sigma": np.zeros(n), "p_c": np.zeros(n), "form": self._covariance(n).identity(n)}
        counts = {"population": population, "restarts": restarts, "generation": 0, "history": np.zeros(0)}
        return {"mean": mean, "sigma": self.sigma, **paths, **counts}

    def _restart(self, search: State, generation: Generation) -> State:
        mean = self.sigma * generation.rng.standard_normal(len(search["mean"]))
        return self._new_search(
            mean, grow_population(search["population"], self.growth, len(mean)), search["restarts"] + 1
        )


def _update(covariance: Covariance, search: State, z: Steps, y: Steps, order: NDArray[np.intp]) -> State:
    """The search after a generation of steps y = A z [P, n]; `order` [P] are its rows, best first."""
    n, generation, c = len(search["mean"]), search["generation"], covariance.constants(len(search["mean"]), len(z))
    # Selection and recombination: weights by rank, and the weighted means of the best steps.
    weights = np.empty(len(z))
    weights[order] = c.weights
    best = np.maximum(weights, 0).astype(covariance.dtype)
    z_w, y_w = (best @ z).astype(np.float64), (best @ y).astype(np.float64)  # eq. 41
    # Step-size control: sigma grows while the path of the z is longer than that of random steps; by a factor of e per
    # generation at most, for the sake of injected genomes (Hansen 2011).
    p_sigma = (1 - c.c_sigma) * search["p_sigma"] + sqrt(c.c_sigma * (2 - c.c_sigma) * c.mu_eff) * z_w  # eq. 43
    length = float(np.linalg.norm(p_sigma))
    sigma = search["sigma"] * exp(min(1.0, c.c_sigma / c.d_sigma * (length / c.length - 1)))  # eq. 44
    # Covariance: the path of the y stalls (h_σ = 0) while that of the z is long, since sigma is still too small then;
    # the variance that it lacks is made up for by `stalled`.
    h_sigma = length / sqrt(1 - (1 - c.c_sigma) ** (2 * generation + 2)) < (1.4 + 2 / (n + 1)) * c.length  # h_σ
    p_c = (1 - c.c_c) * search["p_c"] + h_sigma * sqrt(c.c_c * (2 - c.c_c) * c.mu_eff) * y_w  # eq. 45
    stalled = 0.0 if h_sigma else c.c_c * (2 - c.c_c)
    selected = Selection(
        z, y, z_w, _active_weights(weights, z).astype(covariance.dtype), p_sigma, p_c, stalled, generation
    )
    updates = {"form": covariance.update(search["form"], c, selected), "p_sigma": p_sigma, "p_c": p_c}
    return {
        **search,
        "mean": search["mean"] + search["sigma"] * y_w,  # eq. 42
        "sigma": sigma,
        "generation": generation + 1,
        **updates,
    }


def _active_weights(weights: NDArray[np.float64], z: Steps) -> NDArray[np.float64]:
    """[P] w°: a negative weight is scaled to a step of the expected length, n = E‖z‖² (eq. 46)."""
    squares = np.einsum("pn,pn->p", z, z).astype(np.float64)
    return np.where(weights < 0, weights * z.shape[1] / np.maximum(squares, 1e-30), weights)


def _inject(
    covariance: Covariance, search: State, z: Steps, y: Steps, rows: NDArray[np.intp], points: Points
) -> tuple[Steps, Steps]:
    """z and y after the steps of the injected rows are replaced by those to their points, shortened (Hansen 2011)."""
    z, y = z.copy(), y.copy()
    step = ((points[rows] - search["mean"]) / search["sigma"]).astype(covariance.dtype)
    normal = covariance.whiten(search["form"], step)
    factors = shrink_factors(normal)
    z[rows], y[rows] = factors * normal, factors * step
    return z, y
