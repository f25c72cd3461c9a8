"""Errors of forecasts in original units, by the measures that every forecaster knows: RMSE, MAE, MASE and R²."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from evornn.data.scaling import Doubles


@dataclass(frozen=True)
class ForecastErrors:
    """Errors over all forecasts of a split and all their steps; None: not finite, or not defined."""

    rmse: float | None  # in the target's unit, as is
    mae: float | None
    mase: (
        float | None
    )  # MAE, divided by that of persistence one row ahead on the training rows (Hyndman & Koehler 2006)
    r2: float | None  # 1 − squared error / that of the truth's own mean


LABELS = {"rmse": "RMSE", "mae": "MAE", "mase": "MASE", "r2": "R²"}  # field → its name for readers
ErrorsByTarget: TypeAlias = Mapping[str, ForecastErrors]


def forecast_errors(
    targets: Sequence[str], truth: Doubles, predictions: Doubles, naive_errors: Doubles
) -> dict[str, ForecastErrors]:
    """The errors of each target.

    Args:
        targets: Names of the G targets.
        truth: [B, G × horizon] all steps of the first target first, original units.
        predictions: [B, G × horizon] likewise.
        naive_errors: [G] the MAE of persistence one row ahead on the training rows; empty: unknown.
    """
    scales = naive_errors if len(naive_errors) else np.full(len(targets), np.nan)
    parts = zip(targets, *(np.split(values, len(targets), axis=1) for values in (truth, predictions)), strict=True)
    return {name: _errors(y, f, float(scale)) for (name, y, f), scale in zip(parts, scales, strict=True)}


def average(errors: ErrorsByTarget) -> ForecastErrors:
    """One line for all targets: MASE and R² are averaged; RMSE and MAE of several targets differ in their units, so
    that their mean would mean nothing."""
    every = list(errors.values())
    if len(every) == 1:
        return every[0]
    return ForecastErrors(None, None, _mean([e.mase for e in every]), _mean([e.r2 for e in every]))


def persistence_mae(values: Doubles) -> Doubles:
    """[N, G] training rows → [G] the MAE of persistence one row ahead."""
    return np.asarray(np.abs(np.diff(values, axis=0)).mean(axis=0), np.float64)


def _errors(truth: Doubles, predictions: Doubles, scale: float) -> ForecastErrors:
    with np.errstate(all="ignore"):  # what overflows or divides by zero becomes None
        difference = predictions - truth
        mae = np.abs(difference).mean()
        square = np.square(difference).mean()
        r2 = 1 - square / np.square(truth - truth.mean()).mean()
        values = [np.sqrt(square), mae, np.float64(mae) / scale, r2]
    return ForecastErrors(*(float(value) if np.isfinite(value) else None for value in values))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
