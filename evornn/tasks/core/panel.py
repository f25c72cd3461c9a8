"""Several series of one table, each cut in time: rows of one series after those of another, windows within each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evornn.arrays import Mask
from evornn.data.dates import Dates
from evornn.data.features import encode, encode_by_column, fit_scaling, scale_column
from evornn.data.frequency import Frequency
from evornn.data.groups import RowGroup, find_frequency
from evornn.data.large_files import beside
from evornn.data.preparation import Feature, OutputColumn
from evornn.data.scaling import SMALLEST, Doubles, forward
from evornn.data.splitting import Parts
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.tasks.core import windows
from evornn.tasks.core.baselines import ForecastProblem, baselines
from evornn.tasks.core.forecast_errors import persistence_mae
from evornn.tasks.core.series import ForecastSettings
from evornn.tasks.core.task import Baseline, Chart
from evornn.tasks.core.windows import Rows, SplitOrigins

TEXTS = 2**16  # times that are written at a time


@dataclass(frozen=True)
class RowTimes:
    """[N] the time of each row as text, or its number where there are no dates; written when they are asked for."""

    dates: Dates | None
    numbers: Rows  # [N] from 1, of each row in its series

    def texts(self, rows: Rows) -> list[str]:
        """Those of some rows."""
        return [str(one) for one in self.numbers[rows].tolist()] if self.dates is None else self.dates.texts(rows)


@dataclass(frozen=True)
class SeriesTimes:
    """[T] the times of the rows of one series, in order."""

    times: RowTimes
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self.rows), TEXTS):
            yield from self.times.texts(self.rows[begin : begin + TEXTS])


@dataclass(frozen=True)
class Panel:
    """The series of a table, and where the parts of each begin."""

    table: Table
    groups: list[RowGroup]
    bounds: list[SplitOrigins]  # of each group, in its own rows
    times: RowTimes  # of the table's rows
    frequency: Frequency
    truth: Table  # that forecasts are judged by: what was missing is missing, also where an input is filled in

    @property
    def order(self) -> Rows:
        """[N] the table's rows, group after group: the order of all that follows."""
        return np.concatenate([group.rows for group in self.groups])

    @property
    def starts(self) -> list[int]:
        """Where each group begins in that order."""
        return [0, *np.cumsum([len(group) for group in self.groups])[:-1].tolist()]

    @property
    def training_rows(self) -> Mask:
        """[N] the table's rows for training."""
        rows = np.zeros(len(self.table), np.bool_)
        for group, bounds in zip(self.groups, self.bounds, strict=True):
            rows[group.rows[: bounds.valid]] = True
        return rows

    def origins(self, choose: Callable[[SplitOrigins], Rows]) -> Rows:
        """Those of all groups, in the common order."""
        places = zip(self.starts, self.bounds, strict=True)
        return np.concatenate([start + choose(bounds) for start, bounds in places])

    def group_of(self, origins: Rows) -> Rows:
        """The number of the group that each origin is in."""
        return np.searchsorted(self.starts, origins, side="right") - 1

    def scales(self, name: str, transform: Any) -> tuple[tuple[str, float, float], ...]:
        """Each group's own mean and standard deviation of a column."""
        column, training, scales = self.table.column(name), self.training_rows, []
        for group in self.groups:
            mine = np.zeros(len(training), np.bool_)
            mine[group.rows] = training[group.rows]
            if not (mine & ~column.missing).any():
                raise EvornnError(
                    f"{self.table.source}: column {name!r} has no value in the training rows of series {group.name!r}: "
                    "leave the series out, or scale by column"
                )
            scaling = fit_scaling(self.table, column, mine, transform)
            scales.append((group.name, float(scaling.mean[0]), float(scaling.std[0])))
        return tuple(scales)

    def typical_change(self, name: str, transform: Any, horizon: int, group: str | None = None) -> float:
        """The root mean square of a column's changes over 1 … horizon rows of training, in all series or in one; 0 if
        nothing changes."""
        column, squares, count = self.truth.column(name), 0.0, 0
        for one, bounds in zip(self.groups, self.bounds, strict=True):
            if group in (None, one.name):
                values = forward(transform, column.values[one.rows[: bounds.valid]])
                for rows in range(1, min(horizon, len(values) - 1) + 1):
                    changes = values[rows:] - values[:-rows]
                    squares, count = squares + float(np.nansum(changes**2)), count + int(np.isfinite(changes).sum())
        change = float(np.sqrt(squares / max(count, 1)))
        return change if change >= SMALLEST else 0.0


