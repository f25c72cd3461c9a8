"""Permutation importance (Breiman 2001; Fisher, Rudin & Dominici 2019): how much worse the answers get when an input is
shuffled, so that it has the same values and says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import stats

from evornn.arrays import Streams
from evornn.data.scaling import Doubles
from evornn.data.table import Column, Table
from evornn.models.evaluate import Judged, judge
from evornn.models.rows import Groups, group_rows

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

OnProgress: TypeAlias = Callable[[str, float], None]  # what is computed, and the share of all that is done
MOST_ROWS = 5000  # of whole groups, or the last ones, so that a report takes seconds


@dataclass(frozen=True)
class Importance:
    """How much the error grows when one column is shuffled."""

    column: str
    increase: float  # of the error, as a share of it: 1 is twice the error
    low: float  # 95 % interval of the mean over repeats (Student's t)
    high: float


def importances(
    model: SavedModel, table: Table, repeats: int, seed: int, on_progress: OnProgress | None = None
) -> list[Importance]:
    """The columns that a model reads, the most important first. Errors are RMSE in standard deviations of the truth, or
    log-loss. Times are not shuffled: their order tells rows apart.

    Args:
        model: With a preparation.
        table: That has the true answers; of more than MOST_ROWS rows some groups, or the last rows.
        repeats: How often each column is shuffled.
        seed: Of the order.
        on_progress: Is told which column, and the share of all answers that are there, those of the whole table
            included, which were needed before.
    """
    preparation, before = model.own_preparation, len(table)
    table = _shorten(table, group_rows(preparation, table))
    groups, judged = group_rows(preparation, table), judge(model, table)
    base, found = _error(model, judged), list[Importance]()
    names = dict.fromkeys(one.column for one in preparation.features if one.column != preparation.time)
    total = before + (1 + repeats * len(names)) * len(table)
    for number, name in enumerate(names):
        streams, column = Streams(seed, f"importance {number}"), table.column(name)
        grown = []
        for repeat in range(repeats):
            if on_progress is not None:
                done = before + (1 + number * repeats + repeat) * len(table)
                on_progress(f"importance of {name}", done / total)
            shuffled = _replace(table, shuffle(column, groups, streams.at(repeat)))
            answers = judge(model, shuffled)
            grown.append(_error(model, replace(answers, truth=judged.truth)) / base - 1 if base else math.nan)
        found.append(_interval(name, np.array(grown)))
    return sorted(found, key=lambda one: -one.increase)


def shuffle(column: Column, groups: Groups, rng: np.random.Generator) -> Column:
    """A column whose known values are in another order; of one that is the same in all rows of a group, groups swap."""
    firsts = np.array([rows[0] for rows in groups.values()])
    of_group = np.empty(len(column.values), np.int64)
    for k, rows in enumerate(groups.values()):
        of_group[rows] = k
    if len(groups) > 1 and (column.values == column.values[firsts][of_group]).all():
        return column.take(firsts[rng.permutation(len(firsts))][of_group])
    rows, known = np.arange(len(column.values)), np.flatnonzero(~column.missing)
    rows[known] = rng.permutation(known)
    return column.take(rows)


def _error(model: SavedModel, judged: Judged) -> float:
    """The mean over all answers, each without unit."""
    errors = []
    for k in model.own_preparation.point_answers:
        answer, own = model.own_preparation.answers[k], judged.of(model.own_preparation, k)
        if answer.categories:
            right = own.answers[np.arange(len(own.truth)), own.truth[:, 0].astype(np.int64)]
            errors.append(float(-np.log(right.clip(1e-15)).mean()))
        else:
            errors.append(float(np.sqrt(np.square(own.answers - own.truth).mean()) / (own.truth.std() or 1.0)))
    return sum(errors) / len(errors)


def _interval(name: str, grown: Doubles) -> Importance:
    mean = float(grown.mean())
    half = float(stats.t.ppf(0.975, len(grown) - 1) * stats.sem(grown)) if len(grown) > 1 else math.inf
    return Importance(name, mean, mean - half, mean + half)


def _replace(table: Table, column: Column) -> Table:
    return replace(table, columns=tuple(column if one.name == column.name else one for one in table.columns))


def _shorten(table: Table, groups: Groups) -> Table:
    """Whole groups, the first ones, as many as MOST_ROWS allow; of a longer one its last rows."""
    if len(table) <= MOST_ROWS:
        return table
    chosen, count = list[np.ndarray[tuple[int], np.dtype[np.int64]]](), 0
    for rows in groups.values():
        if chosen and count + len(rows) > MOST_ROWS:
            break
        chosen.append(rows[-MOST_ROWS:])
        count += len(chosen[-1])
    return table.take(np.sort(np.concatenate(chosen)))
