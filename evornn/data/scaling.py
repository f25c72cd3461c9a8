"""Scaling of values and back: an optional transform, then standardising by the training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.errors import EvornnError

Doubles: TypeAlias = NDArray[np.float64]
Transform: TypeAlias = Literal["none", "sqrt", "log1p"]
LARGEST = 1e15  # scaled values, of which a hundred million squares can be added in single precision
SMALLEST = 1e-150  # standard deviation whose square is not rounded towards 0


@dataclass(frozen=True)
class Scaling:
    """`(transform(x) − mean) / std` for each of C columns; a constant column gets std 1."""

    transform: Transform
    mean: Doubles  # [C]
    std: Doubles  # [C]

    @classmethod
    def fit(cls, transform: Transform, training: Doubles) -> Scaling:
        """Fit on training rows [N, C] only, so that no later row leaks in."""
        values = forward(transform, training)
        with np.errstate(over="ignore", invalid="ignore"):  # see check_magnitude
            mean, std = values.mean(axis=0), values.std(axis=0)
        is_constant = values.max(axis=0) == values.min(axis=0)  # its std may be a rounding error above 0
        return cls(transform, mean, np.where(is_constant, 1.0, std))

    def apply(self, values: Doubles) -> Doubles:
        """[N, C] original units → [N, C] scaled."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # see check_magnitude
            return (forward(self.transform, values) - self.mean) / self.std


def forward(transform: Transform, values: Doubles) -> Doubles:
    """Apply the transform that precedes standardising."""
    return np.asarray(_FORWARD[transform](values), np.float64)


def inverse(transform: Transform, values: NDArray[Any]) -> Doubles:
    """The opposite of `forward`. A value that no original could give, such as a negative root, becomes the nearest
    possible one, and one beyond all numbers is infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(_INVERSE[transform](values), np.float64)


def check_domain(transform: Transform, values: Doubles, columns: tuple[str, ...]) -> None:
    """Check that a transform is defined: sqrt from 0 on, log1p above −1.

    Args:
        transform: its name.
        values: [N, C] original units.
        columns: C names, for the error.

    Raises:
        EvornnError: a value has no transform.
    """
    bad = {"none": np.zeros(values.shape, bool), "sqrt": values < 0, "log1p": values <= -1}[transform]
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        where = f"column {columns[column]!r}, row {row + 1}: {values[row, column]:g}"
        raise EvornnError(f"{where} has no {transform}: set transform to none")


def check_magnitude(scaling: Scaling, values: Doubles, columns: tuple[str, ...], training: int) -> None:
    """Check that scaled values, their differences and squares fit into single precision.

    Args:
        scaling: Fitted on the training rows.
        values: [N, C] original units.
        columns: C names, for the error.
        training: The number of training rows.

    Raises:
        EvornnError: A value is too large, or a column varies too little.
    """
    if (scaling.std < SMALLEST).any():
        name = columns[int((scaling.std < SMALLEST).argmax())]
        raise EvornnError(
            f"column {name!r} varies too little to be scaled (standard deviation below {SMALLEST:g}): give it in a "
            "smaller unit"
        )
    overflows = ~np.isfinite(scaling.mean + scaling.std)
    if overflows.any():
        column = int(overflows.argmax())
        row, limit = int(np.abs(values[:training, column]).argmax()), "the standard deviation overflows"
    else:
        bad = np.argwhere(np.abs(scaling.apply(values)) > LARGEST)
        if not len(bad):
            return
        (row, column), limit = map(int, bad[0]), f"more than {LARGEST:g} standard deviations of the training rows"
    where = f"column {columns[column]!r}, row {row + 1}: {values[row, column]:g}"
    raise EvornnError(f"{where} is too large to be scaled ({limit}): replace the value")


_FORWARD: dict[str, Callable[[Any], Any]] = {"none": lambda x: x, "sqrt": np.sqrt, "log1p": np.log1p}
_INVERSE: dict[str, Callable[[Any], Any]] = {
    "none": lambda x: x,
    "sqrt": lambda u: np.square(np.maximum(u, 0.0)),
    "log1p": lambda u: np.expm1(u),
}
