"""Sequences of one's own: groups of a table's rows, each for training, validation or test, with scaled columns as
inputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator

from evornn.arrays import Floats, Mask
from evornn.data.features import READABLE, encode_by_row, fit_features
from evornn.data.filling import fill_missing
from evornn.data.groups import RowGroup, list_groups
from evornn.data.large_files import beside
from evornn.data.options import ReadOptions
from evornn.data.preparation import Feature, MissingPolicy, OutputColumn, Preparation, Question
from evornn.data.reading import read_file
from evornn.data.scaling import Transform
from evornn.data.splitting import PARTS, Parts, Strata, given_split, split_by_folds, split_by_fractions
from evornn.data.table import FILE, FOLDER, Table
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core.column_names import SomeNames
from evornn.tasks.core.cutting import Cutter
from evornn.tasks.core.task import Data, Sequences, Task


def _check_fractions(fractions: tuple[float, ...]) -> tuple[float, ...]:
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError("must be three fractions that sum to 1")
    return fractions


def _as_sequence(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


Fractions: TypeAlias = Annotated[tuple[float, ...], BeforeValidator(_as_sequence), AfterValidator(_check_fractions)]


@settings
class OwnSequences(Task):
    """What every question about sequences of one's own can be set to. The path is relative to the working folder."""

    path: str
    group: str | None  # the column whose values tell sequences apart
    read: ReadOptions = ReadOptions()  # how to read the file; what is left out is found out
    time: str | None = None  # the column of times or numbers by which rows are ordered; None: they are in order
    inputs: SomeNames | None = None  # columns; None: all others with numbers, yes or no, or categories
    missing: MissingPolicy = "refuse"  # what to do where an input is missing
    transform: Transform = "none"  # of inputs that are numbers, before standardising
    split: Fractions = (0.7, 0.15, 0.15)  # of the groups: train, validation, test
    split_column: str | None = None  # a column with the words train, valid and test, instead of fractions
    folds: Annotated[int, Ge(3)] | None = None  # for cross-validation, instead of fractions
    fold: Annotated[int, Ge(0)] = 0  # the one that is the test; the next one is for validation
    data_seed: Annotated[int, Ge(0)] = 0  # of the split

    question: ClassVar[Question]

    @field_validator("fold")
    @classmethod
    def _fold_is_one_of_them(cls, fold: int, info: ValidationInfo) -> int:
        if fold and fold >= (info.data.get("folds") or 0):
            raise ValueError("counts from 0: set it below folds")
        return fold

    @property
    @abstractmethod
    def target_columns(self) -> tuple[str, ...]:
        """The columns to predict."""

    def data(self) -> Data:
        """The file's. Raises EvornnError that names file, column and line, and says what to do."""
        return self.data_of(read_file(Path(self.path), self.read))

    @abstractmethod
    def data_of(self, table: Table) -> Data:
        """Split and scale a table that is in memory, whatever the path. Raises the same as `data`."""

    def find_sequences(self, table: Table) -> Recordings:
        """The table's sequences. Raises EvornnError."""
        for name in self.target_columns:
            table.column(name)
        groups, names = list_groups(table, self.group, self.time), self._input_names(table)
        return Recordings(table, groups, names)

    def fill(self, recordings: Recordings) -> Recordings:
        """With missing inputs filled from their own sequence, and so from no other part of the data."""
        table = fill_missing(recordings.table, recordings.inputs, self.missing, recordings.groups)
        return replace(recordings, table=table)

    def _input_names(self, table: Table) -> tuple[str, ...]:
        special: tuple[str | None, ...] = (*self.target_columns, self.group, self.time, self.split_column)
        special += (FILE, FOLDER) if table.is_folder else ()  # they may tell the answer
        if self.inputs is None:
            names = tuple(one.name for one in table.columns if one.kind in READABLE and one.name not in special)
            if names:
                return names
            raise EvornnError(f"{table.source}: no column is left to read: name some as inputs")
        for name in self.inputs:
            table.column(name)
            if name in self.target_columns:
                raise EvornnError(f"{table.source}: column {name!r} is what is asked for: leave it out of inputs")
        return self.inputs

    def counted_rows(self, recordings: Recordings) -> Mask:
        """[N] the rows that count in the loss of a question with one answer for each sequence."""
        every: Mask = np.ones(len(recordings.table), np.bool_)
        return every if getattr(self, "loss_steps", "") == "every" else recordings.last_rows

    def split_groups(self, recordings: Recordings, strata: Strata | None = None) -> Parts:
        """The part of each group. Raises EvornnError if a part has none.

        Args:
            recordings: the groups.
            strata: the class of each, for parts that have all of them; None: there are no classes.
        """
        groups, classes = recordings.groups, strata or [0] * len(recordings.groups)
        if self.split_column is not None:
            parts = given_split(recordings.table, self.split_column, groups)
        elif self.folds is not None:
            parts = split_by_folds(classes, self.folds, self.fold, self.data_seed)
        else:
            parts = split_by_fractions(classes, self.split, self.data_seed)
        for number, name in enumerate(PARTS):
            if not (parts == number).any():
                count = f"{len(groups)} sequence{'s' * (len(groups) != 1)}"
                raise EvornnError(f"{recordings.table.source}: no row is left for {name}: {self._split_advice(count)}")
        return parts

    def _split_advice(self, count: str) -> str:
        if self.split_column is not None:
            return f"no group has that word in column {self.split_column!r}"
        how = (
            "set group to the column that tells them apart" if self.group is None else "give more, or change the split"
        )
        return f"the file has {count}: {how}"

    def prepare(self, recordings: Recordings, parts: Parts, answers: tuple[OutputColumn, ...], loss: str) -> Prepared:
        """Inputs of all rows, scaled by training rows.

        Args:
            recordings: the rows.
            parts: of each group.
            answers: what a network predicts.
            loss: a name in `kernels/losses.py`.
        """
        table, training = recordings.table, recordings.training_rows(parts)
        features = fit_features(table, recordings.inputs, training, self.transform, self.missing == "mask")
        columns = self.group, self.time
        how = Preparation(self.question, features, answers, *columns, missing=self.missing, loss=loss, read=self.read)
        with beside(table):
            return Prepared(recordings, parts, how, encode_by_row(table, features))


