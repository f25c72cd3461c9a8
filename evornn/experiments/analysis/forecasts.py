"""Forecasts of a comparison side by side: the chosen network, the median run of each method, and the baselines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evornn.experiments.analysis.comparison import TaskComparison
from evornn.experiments.analysis.narrative import number
from evornn.tasks.core.forecast_errors import LABELS, ErrorsByTarget, ForecastErrors

HEAD = ("forecast", "test loss", *LABELS.values())
CAPTION = (
    "Forecasts on the test split: RMSE and MAE in original units; MASE: MAE relative to that of persistence one row "
    "ahead on the training rows (below 1: better); R²: share of the variance explained"
)


@dataclass(frozen=True)
class ForecastRow:
    """One line: whose forecast, its test loss and its errors."""

    name: str
    loss: float | None
    errors: ForecastErrors

    @property
    def cells(self) -> tuple[str, ...]:
        """Texts of the columns in HEAD."""
        e = self.errors
        r2 = "–" if e.r2 is None else f"{e.r2:.3f}"
        return self.name, number(self.loss), number(e.rmse), number(e.mae), number(e.mase, 3), r2


def forecast_rows(task: TaskComparison) -> list[ForecastRow]:
    """The lines of a task, by targets where it has several; empty if it is no forecast."""
    chosen = task.chosen
    if chosen is None or not chosen.errors:
        return []
    rows = list(_by_target(f"chosen: {chosen.network}, {chosen.trainer}", chosen.test, chosen.errors))
    for verdict in chosen.verdicts:
        rows += _by_target(verdict.baseline, verdict.loss, verdict.errors)
    medians = [
        ForecastRow(f"median of {cell.network}, {cell.trainer}", cell.test.median, cell.errors)
        for cell in task.cells
        if cell.errors is not None
    ]
    return rows + medians


def _by_target(name: str, loss: float, by_target: ErrorsByTarget) -> Iterator[ForecastRow]:
    for target, errors in by_target.items():
        label = f"{name}: {target}" if len(by_target) > 1 else name
        yield ForecastRow(label, loss if len(by_target) == 1 else None, errors)
