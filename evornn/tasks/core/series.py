"""Forecasting: read the last `window` values of a series, predict the next `horizon` (direct multi-step)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, TypeAlias

import numpy as np
from annotated_types import Ge
from pydantic import BeforeValidator, ValidationInfo, field_validator

from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Doubles, Scaling, Transform, check_domain, check_magnitude
from evornn.data.times import parse_dates
from evornn.settings import settings
from evornn.tasks.core import windows
from evornn.tasks.core.baselines import ForecastProblem, baselines
from evornn.tasks.core.forecast_errors import persistence_mae
from evornn.tasks.core.task import Chart, Data, Sequences, Task


@dataclass(frozen=True)
class TimeSeries:
    """N rows in order of time, without gaps."""

    values: Doubles  # [N, C], finite
    columns: tuple[str, ...]  # C names
    inputs: tuple[str, ...]  # the columns that a network reads
    targets: tuple[str, ...]  # the columns that it predicts
    times: list[str]  # [N] ISO dates, or row numbers from 1
    has_dates: bool = False
    time: str | None = None  # the column that times come from
    step: str = "row"  # the unit of the time between two rows
    step_count: int = 1  # how many of them it is
    season: int | None = None  # in rows, where the data have one
    unit: str = ""
    source: str = ""  # and licence

    def positions(self, names: tuple[str, ...]) -> list[int]:
        """The numbers of the columns with these names."""
        return [self.columns.index(name) for name in names]


def _check_split(value: Any) -> Any:
    """Three fractions that sum to 1, or two ISO dates or times; YAML turns what looks like a date into one."""
    parts = [part.isoformat() if isinstance(part, date) else part for part in _as_list(value)]
    if len(parts) == 2 and all(isinstance(part, str) for part in parts):
        begins = [_check_begin(part) for part in parts]
        if datetime.fromisoformat(begins[0]) < datetime.fromisoformat(begins[1]):
            return begins
        raise ValueError("validation begins at the first date, test at the second: put the earlier one first")
    numbers = [part for part in parts if isinstance(part, (int, float)) and part > 0]
    if len(parts) == 3 and len(numbers) == 3 and abs(sum(numbers) - 1) < 1e-6:
        return parts
    raise ValueError("must be three fractions that sum to 1, or the dates or times at which validation and test begin")


def _check_begin(text: str) -> str:
    """A date, or a local time, in the form of `TimeSeries.times`."""
    try:
        begin = parse_dates([text])
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO date: write dates like 2008-12-31") from None
    if begin.offsets is not None:
        raise ValueError(f"{text} has an offset from UTC: write the local time, as it stands in the data")
    return begin.isoformat()[0]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


SplitBounds: TypeAlias = Annotated[tuple[float | str, ...], BeforeValidator(_check_split)]


@settings
class ForecastSettings(Task):
    """What every forecasting task can be set to. Training windows begin every `stride` rows, and their loss counts from
    step `washout` on. Validation and test judge every forecast of their part, each from exactly `window` values."""

    horizon: Annotated[int, Ge(1)] = 1
    window: Annotated[int, Ge(1)] = 48
    washout: Annotated[int, Ge(0)] | None = None  # None: half the window
    stride: Annotated[int, Ge(1)] | None = None  # None: window − washout, so that each row is a target about once
    split: SplitBounds = (0.7, 0.15, 0.15)  # train, validation, test; or the dates or times at which the last two begin
    difference: bool = True  # predict the change from the last known value
    transform: Transform = "none"  # before standardising
    season: Annotated[int, Ge(1)] | None = None  # rows, for the seasonal baseline; None: what the data say

    @field_validator("washout")
    @classmethod
    def _washout_below_window(cls, washout: int | None, info: ValidationInfo) -> int | None:
        if washout is not None and washout >= info.data.get("window", washout + 1):
            raise ValueError("leaves no step of the window to count: set it below window")
        return washout

    @property
    def washout_steps(self) -> int:
        """Steps at the beginning of a training window that don't count."""
        return self.window // 2 if self.washout is None else self.washout

    @property
    def rows_between(self) -> int:
        """Rows from one training window to the next."""
        return self.stride or self.window - self.washout_steps


@settings
class Forecasting(ForecastSettings):
    """A forecast of one series. To write one, derive from it and write `time_series`, the series with its columns,
    times and source."""

    @abstractmethod
    def time_series(self) -> TimeSeries:
        """The series. Raises EvornnError with what to do about bad data."""

    def data(self) -> Data:
        """Cut, split and scale the series. Raises EvornnError when it is too short or a value has no transform."""
        return make_forecast_data(self.time_series(), self)


