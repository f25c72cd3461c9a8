"""Monthly mean sunspot numbers, 1749–2008: cycles of about eleven years, noisy, and never below zero."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import numpy as np
from annotated_types import Ge

from evornn.data.scaling import Doubles, Transform
from evornn.settings import settings
from evornn.tasks.core.series import Forecasting, TimeSeries

YEARS = range(1749, 2009)  # what follows December 2008 is preliminary at the source
SOURCE = (
    "Monthly mean (Zürich/International) sunspot numbers 1749–2008, National Geophysical Data Center, public domain."
)


@settings
class Sunspots(Forecasting):
    """Predict the coming months. By default 1749–1930 is for training, 1931–1969 for choosing, the rest for judging."""

    window: Annotated[int, Ge(1)] = 72  # as `transform` chosen on validation data: docs/internals/sunspots.md
    transform: Transform = "sqrt"  # the noise grows with the level

    def time_series(self) -> TimeSeries:
        """[3120, 1], one value a month."""
        values = _monthly_means()
        return TimeSeries(
            values=values.reshape(-1, 1),
            columns=("sunspots",),
            inputs=("sunspots",),
            targets=("sunspots",),
            times=[f"{year}-{month:02}-01" for year in YEARS for month in range(1, 13)],
            has_dates=True,
            step="month",
            unit="sunspot number",
            season=132,  # the cycle of about eleven years; sunspots know no calendar
            source=SOURCE,
        )


def _monthly_means() -> Doubles:
    """[3120] from the table in this package: a line is a year and its twelve months."""
    with files("evornn.tasks").joinpath("data/sunspots.csv").open(encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",")
    assert table[:, 0].tolist() == list(YEARS)
    return table[:, 1:].ravel()
