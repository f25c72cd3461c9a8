"""The interface of a covariance: it turns standard normal vectors z into steps y = A z, and learns from a generation.

Numbers of equations are those of Hansen 2016, "The CMA evolution strategy: a tutorial" (arXiv 1604.00772v2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evornn.trainers.core.covariance.constants import Constants
from evornn.trainers.core.trainer import State

Steps = NDArray[Any]  # [P, n], float64 or float32


@dataclass(frozen=True)
class Selection:
    """A generation of steps with their weights by the rank of their losses, and the evolution paths after it."""

    z: Steps  # [P, n]
    y: Steps  # [P, n] A z
    z_w: NDArray[np.float64]  # [n] mean of the z by the positive weights
    weights: NDArray[Any]  # [P] w° of eq. 46, of the same precision as z and y
    p_sigma: NDArray[np.float64]  # [n] path of the z, eq. 43
    p_c: NDArray[np.float64]  # [n] path of the y, eq. 45
    stalled: float  # δ(h_σ) of eq. 47: the variance that p_c lacks while it is stalled
    generation: int  # since the start or the last restart, counting from 0


class Covariance(Protocol):
    """A covariance C = A Aᵀ. Its state is plain arrays by name, which no method changes."""

    dtype: type[Any]  # of z and y

    def constants(self, n: int, population: int) -> Constants:
        """Weights and learning rates for n parameters and a population P."""

    def identity(self, n: int) -> State:
        """The state of C = I for n parameters."""

    def steps(self, state: State, z: Steps) -> Steps:
        """[P, n] steps y = A z of z [P, n]."""

    def whiten(self, state: State, y: Steps) -> Steps:
        """[P, n] z = A⁻¹ y of steps y [P, n] that come from elsewhere."""

    def update(self, state: State, c: Constants, selected: Selection) -> State:
        """Learn from a generation.

        Args:
            state: The covariance with which the generation was sampled.
            c: Learning rates, from `constants`.
            selected: The generation, with weights and paths.

        Returns:
            The covariance of the next generation.
        """

    def condition(self, state: State) -> float | None:
        """Largest eigenvalue of C over the smallest; None where that would take an eigendecomposition."""