def make_forecast_data(series: TimeSeries, task: Forecasting) -> Data:
    """A table as three splits of windows, I = inputs, O = targets × horizon (all steps of the first target first)."""
    check_domain(task.transform, series.values, series.columns)
    bounds = windows.split_origins(task.split, series.times, series.has_dates)
    windows.check_length(bounds, task.window, task.horizon)
    scaling = Scaling.fit(task.transform, series.values[: bounds.valid])
    check_magnitude(scaling, series.values, series.columns, bounds.valid)
    washout = task.washout_steps
    training = bounds.training_origins(task.window, task.horizon, task.rows_between)
    problem = _problem(series, task, bounds, scaling, windows.loss_origins(training, task.window, washout))
    chart = _chart(series, task, bounds, scaling, problem)

    def cut(origins: windows.Rows, washout: int) -> Sequences:
        return windows.sequences(problem.inputs, problem.targets, origins, task.window, washout)

    return Data(
        train=cut(training, washout),
        valid=cut(problem.valid, task.window - 1),
        test=cut(problem.test, task.window - 1),
        baselines=baselines(problem, chart),
        labels=forecast_labels(series.targets, task.horizon, series.step, series.step_count, series.unit),
        note=f"{_note(series, bounds)} {_describe_unread(series)}".strip(),
        chart=chart,
        warning=_describe_unread(series),
        preparation=_preparation(series, task, scaling),
    )


def _describe_unread(series: TimeSeries) -> str:
    """What to know where `inputs` leave out a target; empty: they don't."""
    unread = [name for name in series.targets if name not in series.inputs]
    if not unread:
        return ""
    names, read = (" and ".join(repr(name) for name in group) for group in (unread, series.inputs))
    return (
        f"The past of {names} is not an input, for the networks and the baseline autoregression alike; they read "
        f"{read} only: name the targets among the inputs, too, or ask with kind: forecast."
    )


def _problem(
    series: TimeSeries, task: Forecasting, bounds: windows.SplitOrigins, scaling: Scaling, training: windows.Rows
) -> ForecastProblem:
    scaled = scaling.apply(series.values)
    levels = scaled[:, series.positions(series.targets)]
    base = np.repeat(levels, task.horizon, axis=1) * task.difference
    return ForecastProblem(
        inputs=scaled[:, series.positions(series.inputs)],
        levels=levels,
        targets=windows.future(levels, task.horizon) - base,
        base=base,
        window=task.window,
        horizon=task.horizon,
        season=task.season or series.season,
        training=training,
        valid=bounds.evaluation_origins("valid", task.window, task.horizon),
        test=bounds.evaluation_origins("test", task.window, task.horizon),
    )


def _chart(
    series: TimeSeries, task: Forecasting, bounds: windows.SplitOrigins, scaling: Scaling, problem: ForecastProblem
) -> Chart:
    positions = series.positions(series.targets)
    targets, outputs = series.values[:, positions], np.repeat(positions, task.horizon)  # [N, G], [O]
    mean, std = scaling.mean[outputs], scaling.std[outputs]
    return Chart(
        times=[series.times[row + 1] for row in problem.test],
        truth=windows.future(targets, task.horizon)[problem.test],
        offset=mean + std * problem.base[problem.test],
        scale=std,
        unit=series.unit,
        history=targets[: problem.test[0] + 1, 0],
        transform=task.transform,
        targets=series.targets,
        naive_errors=persistence_mae(targets[: bounds.valid]),
    )


def forecast_labels(
    targets: tuple[str, ...], horizon: int, step: str, step_count: int, unit: str = ""
) -> tuple[str, ...]:
    """Names of the O outputs.

    Args:
        targets: the columns.
        horizon: rows that a forecast predicts.
        step: the unit of the time between two rows.
        step_count: how many of them it is.
        unit: that of the targets, if it is known.
    """
    end = f" ({unit})" if unit else ""
    amounts = [ahead * step_count for ahead in range(1, horizon + 1)]
    return tuple(f"{name}, {amount} {step}{'s' * (amount > 1)} ahead{end}" for name in targets for amount in amounts)


def _preparation(series: TimeSeries, task: Forecasting, scaling: Scaling) -> Preparation:
    columns = {name: (float(m), float(s)) for name, m, s in zip(series.columns, scaling.mean, scaling.std, strict=True)}
    return Preparation(
        question="forecast",
        features=tuple(Feature(name, task.transform, *columns[name]) for name in series.inputs),
        answers=tuple(
            OutputColumn(name, task.transform, *columns[name], horizon=task.horizon, difference=task.difference)
            for name in series.targets
        ),
        time=series.time,
        window=task.window,
    )


def _note(series: TimeSeries, bounds: windows.SplitOrigins) -> str:
    """Source, licence and where the parts begin."""
    train, valid, test, end = (series.times[row] for row in (0, bounds.valid, bounds.test, -1))
    return f"{series.source} Training from {train}, validation from {valid}, test from {test} to {end}.".strip()
