"""Random weights that stay fixed: those of a reservoir (Jaeger 2001)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evornn.arrays import Floats, Streams
from evornn.errors import EvornnError

MIN_RADIUS = 1e-6  # below it a spectral radius is rounding: no unit leads back to itself
MAX_DRAWS = 100


def recurrent_weights(units: int, density: float, radius: float, streams: Streams) -> Floats:
    """Random recurrent weights with a given spectral radius.

    Weights are drawn from U[−1, 1] and scaled. If no unit of a draw leads back to itself, it can't be scaled and
    another one is drawn.

    Args:
        units: H.
        density: the share of weights that are not 0.
        radius: the largest absolute eigenvalue.
        streams: one draw per step.

    Returns:
        [H, H].

    Raises:
        EvornnError: so few weights never make a loop.
    """
    count = max(1, round(density * units**2))
    for draw in range(MAX_DRAWS):
        rng = streams.at(draw)
        weights = np.zeros((units, units))
        weights.flat[rng.permutation(units**2)[:count]] = rng.uniform(-1, 1, count)
        current_radius = spectral_radius(weights)
        if current_radius > MIN_RADIUS:
            return (weights * (radius / current_radius)).astype(np.float32)
    raise EvornnError(
        f"density: {count} connections among {units} units make no loop in {MAX_DRAWS} draws: raise density or units"
    )


def uniform_weights(rows: int, columns: int, scale: float, streams: Streams) -> Floats:
    """Weights from U[−scale, scale].

    Args:
        rows: of the matrix.
        columns: of the matrix.
        scale: the largest absolute value.
        streams: draw at step 0.

    Returns:
        [rows, columns].
    """
    return streams.at(0).uniform(-scale, scale, (rows, columns)).astype(np.float32)


def spectral_radius(weights: NDArray[np.floating[Any]]) -> float:
    """The largest absolute eigenvalue."""
    with threadpool_limits(1, "blas"):  # its bits depend on the number of threads
        return float(np.abs(np.linalg.eigvals(weights.astype(np.float64))).max())
