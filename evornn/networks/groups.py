"""Units in groups, by shares."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def groups(units: int, shares: Sequence[float]) -> NDArray[np.int64]:
    """[H] the group 0, 1, … of each unit. Each group gets one unit while there are any, the first group first; every
    further unit goes to the group farthest below its share."""
    sizes = [0] * len(shares)
    for _ in range(units):
        owed = [(1.0, -k) if sizes[k] == 0 else (0.0, shares[k] / (sizes[k] + 1)) for k in range(len(shares))]
        sizes[owed.index(max(owed))] += 1
    return np.repeat(np.arange(len(shares)), sizes)
