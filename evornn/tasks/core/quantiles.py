"""Quantiles instead of numbers: each target has as many outputs as there are levels, in blocks of one level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import AfterValidator, BeforeValidator

from evornn.data.preparation import OutputColumn
from evornn.data.scaling import Doubles
from evornn.kernels.quantile_levels import quantile_loss


def _as_sequence(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def _check_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    if not all(low < high for low, high in pairwise((0.0, *levels, 1.0))):
        raise ValueError("must be levels between 0 and 1, in order, such as [0.1, 0.5, 0.9]")
    return levels


Quantiles: TypeAlias = Annotated[tuple[float, ...], BeforeValidator(_as_sequence), AfterValidator(_check_levels)]
"""Levels in order; none: numbers are asked for, not quantiles."""


def number_loss(levels: Quantiles) -> str:
    """The loss of numbers: of their quantiles, or mse without levels."""
    return quantile_loss(levels) if levels else "mse"


def quantile_answers(answers: Sequence[OutputColumn], levels: Quantiles) -> tuple[OutputColumn, ...]:
    """The columns at each level, those of the first level first; as they are without levels."""
    return tuple(replace(one, level=level) for level in levels or (None,) for one in answers)


def repeat_targets(targets: Doubles, levels: Quantiles) -> Doubles:
    """[..., O] targets, once for each level."""
    return np.tile(targets, (1,) * (targets.ndim - 1) + (len(levels) or 1,))


def median_block(levels: Quantiles, outputs: int) -> slice:
    """The outputs of the level nearest to the median, which scores and errors judge.

    Args:
        levels: in order.
        outputs: of one level.
    """
    nearest = min(range(len(levels)), key=lambda k: abs(levels[k] - 0.5), default=0)
    return slice(nearest * outputs, (nearest + 1) * outputs)
