"""Exponential natural evolution strategy: a full covariance that follows the natural gradient."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from evornn.kernels.normal import standard_normal
from evornn.memory import check_memory
from evornn.settings import settings
from evornn.trainers.core.covariance.constants import default_population
from evornn.trainers.core.ranks import utilities
from evornn.trainers.core.search import LARGEST, SMALLEST, Generation, SearchTrainer, shrink_factors
from evornn.trainers.core.trainer import State

MATRICES = 10  # n × n float64 matrices at the peak


@settings
class XNES(SearchTrainer):
    """xNES (Glasmachers et al. 2010, "Exponential natural evolution strategies"; Wierstra et al. 2014, algorithm 5), in
    coordinates in which the initial distribution is N(0, 1).

    Each generation takes an eigendecomposition of an n × n matrix, which suits up to a few hundred parameters.
    """

    memory_hint = "use snes"

    population: Annotated[int, Ge(2)] | None = None  # None: 4 + ⌊3 ln n⌋
    sigma: Annotated[float, Gt(0)] = 1.0  # initial step size, in standard deviations of the initial distribution
    learning_rate: Annotated[float, Gt(0)] = 1.0  # of the mean
    sigma_learning_rate: Annotated[float, Gt(0)] = 1.0  # of step size and shape, times (9 + 3 ln n) / (5 n √n)

    def begin(self, n: int) -> State:
        return {"mean": np.zeros(n), "sigma": self.sigma, "B": np.eye(n)}

    def next_generation(self, search: State, generation: Generation) -> State:
        mean, sigma, B = search["mean"], search["sigma"], search["B"]
        n = len(mean)
        # Sample points mean + sigma B s, and evaluate them.
        s = standard_normal(generation.rng, self.population or default_population(n), n).astype(np.float64)
        proposals = mean + sigma * s @ B.T
        points, losses = generation.evaluate(proposals)
        if points is not proposals:
            # A hybrid's oracle changed some: their s is computed from the points, and shortened like an injected step.
            s = np.ascontiguousarray(np.linalg.solve(B, (points - mean).T / sigma).T)
            s = np.where((points != proposals).any(axis=1)[:, None], shrink_factors(s) * s, s)
        # Natural gradient: u s for the mean; M for the covariance, split into its trace (the step size) and the rest
        # (the shape B).
        u = utilities(losses)
        M = (u[:, None] * s).T @ s  # the utilities sum to 0, so that − I drops out
        along = float(np.trace(M)) / n
        rate = min(1.0, self.sigma_learning_rate * (9 + 3 * log(n)) / (5 * n * sqrt(n)))
        step = exp(float(np.clip(rate / 2 * along, -1, 1)))
        return {
            "mean": mean + self.learning_rate * sigma * (B @ (u @ s)),
            "sigma": float(np.clip(sigma * step, SMALLEST, LARGEST)),
            "B": _multiply_exponential(B, rate / 2 * (M - along * np.eye(n))),
        }

    def statistics(self, state: State) -> dict[str, float]:
        """sigma, the overall step size."""
        return {"sigma": float(state["search"]["sigma"])}

    def covariance_bytes(self, parameters: int) -> int:
        return MATRICES * 8 * parameters**2

    def stored_covariance_bytes(self, parameters: int) -> int:
        return 8 * parameters**2

    def check(self, parameters: int, sequences: int) -> None:
        """Raises EvornnError if the covariance doesn't fit into memory."""
        check_memory(
            f"xnes: the covariance of {parameters:,} parameters", self.covariance_bytes(parameters), self.memory_hint
        )


def _multiply_exponential(B: NDArray[np.float64], exponent: NDArray[np.float64]) -> NDArray[np.float64]:
    """B exp(exponent) for a symmetric exponent [n, n] of trace 0; B itself if that is not finite."""
    if not np.isfinite(exponent).all():
        return B
    values, vectors = np.linalg.eigh((exponent + exponent.T) / 2)
    new: NDArray[np.float64] = B @ ((vectors * np.exp(np.clip(values, -1, 1))) @ vectors.T)
    return new if np.isfinite(new).all() else B
