"""Split conformal prediction (Vovk, Gammerman & Shafer 2005; Lei et al. 2018): the interval around an answer is as wide
as absolute errors on data that it was not trained on say.

With K exchangeable errors of the validation split, answer ± the ⌈(K+1)·coverage⌉-th smallest holds the truth with at
least this probability. Errors are kept for each answer and step ahead, in original units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evornn.data.scaling import Doubles
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.models.saved_model import Calibration, SavedModel

MOST = 1000  # errors that are kept, evenly spaced in the order of the split


def half_widths(model: SavedModel, coverage: float | None) -> Doubles | None:
    """[G, S] half the width of intervals, infinite where too few errors are known; None: no coverage is asked for.
    Raises EvornnError where the model has no calibration."""
    if coverage is None:
        return None
    if not 0 < coverage < 1:
        raise EvornnError(f"coverage: must be between 0 and 1, got {coverage:g}: give 0.9 for 90 %")
    if model.calibration is None:
        raise EvornnError(
            "the model has no calibration, which intervals need: it answers with classes or quantiles, its groups have "
            "scales of their own, or its validation data were missing when it was written; leave coverage out"
        )
    return quantiles(model.calibration, coverage)


def quantiles(calibration: Calibration, coverage: float) -> Doubles:
    """[K, G, S] sorted errors → [G, S] the smallest of them that is large enough."""
    counts = np.sum(~np.isnan(calibration), axis=0)
    ranks = np.ceil((counts + 1) * coverage - 1e-9).astype(np.int64)  # 0.9 · 10 is a rounding error above 9
    chosen = np.take_along_axis(calibration, (ranks - 1).clip(0, len(calibration) - 1)[None], axis=0)[0]
    return np.where(ranks <= counts, chosen, math.inf)


def space_evenly(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """At most MOST of so many positions, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64))
