"""Standard normal numbers for populations."""

from __future__ import annotations

import numpy as np

from evornn.arrays import Floats


def standard_normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """[rows, columns] numbers, the same on every CPU, of a key that the generator gives."""
    from evornn.kernels.simd.runtime import normal  # numba takes half a second to load

    return normal.standard_normal(rng, rows, columns)
