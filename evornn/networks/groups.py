"""Units in groups, by shares."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def groups(units: int, shares: Sequence[float]) -> NDArray[np.int64]:
    """[H] the group 0, 1, … of each unit: one unit to each group as long as there are any, the first group first, then
    always to the group that is owed most."""
    sizes = [0] * len(shares)
    for _ in range(units):
        owed = [(1.0, -k) if sizes[k] == 0 else (0.0, shares[k] / (sizes[k] + 1)) for k in range(len(shares))]
        sizes[owed.index(max(owed))] += 1
    return np.repeat(np.arange(len(shares)), sizes)