@dataclass(frozen=True)
class Recordings:
    """A table's rows as sequences."""

    table: Table
    groups: list[RowGroup]
    inputs: tuple[str, ...]  # the columns that a network reads

    @property
    def last_rows(self) -> Mask:
        """[N] whether a row is the last one of its group."""
        last: Mask = np.zeros(len(self.table), np.bool_)
        last[[group.rows[-1] for group in self.groups]] = True
        return last

    def training_rows(self, parts: Parts) -> Mask:
        """[N] whether a row belongs to a group for training."""
        training = np.zeros(len(self.table), np.bool_)
        for group, part in zip(self.groups, parts, strict=True):
            training[group.rows] = part == 0
        return training


@dataclass(frozen=True)
class Prepared:
    """Sequences whose inputs are ready, and the part of each."""

    recordings: Recordings
    parts: Parts
    preparation: Preparation
    inputs: Floats  # [N, I]

    def groups_of(self, part: int) -> list[RowGroup]:
        """The groups for training (0), validation (1) or test (2)."""
        return [group for group, mine in zip(self.recordings.groups, self.parts, strict=True) if mine == part]

    def cut(self, groups: Sequence[RowGroup], targets: NDArray[Any], counts: Mask) -> Sequences:
        """Some of the groups, zeros after the end of those shorter than the longest.

        Args:
            groups: those to take; one may be there several times.
            targets: [N, O] of each row; of classes [N] their numbers.
            counts: [N] whether a row counts in the loss. Groups without such rows are left out.
        """
        groups = [group for group in groups if counts[group.rows].any()]
        lengths = np.array([len(group) for group in groups])
        return Cutter(
            self.inputs,
            targets,
            counts,
            begins=np.cumsum(lengths) - lengths,
            lengths=lengths,
            steps=int(lengths.max()),
            order=np.concatenate([group.rows for group in groups]),
            widths=(0, sum(one.width for one in self.preparation.answers)),
            is_categorical=self.preparation.is_categorical,
        ).sequences(keep=not self.recordings.table.is_mapped)

    def describe(self, task: OwnSequences) -> str:
        """Where the sequences are from, how they are split and what a network sees, for the note."""
        lengths = [len(group) for group in self.recordings.groups]
        steps = f"{min(lengths)}" if min(lengths) == max(lengths) else f"{min(lengths)} to {max(lengths)}"
        sizes = " / ".join(str(int((self.parts == part).sum())) for part in range(3))
        seen = describe_features(self.preparation.features)
        return (
            f"From {self.recordings.table.source}: {len(lengths)} sequences of {steps} steps, {sizes} for training, "
            f"validation and test ({_describe_split(task)}). The network reads {seen}."
        )


def _describe_split(task: OwnSequences) -> str:
    if task.split_column is not None:
        return f"as column {task.split_column!r} says"
    return f"fold {task.fold} of {task.folds}, seed {task.data_seed}" if task.folds else f"seed {task.data_seed}"


_READ_AS = {"": "{}", "missing": "{} (1 where missing)", "change": "changes of {}"}  # parts of the calendar: hour of {}


def describe_features(features: Sequence[Feature]) -> str:
    """What a network sees, in words: each column once."""
    words: dict[str, None] = {}
    for one in features:
        what = _READ_AS.get(one.derived, f"{one.derived} of {{}}").format(one.column)
        what += f" ({len(one.categories)} categories)" if one.categories else ""
        last = max(other.ahead for other in features if other.column == one.column and other.derived == one.derived)
        what += f" up to {last} rows ahead" if last else ""
        words[what] = None
    return ", ".join(words)
