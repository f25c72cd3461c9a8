"""Small files of chorales, as Bai et al. 2018 publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from evornn.tasks.core.chorale_corpus import KEYS
from evornn.tasks.core.chorale_file import VARIABLES


def write_chorales(path: str | Path, **changes: Any) -> dict[str, Any]:
    """A MATLAB file of 3, 2 and 1 chorales, of 2 beats and more; `changes` replace or, if None, omit variables."""
    rng = np.random.default_rng(0)
    variables: dict[str, Any] = {}
    for name, count in zip(VARIABLES, (3, 2, 1), strict=True):
        cells = np.empty((1, count), object)
        for k in range(count):
            cells[0, k] = rng.integers(0, 2, (2 + k, KEYS)).astype(np.uint8)
        variables[name] = cells
    variables |= changes
    savemat(path, {name: value for name, value in variables.items() if value is not None})
    return variables
