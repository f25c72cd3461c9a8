"""What a form of the covariance can do: turn standard normal vectors z into steps y = A z, and learn from the best."""

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
    """A generation, what each step weighs by the rank of its loss, and the paths after it."""

    z: Steps  # [P, n]
    y: Steps  # [P, n], A z
    z_w: NDArray[np.float64]  # [n] mean of the z by the positive weights
    weights: NDArray[Any]  # [P] w° of eq. 46, of the same precision as z and y
    p_sigma: NDArray[np.float64]  # [n] path of the z
    p_c: NDArray[np.float64]  # [n] path of the y
    stalled: float  # δ(h_σ) of eq. 47: what p_c lacks while it is stalled
    generation: int  # since the start, counting from 0


class Covariance(Protocol):
    """A covariance C = A Aᵀ, kept as plain arrays."""

    dtype: type[Any]  # of z and y

    def constants(self, n: int, population: int) -> Constants: ...

    def identity(self, n: int) -> State:
        """The identity."""

    def steps(self, state: State, z: Steps) -> Steps:
        """[P, n] y = A z."""

    def whiten(self, state: State, y: Steps) -> Steps:
        """[P, n] the z = A⁻¹ y of steps that were not made from one."""

    def update(self, state: State, c: Constants, selected: Selection) -> State:
        """The covariance after a generation."""

    def condition(self, state: State) -> float | None:
        """Ratio of the greatest to the least eigenvalue; None where it is not known without an eigendecomposition."""
