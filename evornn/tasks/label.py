"""A class or numbers for every step of sequences of one's own: what is being done, whether it is normal, how much it
weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast, get_args

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator

from evornn.arrays import Mask
from evornn.data.classes import read_classes
from evornn.data.features import fit_scaling, scale_column
from evornn.data.groups import RowGroup
from evornn.data.preparation import OutputColumn, Question
from evornn.data.splitting import PARTS, Parts
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core import linear
from evornn.tasks.core.chance import best_constant, chance
from evornn.tasks.core.class_scores import ClassScore, class_score
from evornn.tasks.core.column_names import Names
from evornn.tasks.core.number_scores import NumberScore, number_score
from evornn.tasks.core.own_data import OwnSequences, Recordings
from evornn.tasks.core.quantiles import Quantiles, number_loss, quantile_answers, repeat_targets
from evornn.tasks.core.task import Baseline, Data, Score, Sequences

StepScore: TypeAlias = ClassScore | NumberScore
NUMBER_SCORES = get_args(NumberScore)


@settings
class Label(OwnSequences):
    """Predict columns in every row, from a file of your own: one column of classes, or numbers. Without a group, the
    file is one recording, whose first part is for training and whose last one is the test. Steps without an answer
    don't count with `missing: mask`, and are refused otherwise."""

    targets: Names
    group: str | None = None  # the column whose values tell recordings apart; None: there is one
    answer: Literal["class", "numbers"] | None = None  # None: numbers if the first target holds numbers
    length: Annotated[int, Ge(2)] | None = 200  # longer recordings are cut into pieces of that many steps
    washout: Annotated[int, Ge(0)] = 0  # first steps of each piece, which don't count
    quantiles: Quantiles = ()  # levels of numbers to predict instead of their mean, such as [0.1, 0.5, 0.9]
    score: StepScore | None = None  # None: accuracy, or R²

    causal: ClassVar[bool] = False
    question: ClassVar[Question] = "label"

    @field_validator("washout")
    @classmethod
    def _washout_below_length(cls, washout: int, info: ValidationInfo) -> int:
        length = info.data.get("length")
        if length is not None and washout >= length:
            raise ValueError("leaves no step of a piece to count: set it below length")
        return washout

    @property
    def target_columns(self) -> tuple[str, ...]:
        return self.targets

    def data_of(self, table: Table) -> Data:
        """O classes, or O = levels × targets."""
        recordings, parts = self._split(self.find_sequences(table))
        recordings = self.fill(recordings)
        recordings, parts = cut_pieces(recordings, parts, self.length)
        asked = self._ask(recordings, parts)
        ready = self.prepare(recordings, parts, asked.answers, asked.loss)
        counts = asked.known & self._counted(recordings)
        for part, name in enumerate(PARTS):
            if not any(counts[group.rows].any() for group in ready.groups_of(part)):
                raise EvornnError(f"{recordings.table.source}: no step of {name} has an answer: change the split")
        splits = [ready.cut(ready.groups_of(part), asked.targets, counts) for part in range(3)]
        train, valid, test = splits
        regression, outputs = step_regression(asked.loss, splits)
        constant = np.broadcast_to(best_constant(asked.loss, train), test.targets.shape)
        floors = [asked.score.compute(answers, test) for answers in (constant, outputs)]
        return Data(
            train,
            valid,
            test,
            loss=asked.loss,
            baselines=(chance(asked.loss, train, valid, test), regression),
            labels=asked.labels,
            note=f"{ready.describe(self)} On test, {asked.score.name}: constant {floors[0]:.3g}, {regression.name} "
            f"{floors[1]:.3g}.",
            score=asked.score,
            preparation=ready.preparation,
        )

    def _split(self, recordings: Recordings) -> tuple[Recordings, Parts]:
        """By groups; a single recording in time."""
        if self.group is not None:
            return recordings, self.split_groups(recordings)
        if self.split_column is not None or self.folds is not None:
            which = "split_column" if self.folds is None else "folds"
            raise EvornnError(f"{which} splits groups, of which there is none: name the column group, or leave it out")
        (whole,) = recordings.groups
        ends = np.round(np.cumsum(self.split)[:2] * len(whole)).astype(int)
        pieces = np.split(whole.rows, ends)
        if min(map(len, pieces)) < 1:
            raise EvornnError(f"{recordings.table.source}: {len(whole)} rows are too few for three parts: give more")
        groups = [RowGroup(name, rows) for name, rows in zip(PARTS, pieces, strict=True)]
        return replace(recordings, groups=groups), np.arange(3)

    def _counted(self, recordings: Recordings) -> Mask:
        """[N] the rows after the washout of their piece."""
        counts = np.zeros(len(recordings.table), np.bool_)
        for group in recordings.groups:
            counts[group.rows[self.washout :]] = True
        return counts

    def _ask(self, recordings: Recordings, parts: Parts) -> Asked:
        table = recordings.table
        is_class = self.answer == "class" or (
            self.answer is None and table.column(self.targets[0]).kind not in ("number",)
        )
        known = np.all([~table.column(name).missing for name in self.targets], axis=0)
        if self.missing != "mask" and not known.all():
            row = int(np.argmin(known))
            name = next(name for name in self.targets if table.column(name).missing[row])
            advice = "has no answer: fill it in, or set missing to mask, so that the step does not count"
            raise table.cell_error(name, row, advice)
        training = recordings.training_rows(parts)
        ask = self._ask_class if is_class else self._ask_numbers
        return ask(table, np.asarray(known), training)

    def _ask_class(self, table: Table, known: Mask, training: Mask) -> Asked:
        if len(self.targets) > 1:
            raise EvornnError(f"{table.source}: {len(self.targets)} targets, of which classes are one: name one")
        if self.quantiles:
            raise EvornnError(f"quantiles are of numbers, and {self.targets[0]!r} is asked for as classes: see answer")
        (name,) = self.targets
        classes, numbers = read_classes(table, name)
        missing = set(range(len(classes))) - set(np.flatnonzero(np.bincount(numbers[training & known])).tolist())
        if missing:
            raise EvornnError(
                f"{table.source}: class {classes[min(missing)]!r} of column {name!r} has no step for training: change "
                "the split, or leave the class out"
            )
        kind = self.score or "accuracy"
        if kind in NUMBER_SCORES:
            raise EvornnError(f"score {kind} is for numbers, and column {name!r} is asked for as classes: see answer")
        labels = tuple(f"{name} is {one}, logit" for one in classes)
        score = class_score(cast("ClassScore", kind), every_step=True)
        answers = (OutputColumn(name, categories=classes),)
        return Asked(answers, "cross_entropy", numbers, known, labels, score)

    def _ask_numbers(self, table: Table, known: Mask, training: Mask) -> Asked:
        kind = self.score or "r2"
        if kind not in ("r2", "rmse", "mae"):
            raise EvornnError(
                f"score {kind} is for classes, and {self.targets[0]!r} is asked for as numbers: see answer"
            )
        if kind != "r2" and len(self.targets) > 1:
            raise EvornnError(f"score {kind} would mix the units of several targets: set it to r2, or name one target")
        answers, columns = [], []
        for name in self.targets:
            column = table.column(name)
            if column.kind not in ("number", "boolean"):
                raise EvornnError(f"{table.source}: column {name!r} holds no numbers: ask for it alone, answer: class")
            scaling = fit_scaling(table, column, training & known, "none")
            answers.append(OutputColumn(name, "none", float(scaling.mean[0]), float(scaling.std[0])))
            columns.append(scale_column(column, answers[-1], ()))
        score = number_score(kind, answers, every_step=True, quantiles=self.quantiles)
        asked = quantile_answers(answers, self.quantiles)
        targets, labels = repeat_targets(np.stack(columns, axis=1), self.quantiles), tuple(one.name for one in asked)
        return Asked(asked, number_loss(self.quantiles), targets, known, labels, score)


