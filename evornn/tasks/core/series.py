"""Forecasting: read the last `window` values of a series, predict the next `horizon` (direct multi-step)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeAlias

import numpy as np
from annotated_types import Ge
from pydantic import BeforeValidator, ValidationInfo, field_validator

from evornn.settings import settings
from evornn.tasks.core import windows
from evornn.tasks.core.baselines import Problem, baselines
from evornn.tasks.core.scaling import Doubles, Scaling, Transform, check_domain
from evornn.tasks.core.task import Chart, Data, Sequences, Task


@dataclass(frozen=True)
class Table:
    """N rows in the order of time, with no gaps."""

    values: Doubles  # [N, C], finite
    columns: tuple[str, ...]  # C names
    inputs: tuple[str, ...]  # which of them a network reads
    targets: tuple[str, ...]  # which of them it predicts
    times: list[str]  # [N] ISO dates, or row numbers from 1
    dated: bool = False
    step: str = "row"  # what lies between two rows
    season: int | None = None  # in rows, where the data have one
    unit: str = ""
    source: str = ""  # and licence

    def positions(self, names: tuple[str, ...]) -> list[int]:
        """Where the columns of these names are."""
        return [self.columns.index(name) for name in names]


def _check_split(value: Any) -> Any:
    """Three fractions that sum to 1, or two ISO dates; YAML makes a date of what looks like one."""
    parts = [part.isoformat() if isinstance(part, date) else part for part in _as_list(value)]
    if len(parts) == 2 and all(isinstance(part, str) for part in parts):
        if date.fromisoformat(parts[0]) < date.fromisoformat(parts[1]):
            return parts
        raise ValueError("validation begins at the first date, test at the second: put the earlier one first")
    numbers = [part for part in parts if isinstance(part, (int, float)) and part > 0]
    if len(parts) == 3 and len(numbers) == 3 and abs(sum(numbers) - 1) < 1e-6:
        return parts
    raise ValueError("wants three fractions that sum to 1, or the dates on which validation and test begin")


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


Split: TypeAlias = Annotated[tuple[float | str, ...], BeforeValidator(_check_split)]


@settings
class Forecasting(Task):
    """What every forecasting task can be set to. Training windows begin every `stride` rows and their loss counts from
    step `washout` on; validation and test judge every forecast of their part, each from exactly `window` values."""

    horizon: Annotated[int, Ge(1)] = 1
    window: Annotated[int, Ge(1)] = 48
    washout: Annotated[int, Ge(0)] | None = None  # None: half the window
    stride: Annotated[int, Ge(1)] | None = None  # None: window − washout, so that each row is a target about once
    split: Split = (0.7, 0.15, 0.15)  # train, validation, test; or the dates on which the last two begin
    difference: bool = True  # predict the change from the last known value
    transform: Transform = "none"  # before standardising
    season: Annotated[int, Ge(1)] | None = None  # rows, for the seasonal baseline; None: what the data say

    @field_validator("washout")
    @classmethod
    def _washout_below_window(cls, washout: int | None, info: ValidationInfo) -> int | None:
        if washout is not None and washout >= info.data.get("window", washout + 1):
            raise ValueError("leaves no step of the window to count: set it below window")
        return washout

    @abstractmethod
    def table(self) -> Table:
        """The series. Raises EvornnError with what to do about bad data."""

    def data(self) -> Data:
        """Cut, split, scale. Raises EvornnError when the series is too short or a value has no transform."""
        return forecasts(self.table(), self)


def forecasts(table: Table, how: Forecasting) -> Data:
    """A table as three splits of windows, I = inputs, O = targets × horizon (all steps of the first target first)."""
    check_domain(how.transform, table.values, table.columns)
    parts = windows.parts(how.split, table.times, table.dated)
    windows.check_room(parts, how.window, how.horizon)
    scaling = Scaling.fit(how.transform, table.values[: parts.valid])
    washout = how.window // 2 if how.washout is None else how.washout
    training = parts.training(how.window, how.horizon, how.stride or how.window - washout)
    problem = _problem(table, how, parts, scaling, windows.counted(training, how.window, washout))
    chart = _chart(table, how, parts, scaling, problem)

    def cut(origins: windows.Rows, washout: int) -> Sequences:
        return windows.sequences(problem.inputs, problem.wanted, origins, how.window, washout)

    return Data(
        train=cut(training, washout),
        valid=cut(problem.valid, how.window - 1),
        test=cut(problem.test, how.window - 1),
        baselines=baselines(problem, chart.original),
        labels=tuple(_label(name, ahead, table) for name in table.targets for ahead in range(1, how.horizon + 1)),
        note=_note(table, parts),
        chart=chart,
    )


def _problem(table: Table, how: Forecasting, parts: windows.Parts, scaling: Scaling, training: windows.Rows) -> Problem:
    scaled = scaling.apply(table.values)
    levels = scaled[:, table.positions(table.targets)]
    base = np.repeat(levels, how.horizon, axis=1) * how.difference
    return Problem(
        inputs=scaled[:, table.positions(table.inputs)],
        levels=levels,
        wanted=windows.future(levels, how.horizon) - base,
        base=base,
        window=how.window,
        horizon=how.horizon,
        season=how.season or table.season,
        training=training,
        valid=parts.judged("valid", how.window, how.horizon),
        test=parts.judged("test", how.window, how.horizon),
    )


def _chart(table: Table, how: Forecasting, parts: windows.Parts, scaling: Scaling, problem: Problem) -> Chart:
    positions = table.positions(table.targets)
    targets, outputs = table.values[:, positions], np.repeat(positions, how.horizon)  # [N, G], [O]
    mean, std = scaling.mean[outputs], scaling.std[outputs]
    return Chart(
        times=[table.times[row + 1] for row in problem.test],
        truth=windows.future(targets, how.horizon)[problem.test].astype(np.float32),
        offset=(mean + std * problem.base[problem.test]).astype(np.float32),
        scale=std.astype(np.float32),
        unit=table.unit,
        history=targets[: problem.test[0] + 1, 0].astype(np.float32),
        transform=how.transform,
    )


def _label(target: str, ahead: int, table: Table) -> str:
    unit = f" ({table.unit})" if table.unit else ""
    return f"{target}, {ahead} {table.step}{'s' * (ahead > 1)} ahead{unit}"


def _note(table: Table, parts: windows.Parts) -> str:
    """Source, licence and where the parts begin."""
    train, valid, test, end = (table.times[row] for row in (0, parts.valid, parts.test, -1))
    return f"{table.source} Training from {train}, validation from {valid}, test from {test} to {end}.".strip()
