"""Groups in training, validation and test: by fractions, by folds, or as a column says. A group is in one part only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Streams
from evornn.data.groups import RowGroup
from evornn.data.table import Table

PARTS = ("train", "valid", "test")
Parts: TypeAlias = NDArray[np.int64]  # [G] 0, 1, 2: the part of each group
Strata: TypeAlias = Sequence[int]  # [G] the class of each group; the same for all: it does not matter


def split_by_fractions(strata: Strata, fractions: Sequence[float], seed: int) -> Parts:
    """Every part has its fraction of the groups, to one, and nearly that of every class. The first group of a class is
    for training, so that no class is missing there; no part is empty if there are groups enough.

    Args:
        strata: the class of each group.
        fractions: of training, validation and test; they sum to 1.
        seed: of the order of the groups.
    """
    parts, counts, before, movable = np.zeros(len(strata), np.int64), np.zeros(3), -1, list[int]()
    for number, group in enumerate(_class_order(strata, seed), start=1):
        due = number * np.asarray(fractions) - counts
        parts[group] = 0 if strata[group] != before else int(due.argmax())
        counts[parts[group]] += 1
        movable += [group] if parts[group] == 0 and strata[group] == before else []
        before = strata[group]
    for part in (1, 2):
        if not counts[part] and movable:
            parts[movable.pop()] = part
    return parts


def split_by_folds(strata: Strata, folds: int, fold: int, seed: int) -> Parts:
    """One fold is the test, the next one validation, the others training. Over all folds, every group is once in the
    test.

    Args:
        strata: the class of each group; every fold has nearly the same share of each.
        folds: how many.
        fold: the number of the test's, from 0.
        seed: of the order of the groups.
    """
    numbers = np.zeros(len(strata), np.int64)
    numbers[_class_order(strata, seed)] = np.arange(len(strata)) % folds
    return np.where(numbers == fold, 2, np.where(numbers == (fold + 1) % folds, 1, 0))


def given_split(table: Table, name: str, groups: Sequence[RowGroup]) -> Parts:
    """The parts that a column names, with the same word in all rows of a group. Raises EvornnError for other words."""
    column = table.column(name)
    words = np.array(column.words())
    unknown = ~np.isin(words, PARTS)
    if unknown.any():
        row = int(unknown.argmax())
        raise table.cell_error(name, row, f"{str(words[row])!r} is no part: write train, valid or test")
    for group in groups:
        mine = words[group.rows]
        if (mine != mine[0]).any():
            row = int(group.rows[np.argmax(mine != mine[0])])
            begin = f"{str(words[row])!r}, but {group.name!r} begins in {str(mine[0])!r}"
            raise table.cell_error(name, row, f"{begin}: a group is in one part only")
    return np.array([PARTS.index(words[group.rows[0]]) for group in groups], np.int64)


def _class_order(strata: Strata, seed: int) -> list[int]:
    """The groups, class by class, in random order within each."""
    shuffled = Streams(seed, "split").at(0).permutation(len(strata))
    return sorted((int(group) for group in shuffled), key=lambda group: strata[group])