@dataclass(frozen=True)
class Asked:
    """What is asked of every row."""

    answers: tuple[OutputColumn, ...]
    loss: str
    targets: NDArray[Any]  # [N, O], or [N] the numbers of classes
    known: Mask  # [N] whether there is an answer
    labels: tuple[str, ...]
    score: Score


def cut_pieces(recordings: Recordings, parts: Parts, length: int | None) -> tuple[Recordings, Parts]:
    """Recordings in pieces, each in the part of its whole.

    Args:
        recordings: the whole ones.
        parts: of each.
        length: the most steps of a piece; None: they stay whole.
    """
    if length is None:
        return recordings, parts
    pieces, part_of = list[RowGroup](), list[int]()
    for group, part in zip(recordings.groups, parts, strict=True):
        for begin in range(0, len(group), length):
            pieces.append(RowGroup(group.name, group.rows[begin : begin + length]))
            part_of.append(int(part))
    return replace(recordings, groups=pieces), np.array(part_of, np.int64)


def step_regression(loss: str, splits: Sequence[Sequences]) -> tuple[Baseline, np.ndarray]:
    """A linear model of each step's inputs; and its outputs [B, T, O] on the test split."""
    every = -(-int(np.sum(splits[0].mask)) // linear.MOST_ROWS)  # that many rows are enough to fit on
    points = [linear.step_points(split, every if split is splits[0] else 1) for split in splits]
    weights, valid = linear.fit_linear(loss, points[0], points[1])
    name = (
        "logistic regression on the step's inputs"
        if loss == "cross_entropy"
        else "linear regression on the step's inputs"
    )
    outputs = np.zeros(splits[2].targets.shape, np.float32)
    outputs[splits[2].mask] = linear.predict(weights, points[2].features)
    return Baseline(name, valid, linear.judge(loss, weights, points[2])), outputs
