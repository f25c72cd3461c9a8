"""Normalised coordinates, in which every architecture's initial distribution has mean 0 and standard deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Genomes
from evornn.trainers.trainer import Oracle


@dataclass(frozen=True)
class Coordinates:
    """genome = centre + scale · z. A search that starts with z ~ N(0, 1) has the first two moments of `sample`."""

    centre: NDArray[np.float64]  # [n]
    scale: NDArray[np.float64]  # [n], all positive

    @classmethod
    def of(cls, oracle: Oracle) -> Coordinates:
        """An oracle's. A constant start (scale 0) gets the median scale of the others: it must be free to move."""
        scale = np.asarray(oracle.scale, np.float64)
        moving = scale[scale > 0]
        constant = float(np.median(moving)) if moving.size else 1.0
        return cls(np.asarray(oracle.centre, np.float64), np.where(scale > 0, scale, constant))

    def genomes(self, z: NDArray[np.float64]) -> Genomes:
        """[P, n] float32 genomes of the points z [P, n]; what overflows becomes infinite."""
        with np.errstate(all="ignore"):
            return (self.centre + self.scale * z).astype(np.float32)

    def z(self, genomes: Genomes) -> NDArray[np.float64]:
        """[P, n] the points of genomes [P, n]."""
        return (genomes.astype(np.float64) - self.centre) / self.scale
