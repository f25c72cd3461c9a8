"""Superimposed sines (Jaeger & Haas 2004; Schmidhuber et al. 2007, "Training recurrent networks by Evolino"): several
frequencies without a common period."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from evornn.settings import settings
from evornn.tasks.core.series import Forecasting, TimeSeries

FREQUENCIES = (0.2, 0.311, 0.42, 0.51, 0.74)  # radians per step


@settings
class Sines(Forecasting):
    """Predict the coming values of the sum of the first `count` sines. Autoregression can solve it exactly."""

    count: Annotated[int, Ge(1), Le(5)] = 2
    rows: Annotated[int, Ge(10)] = 1000

    def time_series(self) -> TimeSeries:
        """[rows, 1]"""
        frequencies = FREQUENCIES[: self.count]
        angles = np.arange(1, self.rows + 1)[:, None] * np.array(frequencies)
        return TimeSeries(
            values=np.sin(angles).sum(axis=1, keepdims=True),
            columns=("sines",),
            inputs=("sines",),
            targets=("sines",),
            times=[str(row + 1) for row in range(self.rows)],
            step="step",
            source=f"The sum of {self.count} sines of {', '.join(map(str, frequencies))} radians per step.",
        )
