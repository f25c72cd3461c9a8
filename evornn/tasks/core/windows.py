"""A scaled series cut into windows, and split in time. Rows count from 0; an origin is the last known row of a
forecast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.data.scaling import Doubles
from evornn.errors import EvornnError
from evornn.tasks.core.cutting import Cutter
from evornn.tasks.core.task import Sequences

Rows: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64] | NDArray[np.float32]


class Times(Protocol):
    """[N] times as text."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...


def future(values: Doubles, horizon: int) -> Doubles:
    """[N, G] → [N, G × horizon]: row t holds each column's rows t+1 … t+horizon, NaN after the end of the series."""
    # NaN rows let windows reach beyond the end of the series
    padded = np.vstack([values, np.full((horizon, values.shape[1]), np.nan)])
    ahead = np.lib.stride_tricks.sliding_window_view(padded, horizon, axis=0)[1:]  # [N, G, horizon]
    return ahead.reshape(len(values), -1)


def sequences(
    inputs: Values, targets: Values, origins: Rows, window: int, washout: int, fresh: Sequence[int] = ()
) -> Sequences:
    """Windows that end at the origins. Steps before `washout` don't count, and those whose targets are missing; windows
    without a step that counts are left out.

    Args:
        inputs: [N, I] the series.
        targets: [N, O] of each row; NaN where they are missing.
        origins: [B] the last row of each window.
        window: T, rows of a window.
        washout: steps at the beginning of a window that don't count.
        fresh: inputs that are 0 at the first step of a window.
    """
    known = np.asarray(np.isfinite(targets).all(axis=1))
    before = np.concatenate([[0], np.cumsum(known)])
    origins = origins[before[origins + 1] > before[origins + 1 - window + washout]]
    lengths = np.full(len(origins), window)
    seen, wanted = inputs.astype(np.float32, copy=False), targets.astype(np.float32, copy=False)
    return Cutter(seen, wanted, known, origins + 1 - window, lengths, window, skipped=washout, fresh=fresh).sequences()


def loss_origins(origins: Rows, window: int, washout: int) -> Rows:
    """The origins of all forecasts that count.

    Args:
        origins: [B] the last row of each window.
        window: rows of a window.
        washout: steps at the beginning of a window that don't count.

    Returns:
        The distinct rows, in order, that have a full window before them.
    """
    counts = np.zeros(int(origins.max(initial=-1)) + 1, bool)
    for back in range(window - washout):
        counts[origins - back] = True
    counts[: window - 1] = False
    return np.flatnonzero(counts)


@dataclass(frozen=True)
class SplitOrigins:
    """Rows [0, valid) are for training, [valid, test) for validation, [test, rows) for the test."""

    valid: int
    test: int
    rows: int

    def training_origins(self, window: int, horizon: int, stride: int) -> Rows:
        """Origins of training windows that lie, with all they predict, in the training part.

        Args:
            window: rows of a window.
            horizon: rows that a forecast predicts.
            stride: rows from one window to the next, counted back from the end of the part.

        Returns:
            [B] in order.
        """
        return np.arange(self.valid - horizon - 1, window - 2, -stride, dtype=np.int64)[::-1]

    def evaluation_origins(self, part: str, window: int, horizon: int) -> Rows:
        """Origins of all forecasts whose targets lie in a part; their windows may begin before it.

        Args:
            part: "valid" or "test".
            window: rows of a window.
            horizon: rows that a forecast predicts.

        Returns:
            [B] in order.
        """
        first, end = {"valid": (self.valid, self.test), "test": (self.test, self.rows)}[part]
        return np.arange(max(first - 1, window - 1), end - horizon, dtype=np.int64)


def split_origins(split: tuple[float | str, ...], times: Times, has_dates: bool) -> SplitOrigins:
    """Where the parts begin.

    Args:
        split: three fractions, or the two dates or times at which validation and test begin.
        times: [N] the time of each row.
        has_dates: whether times are dates.

    Raises:
        EvornnError: dates are given and the rows have none.
    """
    rows = len(times)
    if isinstance(split[0], str):
        if not has_dates:
            raise EvornnError("split: dates need the date of each row: set date to the column that has it")
        valid, test = (_first_row_from(str(begin), times) for begin in split)
    else:
        train, middle, _ = (float(fraction) for fraction in split)
        valid, test = round(train * rows), round((train + middle) * rows)
    return SplitOrigins(valid, test, rows)


def _first_row_from(begin: str, times: Times) -> int:
    """The first row at or after a time; local times go back an hour where clocks do."""
    return next((row for row, time in enumerate(times) if time >= begin), len(times))


def check_length(bounds: SplitOrigins, window: int, horizon: int) -> None:
    """Check that every part has a window.

    Args:
        bounds: where the parts begin.
        window: rows of a window.
        horizon: rows that a forecast predicts.

    Raises:
        EvornnError: a part is too short.
    """
    if bounds.rows < window + horizon:
        minimum = f"window {window} + horizon {horizon}"
        raise EvornnError(
            f"the series has {bounds.rows} rows, shorter than {minimum}: lower the window or give more rows"
        )
    requirements = [
        ("train", bounds.valid, window + horizon),
        ("valid", bounds.test - bounds.valid, horizon),
        ("test", bounds.rows - bounds.test, horizon),
    ]
    for part, rows, min_rows in requirements:
        if rows < min_rows:
            raise EvornnError(
                f"split: leaves {rows} rows for {part}, which needs at least {min_rows}: change the split"
            )
