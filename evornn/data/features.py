"""Columns as inputs of a network: numbers scaled by training rows, categories one-hot, parts of the calendar as sine
and cosine, changes from row to row, and whether a value is missing, which is 0 itself, the mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Mask
from evornn.data.groups import RowGroup
from evornn.data.growing import Growing, empty_array
from evornn.data.preparation import CalendarPart, Feature
from evornn.data.scaling import LARGEST, SMALLEST, Doubles, Scaling, Transform, forward
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

BLOCK = 2**16  # rows that are encoded at a time
READABLE = ("number", "boolean", "category")
DAY, HOUR = np.timedelta64(1, "D"), np.timedelta64(1, "h")


def fit_features(
    table: Table, names: Sequence[str], training: Mask, transform: Transform = "none", masked: bool = False
) -> tuple[Feature, ...]:
    """What a network reads of some columns.

    Args:
        table: the values.
        names: columns of kind number, boolean or category.
        training: [N] the rows on which scaling is fitted.
        transform: of numbers, before standardising.
        masked: whether values may be missing; then a number that is somewhere brings an input that says where it is.

    Raises:
        EvornnError: a column is of another kind, or can't be scaled.
    """
    features: list[Feature] = []
    for name in names:
        column = table.column(name)
        if column.kind not in READABLE:
            raise EvornnError(
                f"{table.source}: column {name!r} holds {column.kind}s, which no network reads: leave it out"
            )
        features.append(_fit(table, column, training, transform))
        if masked and column.kind != "category" and column.missing.any():
            features.append(Feature(name, derived="missing"))
    return tuple(features)


def _fit(table: Table, column: Column, training: Mask, transform: Transform) -> Feature:
    known = training & ~column.missing
    if not known.any():
        raise EvornnError(f"{table.source}: column {column.name!r} has no value in training rows: leave it out")
    if column.kind == "category":  # what training rows don't have, no weight can learn: it is all zeros
        seen = np.unique(column.values[known])
        return Feature(column.name, categories=tuple(column.categories[int(k)] for k in seen))
    how = transform if column.kind == "number" else "none"
    scaling = fit_scaling(table, column, training, how)
    return Feature(column.name, how, float(scaling.mean[0]), float(scaling.std[0]))


def fit_scaling(table: Table, column: Column, training: Mask, transform: Transform) -> Scaling:
    """The scaling of one column of numbers. Raises EvornnError, which names a cell, where a value can't be scaled."""
    known = ~column.missing
    outside = (
        known & {"none": np.zeros(len(known), bool), "sqrt": column.values < 0, "log1p": column.values <= -1}[transform]
    )
    if outside.any():
        raise table.cell_error(column.name, int(outside.argmax()), f"has no {transform}: set transform to none")
    scaling = Scaling.fit(transform, column.values[known & training, None])
    if scaling.std[0] < SMALLEST:
        raise EvornnError(
            f"{table.source}: column {column.name!r} varies too little to be scaled: give it in a smaller unit"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        blocks = (column.values[begin : begin + BLOCK, None] for begin in range(0, len(known), BLOCK))
        small = [np.abs(scaling.apply(block)[:, 0]) <= LARGEST for block in blocks]
        large = known & ~np.concatenate([*small, np.zeros(0, np.bool_)])
    if not np.isfinite(scaling.mean[0] + scaling.std[0]):
        large = np.abs(column.values) == np.abs(column.values[known & training]).max()
    if large.any():
        raise table.cell_error(column.name, int(large.argmax()), "is too large to be scaled: replace the value")
    return scaling


def encode(table: Table, features: Sequence[Feature], groups: Sequence[RowGroup]) -> Doubles:
    """[N, I] the inputs of each row. A feature that lies ahead is that of a later row of the same group, 0 where there
    is none.

    Args:
        table: has the features' columns.
        features: as `fit_features` gave them.
        groups: the rows of each sequence.
    """
    parts = [_shift(_encode(table.column(one.column), one, groups), one.ahead, groups) for one in features]
    return np.concatenate([np.zeros((len(table), 0)), *parts], axis=1)


def encode_by_row(table: Table, features: Sequence[Feature]) -> Floats:
    """[N, I] the inputs of each row in single precision, block by block, of features that follow from their own row by
    one scale for all groups."""
    rows, width = Growing(np.float32), sum(one.width for one in features)
    read = {one.column: table.column(one.column) for one in features}
    for begin in range(0, len(table), BLOCK):
        part = replace(table, columns=tuple(read.values())).take(slice(begin, begin + BLOCK))
        rows.append(encode(part, features, ()).astype(np.float32).ravel())
    return rows.take().reshape(len(table), width)


def encode_by_column(
    table: Table, features: Sequence[Feature], groups: Sequence[RowGroup], order: NDArray[np.int64]
) -> Floats:
    """[N, I] the inputs of each row in single precision, in an order of the rows, made one feature after the other.

    Args:
        table: has the features' columns.
        features: as `fit_features` gave them.
        groups: the rows of each sequence.
        order: [N] the rows' numbers.
    """
    encoded: Floats = empty_array((len(table), sum(one.width for one in features)), np.float32)
    place = 0
    for one in features:
        encoded[:, place : place + one.width] = encode(table, [one], groups)[order]
        place += one.width
    return encoded


def _encode(column: Column, feature: Feature, groups: Sequence[RowGroup]) -> Doubles:
    """[N, width] without regard to rows ahead."""
    if feature.derived == "missing":
        return column.missing[:, None].astype(np.float64)
    if feature.cycle:
        turn = 2 * np.pi * CALENDAR[feature.cycle](column.values)
        return np.stack([np.sin(turn), np.cos(turn)], axis=1)
    if feature.categories:
        places = {category: k for k, category in enumerate(feature.categories)}
        numbers = np.array([*(places.get(name, -1) for name in column.categories), -1])[column.values]
        return np.asarray(numbers[:, None] == np.arange(len(places)), np.float64)
    return np.nan_to_num(scale_column(column, feature, groups))[:, None]


def scale_column(column: Column, part: Any, groups: Sequence[RowGroup]) -> Doubles:
    """[N] a column of numbers, or its changes, in the scale of a `Feature` or an `OutputColumn`; NaN where it is
    missing."""
    mean, std = (np.full(len(column.values), value) for value in (part.mean, part.std))
    scales = {name: (mean, std) for name, mean, std in part.scales}
    for group in groups if scales else ():
        mean[group.rows], std[group.rows] = scales.get(group.name, (part.mean, part.std))
    values = forward(part.transform, column.values)
    if getattr(part, "derived", "") == "change":
        values = changes(values, groups)
    return np.asarray((values - mean) / std)


def changes(values: Doubles, groups: Sequence[RowGroup]) -> Doubles:
    """[N] differences to the row before in the same group; NaN where there is none."""
    made = np.full_like(values, np.nan)
    for group in groups:
        made[group.rows[1:]] = np.diff(values[group.rows])
    return made


def fit_changes(table: Table, level: Feature, training: Mask, groups: Sequence[RowGroup]) -> Feature:
    """The changes of a column of numbers as a feature; if nothing changes, in their own unit.

    Args:
        table: has the column.
        level: the column itself as a feature, whose transform comes before the difference.
        training: [N] the rows on which scaling is fitted.
        groups: the series; in which each has its own scale, where the level has.

    Raises:
        EvornnError: a later change is too large beside those of training.
    """
    made = changes(forward(level.transform, table.column(level.column).values), groups)
    mean, std = _mean_and_std(made[training], 1.0)
    own = [(group.name, *_mean_and_std(made[group.rows][training[group.rows]], std)) for group in groups]
    feature = replace(level, derived="change", mean=mean, std=std, scales=tuple(own) if level.scales else ())
    large = np.abs(scale_column(table.column(level.column), feature, groups)) > LARGEST
    if large.any():
        raise table.cell_error(level.column, int(large.argmax()), "changes too much to be scaled: replace the value")
    return feature


def places_of_changes(features: Sequence[Feature]) -> list[int]:
    """The inputs that follow from the row before, too, which no window knows of its first row."""
    ends = np.cumsum([one.width for one in features])
    return [int(end) - 1 for one, end in zip(features, ends, strict=True) if one.derived == "change"]


def forget_before(features: Sequence[Feature], windows: NDArray[Any]) -> NDArray[Any]:
    """Windows [B, T, I] that don't know the rows before them: their first change is the mean. Copied if need be."""
    places = places_of_changes(features)
    if places:
        windows = windows.copy()
        windows[:, :1, places] = 0
    return windows


def _mean_and_std(values: Doubles, constant: float) -> tuple[float, float]:
    """Of those that are known; where all are equal, the standard deviation is `constant`."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, constant
    std = float(known.std())
    return float(known.mean()), std if std > SMALLEST and np.ptp(known) > 0 else constant


def _shift(values: Doubles, ahead: int, groups: Sequence[RowGroup]) -> Doubles:
    if not ahead:
        return values
    later = np.zeros_like(values)
    for group in groups:
        later[group.rows[:-ahead]] = values[group.rows[ahead:]]
    return later


def calendar_features(table: Table, time: str | None, parts: Sequence[CalendarPart]) -> tuple[Feature, ...]:
    """Features of the column of times. Raises EvornnError if there is none."""
    if parts and (time is None or table.column(time).kind != "time"):
        raise EvornnError(f"{table.source}: calendar needs dates or times: set time to the column that has them")
    return tuple(Feature(str(time), derived=part) for part in parts)


def ahead(features: Sequence[Feature], rows: int) -> tuple[Feature, ...]:
    """The same features of a later row."""
    return tuple(replace(feature, ahead=rows) for feature in features)


def _day_of_year(times: Any) -> Doubles:
    return np.asarray((times.astype("datetime64[D]") - times.astype("datetime64[Y]")) / DAY, np.float64)


# Part of the calendar → where times [N] stand in its cycle, 0 … 1.
CALENDAR: dict[str, Callable[[Any], Doubles]] = {
    "minute": lambda times: (times - times.astype("datetime64[h]")) / HOUR,
    "hour": lambda times: (times - times.astype("datetime64[D]")) / DAY,
    "weekday": lambda times: (times.astype("datetime64[D]").astype(np.int64) + 3) % 7 / 7,
    "day": lambda times: (times.astype("datetime64[D]") - times.astype("datetime64[M]")) / DAY / 31,
    "yearday": lambda times: _day_of_year(times) / 366,
    "month": lambda times: times.astype("datetime64[M]").astype(np.int64) % 12 / 12,
}
