"""Forecast one or many series of one's own: loads, sales, sensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge
from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator

from evornn.data.features import (
    ahead,
    calendar_features,
    fit_changes,
    fit_features,
    fit_scaling,
    places_of_changes,
)
from evornn.data.filling import fill_missing
from evornn.data.groups import RowGroup, list_groups, typical_step
from evornn.data.options import ReadOptions
from evornn.data.preparation import CalendarPart, Feature, OutputColumn, Preparation
from evornn.data.reading import read_file
from evornn.data.splitting import Parts, split_by_fractions
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core.column_names import Names, SomeNames
from evornn.tasks.core.own_data import describe_features
from evornn.tasks.core.panel import Panel, make_chart, make_panel, make_problem
from evornn.tasks.core.quantiles import Quantiles, median_block, number_loss, quantile_answers, repeat_targets
from evornn.tasks.core.series import ForecastSettings, forecast_labels
from evornn.tasks.core.task import Data, Sequences
from evornn.tasks.core.windows import Rows, sequences


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _check_distinct(parts: tuple[CalendarPart, ...]) -> tuple[CalendarPart, ...]:
    if len(set(parts)) < len(parts):
        raise ValueError("name each part of the calendar once")
    return parts


CalendarParts: TypeAlias = Annotated[
    tuple[CalendarPart, ...], BeforeValidator(_as_tuple), AfterValidator(_check_distinct)
]


@settings
class Forecast(ForecastSettings):
    """Predict columns of a file of your own, of one series or of many. The targets' own past is always an input. Each
    series is cut in time: fractions are those of its rows, dates are the same for all. No window crosses from one
    series to another."""

    path: str
    targets: Names
    group: str | None = None  # the column whose values tell series apart; None: one series
    time: str | None = None  # the column of dates, times or numbers; None: rows are in order
    covariates: SomeNames = ()  # further columns whose past is known
    past: Literal["levels", "changes", "both"] = "both"  # of targets and covariates; a trend leaves changes in range
    known_ahead: SomeNames = ()  # columns whose values at the steps to be predicted are known, too
    calendar: CalendarParts = ()  # of a row's time, as sine and cosine
    static: SomeNames = ()  # columns that are the same in all rows of a series
    split_by: Literal["time", "group"] = "time"  # group: whole series are for training, others for the test
    split_seed: Annotated[int, Ge(0)] = 0  # of a split by group
    scale: Literal["column", "group"] = "column"  # group: each series by its own training rows
    quantiles: Quantiles = ()  # levels to predict instead of the mean, such as [0.1, 0.5, 0.9]
    missing: Literal["refuse", "mask", "forward_fill"] = "refuse"  # what to do where a value is missing
    read: ReadOptions = ReadOptions()  # how to read the file; what is left out is found out

    @field_validator("split_by")
    @classmethod
    def _fractions_are_of_series(cls, split_by: str, info: ValidationInfo) -> str:
        if split_by == "group" and isinstance(info.data.get("split", (0.0,))[0], str):
            raise ValueError("splits by fractions of the series: set split to three fractions")
        return split_by

    @field_validator("scale")
    @classmethod
    def _scales_are_known(cls, scale: str, info: ValidationInfo) -> str:
        if scale == "group" and info.data.get("split_by") == "group":
            raise ValueError("a series of the test has no training rows to be scaled by: set it to column")
        return scale

    @field_validator("past")
    @classmethod
    def _changes_are_predicted(cls, past: str, info: ValidationInfo) -> str:
        if past == "changes" and not info.data.get("difference", True):
            raise ValueError("who reads no levels can't predict one: set difference to true, or past to both")
        if past == "changes" and info.data.get("window") == 1:
            raise ValueError("a window of one row has no change: set window to 2 at least, or past to levels")
        return past

    def data(self) -> Data:
        """O = levels × targets × horizon. Raises EvornnError that names file, column and line, and says what to do."""
        return self.data_of(read_file(Path(self.path), self.read))

    def data_of(self, table: Table) -> Data:
        """Of a table that is in memory, whatever the path. Raises the same as `data`."""
        table = self._check_columns(table)
        groups = list_groups(table, self.group, self.time)
        columns = [*self.targets, *self.covariates, *self.known_ahead, *self.static]
        filled = fill_missing(table, columns, self.missing, groups)
        panel = replace(make_panel(filled, groups, self.time, self, self._parts(filled, groups)), truth=table)
        features, answers = self._features(panel), self._answers(panel)
        problem, training = make_problem(panel, features, answers, self.season or panel.frequency.season, self)
        loss = number_loss(self.quantiles)
        chart, floors = make_chart(panel, problem, answers, loss)
        answers = quantile_answers(answers, self.quantiles)
        inputs = problem.inputs.astype(np.float32, copy=False)
        targets = repeat_targets(problem.targets, self.quantiles).astype(np.float32)

        def cut(origins: Rows, washout: int) -> Sequences:
            return sequences(inputs, targets, origins, self.window, washout, places_of_changes(features))

        return Data(
            train=cut(training, self.washout_steps),
            valid=cut(problem.valid, self.window - 1),
            test=cut(problem.test, self.window - 1),
            loss=loss,
            baselines=floors,
            labels=forecast_labels(
                tuple(one.name for one in answers), self.horizon, panel.frequency.unit, panel.frequency.count
            ),
            note=self._note(panel, features),
            chart=replace(chart, first_output=median_block(self.quantiles, chart.truth.shape[1]).start),
            preparation=Preparation(
                "forecast",
                features,
                answers,
                self.group,
                self.time,
                self.window,
                self.missing,
                loss,
                step=None if self.time is None else typical_step(table.column(self.time), groups[0]),
                read=self.read,
            ),
        )

    def _parts(self, table: Table, groups: list[RowGroup]) -> Parts | None:
        """The part of each series; None: all are split in time."""
        if self.split_by == "time":
            return None
        if self.group is None or len(groups) < 3:
            count = "one series" if self.group is None else f"{len(groups)} series"
            raise EvornnError(f"{table.source}: {count}, too few for a split by group: set group, or split_by to time")
        return split_by_fractions([0] * len(groups), [float(share) for share in self.split], self.split_seed)

    def _check_columns(self, table: Table) -> Table:
        """Raises EvornnError for a column that is not there, has a role too many or is no number."""
        roles: dict[str, str] = {}
        for role in ("targets", "covariates", "known_ahead", "static", "group", "time"):
            value = getattr(self, role)
            for name in (value,) if isinstance(value, str) else value or ():
                table.column(name)
                if name in roles:
                    first = "targets, whose past is always an input" if roles[name] == "targets" else roles[name]
                    raise EvornnError(
                        f"{table.source}: column {name!r} is among {first}, and in {role}: leave it out of {role}"
                    )
                roles[name] = role
        for name in self.targets:
            if table.column(name).kind not in ("number", "boolean"):
                raise EvornnError(
                    f"{table.source}: column {name!r} holds no numbers, and can't be forecast: name another column"
                )
        return table

    def _features(self, panel: Panel) -> tuple[Feature, ...]:
        """The targets' past first."""
        known = [self._fit(panel, name) for name in self.known_ahead]
        past = [one for name in (*self.targets, *self.covariates) for one in self._fit(panel, name)]
        return (
            *(one for level in past for one in self._read_past(panel, level)),
            *(one for features in known for rows in range(self.horizon + 1) for one in ahead(features, rows)),
            *calendar_features(panel.table, self.time, self.calendar),
            *(one for name in self.static for one in self._fit_static(panel, name)),
        )

    def _fit(self, panel: Panel, name: str) -> tuple[Feature, ...]:
        features = fit_features(panel.table, [name], panel.training_rows, self.transform, self.missing == "mask")
        if not self._has_scales(panel.table, name):
            return features
        scales = panel.scales(name, self.transform)
        return tuple(replace(one, scales=() if one.derived else scales) for one in features)

    def _read_past(self, panel: Panel, level: Feature) -> tuple[Feature, ...]:
        """A feature as `past` says; categories and what is derived stay what they are."""
        if self.past == "levels" or level.derived or panel.table.column(level.column).kind != "number":
            return (level,)
        change = fit_changes(panel.table, level, panel.training_rows, panel.groups)
        return (change,) if self.past == "changes" else (level, change)

    def _has_scales(self, table: Table, name: str) -> bool:
        return self.scale == "group" and table.column(name).kind == "number"

    def _fit_static(self, panel: Panel, name: str) -> tuple[Feature, ...]:
        column = panel.table.column(name)
        for group in panel.groups:
            rows = group.rows[~column.missing[group.rows]]
            other = rows[column.values[rows] != column.values[rows[:1]]]
            if len(other):
                raise panel.table.cell_error(
                    name,
                    int(other[0]),
                    f"varies within series {group.name!r}: name it in covariates or known_ahead instead of static",
                )
        return fit_features(panel.table, [name], panel.training_rows, "none", self.missing == "mask")

    def _answers(self, panel: Panel) -> tuple[OutputColumn, ...]:
        """Where changes are predicted, their size is the unit of outputs: a trend makes it small beside the levels'."""
        answers = []
        for name in self.targets:
            scaling = fit_scaling(panel.table, panel.table.column(name), panel.training_rows, self.transform)
            scales = panel.scales(name, self.transform) if self._has_scales(panel.table, name) else ()
            mean, std = float(scaling.mean[0]), float(scaling.std[0])
            if self.difference:
                std = panel.typical_change(name, self.transform, self.horizon) or std
                own = [panel.typical_change(name, self.transform, self.horizon, group=scale[0]) for scale in scales]
                scales = tuple((group, m, change or s) for (group, m, s), change in zip(scales, own, strict=True))
            answers.append(
                OutputColumn(
                    name, self.transform, mean, std, horizon=self.horizon, difference=self.difference, scales=scales
                )
            )
        return tuple(answers)

    def _note(self, panel: Panel, features: tuple[Feature, ...]) -> str:
        """Source, what the network sees, and where the parts begin."""
        lengths = [len(group) for group in panel.groups]
        rows = f"{min(lengths)}" if min(lengths) == max(lengths) else f"{min(lengths)} to {max(lengths)}"
        series = f"{len(lengths)} series of {rows} rows" if self.group else f"{rows} rows"
        seen = describe_features(features)
        return (
            f"From {panel.table.source}: {series}. {self._describe_split(panel)} The network reads {self.window} "
            f"rows of {seen}."
        )

    def _describe_split(self, panel: Panel) -> str:
        if self.split_by == "group":
            begins = [(bounds.valid > 0, bounds.valid == 0 < bounds.test, bounds.test == 0) for bounds in panel.bounds]
            sizes = " / ".join(str(sum(part)) for part in zip(*begins, strict=True))
            return f"{sizes} series for training, validation and test (seed {self.split_seed})."
        rows, bounds = panel.groups[0].rows, panel.bounds[0]
        train, valid, test, end = panel.times.texts(rows[[0, bounds.valid, bounds.test, -1]])
        which = f", in {panel.groups[0].name!r}" if self.group else ""
        return f"Training from {train}, validation from {valid}, test from {test} to {end}{which}."
