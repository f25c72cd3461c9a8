"""Standard normal numbers for populations."""

from __future__ import annotations

import numpy as np

from evornn.arrays import Floats


def standard_normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Standard normal numbers, the same on every CPU.

    Args:
        rng: gives the key of 64 bits that they derive from.
        rows: of the array.
        columns: of the array.

    Returns:
        [rows, columns].
    """
    from evornn.kernels.simd.runtime import normal  # loading numba takes half a second

    return normal.standard_normal(rng, rows, columns)
