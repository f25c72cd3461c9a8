"""Normalised coordinates, in which every architecture's initial distribution has mean 0 and standard deviation 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Genomes
from evornn.trainers.core.trainer import Oracle

Points: TypeAlias = NDArray[Any]  # [P, n] in normalised coordinates, float64 or float32
Bounds: TypeAlias = tuple[float, float]  # smallest and largest value of a parameter


@dataclass(frozen=True)
class Coordinates:
    """genome = centre + scale · z. A search that starts with z ~ N(0, 1) has the first two moments of `sample`.

    With bounds, genomes beyond them are reflected; the search itself is unbounded.
    """

    centre: NDArray[np.float64]  # [n]
    scale: NDArray[np.float64]  # [n], all positive
    bounds: Bounds | None = None

    @classmethod
    def of(cls, oracle: Oracle, bounds: Bounds | None = None) -> Coordinates:
        """The coordinates of an oracle's initial distribution.

        A parameter that starts from a constant (scale 0) gets the median scale of the others, so that it can change.
        """
        scale = np.asarray(oracle.scale, np.float64)
        moving = scale > 0
        if not moving.all():
            constant = float(np.median(scale[moving])) if moving.any() else 1.0
            scale = np.where(moving, scale, constant)
        return cls(np.asarray(oracle.centre, np.float64), scale, bounds)

    def genomes(self, z: Points) -> Genomes:
        """[P, n] float32 genomes of points z [P, n], computed in their precision; an overflow becomes infinite."""
        with np.errstate(all="ignore"):
            values = self.scale.astype(z.dtype, copy=False) * z
            values += self.centre.astype(z.dtype, copy=False)
            values = values if self.bounds is None else reflect(values, *self.bounds)
            return values.astype(np.float32, copy=False)

    def z(self, genomes: Genomes) -> Points:
        """[P, n] float64 points of genomes [P, n]."""
        return (genomes.astype(np.float64) - self.centre) / self.scale


def reflect(values: Points, low: float, high: float) -> Points:
    """Reflect values at both bounds.

    Args:
        values: [P, n].
        low: Lower bound.
        high: Upper bound.

    Returns:
        [P, n] between the bounds; values that were there already are unchanged to the bit.
    """
    period = 2 * (high - low)
    folded = np.mod(values - low, period)
    inside = low + np.minimum(folded, period - folded)
    return np.where((low <= values) & (values <= high), values, np.clip(inside, low, high))


def check_bounds(bounds: Bounds | None) -> Bounds | None:
    """The bounds, for use as a pydantic validator. Raises ValueError unless the first is below the second."""
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError("the first bound must be below the second")
    return bounds