def make_panel(
    table: Table, groups: list[RowGroup], time: str | None, task: ForecastSettings, parts: Parts | None = None
) -> Panel:
    """Raises EvornnError for rows that are not evenly spaced, and for a series that is too short.

    Args:
        table: its rows.
        groups: the series.
        time: the column of times; None: rows are in order.
        task: how they are split.
        parts: the part of each series, where it is the whole of it; None: each is split in time.
    """
    column = None if time is None else table.column(time)
    has_dates = column is not None and column.kind == "time"
    dates = Dates(column.values, column.offsets) if column is not None and has_dates else None
    times = RowTimes(dates, _row_numbers(groups, len(table)))
    frequency = Frequency("row") if time is None else _common_frequency(table, groups, time)
    if parts is None:
        bounds = [_bounds(table, group, SeriesTimes(times, group.rows), has_dates, task) for group in groups]
    else:
        bounds = [_whole(table, group, int(part), task) for group, part in zip(groups, parts, strict=True)]
    return Panel(table, groups, bounds, times, frequency, table)


def _row_numbers(groups: Sequence[RowGroup], rows: int) -> Rows:
    numbers = np.zeros(rows, np.int64)
    for group in groups:
        numbers[group.rows] = np.arange(1, len(group) + 1)
    return numbers


def _common_frequency(table: Table, groups: Sequence[RowGroup], time: str) -> Frequency:
    frequencies: dict[Frequency, str] = {}
    for group in groups:
        frequencies.setdefault(find_frequency(table, time, group), group.name)
    if len(frequencies) > 1:
        one, other = list(frequencies)[:2]
        raise EvornnError(
            f"{table.source}: rows of {frequencies[one]!r} are {one.count} {one.unit} apart, those of "
            f"{frequencies[other]!r} {other.count} {other.unit}: space all series alike"
        )
    return next(iter(frequencies))


def _bounds(table: Table, group: RowGroup, times: SeriesTimes, has_dates: bool, task: ForecastSettings) -> SplitOrigins:
    bounds = windows.split_origins(task.split, times, has_dates)
    try:
        windows.check_length(bounds, task.window, task.horizon)
    except EvornnError as error:
        raise EvornnError(f"{table.source}, series {group.name!r}: {error}, or leave this series out") from None
    return bounds


def _whole(table: Table, group: RowGroup, part: int, task: ForecastSettings) -> SplitOrigins:
    """A series that is in one part from its first row to its last."""
    rows = len(group)
    if rows < task.window + task.horizon:
        minimum = f"window {task.window} + horizon {task.horizon}"
        raise EvornnError(
            f"{table.source}, series {group.name!r}: {rows} rows, shorter than {minimum}: lower the window, or leave "
            "this series out"
        )
    return SplitOrigins(*((rows, rows), (0, rows), (0, 0))[part], rows)


def make_problem(
    panel: Panel,
    features: Sequence[Feature],
    answers: Sequence[OutputColumn],
    season: int | None,
    task: ForecastSettings,
) -> tuple[ForecastProblem, Rows]:
    """What the baselines see, and the origins [B] of training windows. Forecasts of missing values are left out.

    Args:
        panel: the series.
        features: what a network reads.
        answers: what it predicts.
        season: in rows; None: there is none.
        task: window, horizon and so on.
    """
    table, order = panel.table, panel.order
    columns = [panel.truth.column(one.column) for one in answers]
    values = np.stack(
        [scale_column(column, one, panel.groups)[order] for column, one in zip(columns, answers, strict=True)], axis=1
    )
    known = np.isfinite(values)
    levels = _carry(values, panel)
    base = np.repeat(levels, task.horizon, axis=1) * task.difference
    targets = windows.future(values, task.horizon) - base
    usable = np.asarray(np.isfinite(targets).all(axis=1))
    training = panel.origins(lambda one: one.training_origins(task.window, task.horizon, task.rows_between))
    counting = windows.loss_origins(training, task.window, task.washout_steps)
    counting = counting[counting - panel_starts(panel)[counting] >= task.window - 1]
    judged = [
        panel.origins(lambda one, part=part: one.evaluation_origins(part, task.window, task.horizon))  # type: ignore[misc]
        for part in ("valid", "test")
    ]
    valid, test = (rows[usable[rows]] for rows in judged)
    for name, rows in (("training", counting[usable[counting]]), ("validation", valid), ("test", test)):
        if not len(rows):
            raise EvornnError(f"{table.source}: every forecast of {name} has a missing value: fill some in")
    problem = ForecastProblem(
        inputs=_encode(panel, features),
        levels=np.where(np.isfinite(levels), levels, 0.0) if not known.all() else levels,
        targets=targets,
        base=base,
        window=task.window,
        horizon=task.horizon,
        season=season,
        training=counting[usable[counting]],
        valid=valid,
        test=test,
        starts=panel_starts(panel),
    )
    return problem, training


