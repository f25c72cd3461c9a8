"""The Mackey-Glass series (Mackey & Glass 1977), a model of blood cells: dx/dt = 0.2 x(t − τ) / (1 + x(t − τ)¹⁰) − 0.1
x(t). It is chaotic from τ = 17 on."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from evornn.data.scaling import Doubles
from evornn.settings import settings
from evornn.tasks.core.series import Forecasting, TimeSeries

SUBSTEPS = 10  # of the integration, per unit of time
START = 1.2  # of x before time 0
TRANSIENT = 1000  # units of time that are left out


@settings
class MackeyGlass(Forecasting):
    """Predict the coming values; one row is one unit of time. Published work often looks 6 or 84 steps ahead: with that
    `horizon`, it is the last output."""

    horizon: Annotated[int, Ge(1)] = 6
    delay: Annotated[int, Ge(1)] = 17  # τ
    rows: Annotated[int, Ge(10)] = 3000

    def time_series(self) -> TimeSeries:
        """[rows, 1]"""
        values = mackey_glass(TRANSIENT + self.rows, self.delay)[TRANSIENT:, None]
        return TimeSeries(
            values=values,
            columns=("x",),
            inputs=("x",),
            targets=("x",),
            times=[str(row + 1) for row in range(self.rows)],
            step="step",
            source=f"The Mackey-Glass equation with τ = {self.delay}, by fourth-order Runge-Kutta steps of 0.1.",
        )


def mackey_glass(rows: int, delay: int) -> Doubles:
    """[rows] x at times 1, 2, …; delayed values lie on the grid or half-way between two of its points."""
    x, lag, h = [START] * (delay * SUBSTEPS + 1), delay * SUBSTEPS, 1 / SUBSTEPS
    for _ in range(rows * SUBSTEPS):
        # the delayed value at the beginning, middle and end of the step: one step of RK4
        now, before, after = x[-1], x[-1 - lag], x[-lag]
        middle = _birth((before + after) / 2)
        k1 = _birth(before) - 0.1 * now
        k2 = middle - 0.1 * (now + h / 2 * k1)
        k3 = middle - 0.1 * (now + h / 2 * k2)
        k4 = _birth(after) - 0.1 * (now + h * k3)
        x.append(now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[lag + SUBSTEPS :: SUBSTEPS])


def _birth(delayed: float) -> float:
    return 0.2 * delayed / (1 + delayed**10)