def _encode(panel: Panel, features: Sequence[Feature]) -> Any:
    """[N, I] the inputs. Those of a large file are kept in single precision, in which networks read them."""
    if not panel.table.is_mapped:
        return encode(panel.table, features, panel.groups)[panel.order]
    with beside(panel.table):
        return encode_by_column(panel.table, features, panel.groups, panel.order)


def panel_starts(panel: Panel) -> Rows:
    """[N] the first row of each row's series."""
    return np.repeat(panel.starts, [len(group) for group in panel.groups])


def _carry(values: Doubles, panel: Panel) -> Doubles:
    """[N, G] with what is missing replaced by the last known value of its series; NaN where there is none."""
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], panel_starts(panel)[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def make_chart(
    panel: Panel, problem: ForecastProblem, answers: Sequence[OutputColumn], loss: str
) -> tuple[Chart, tuple[Baseline, ...]]:
    """Forecasts and truth in original units, and the baselines judged in them.

    Args:
        panel: the series.
        problem: the forecasts.
        answers: what is predicted; all have the same transform.
        loss: by which baselines are judged.
    """
    order, test, horizon = panel.order, problem.test, problem.horizon
    values = np.stack([panel.truth.column(one.column).values[order] for one in answers], axis=1)
    mean, std = (np.stack([_of_groups(panel, one, which)[test] for one in answers], axis=1) for which in (0, 1))
    mean, std = np.repeat(mean, horizon, axis=1), np.repeat(std, horizon, axis=1)
    numbers = panel.group_of(test)
    first = panel.starts[numbers[0]]
    chart = Chart(
        times=panel.times.texts(order[test + 1]),
        truth=windows.future(values, horizon)[test],
        offset=mean + std * problem.base[test],
        scale=std if any(one.scales for one in answers) else std[0],
        history=values[first : test[0] + 1, 0],
        transform=answers[0].transform,
        targets=tuple(one.column for one in answers),
        naive_errors=_naive_errors(panel, values),
        series=_series(panel, numbers),
    )
    return chart, baselines(problem, chart, loss)


def _series(panel: Panel, numbers: Rows) -> tuple[tuple[str, int], ...]:
    if len(panel.groups) == 1:
        return ()
    return tuple((panel.groups[k].name, int((numbers == k).sum())) for k in np.unique(numbers))


def _of_groups(panel: Panel, answer: OutputColumn, which: int) -> Doubles:
    """[N] the mean (0) or the standard deviation (1) by which each row is scaled."""
    own = {scale[0]: (scale[1], scale[2]) for scale in answer.scales}
    scales = [own.get(group.name, (answer.mean, answer.std))[which] for group in panel.groups]
    return np.repeat(scales, [len(group) for group in panel.groups])


def _naive_errors(panel: Panel, values: Doubles) -> Doubles:
    """[G] the MAE of persistence one row ahead, over the training rows of all series."""
    steps = []
    for start, bounds in zip(panel.starts, panel.bounds, strict=True):
        rows = values[start : start + bounds.valid]
        steps.append(np.abs(np.diff(rows, axis=0)))
    if len(steps) == 1 and np.isfinite(steps[0]).all():
        return persistence_mae(values[: panel.bounds[0].valid])
    return np.asarray(np.nanmean(np.concatenate(steps), axis=0), np.float64)
