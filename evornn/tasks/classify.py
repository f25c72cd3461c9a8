"""A class for each sequence of one's own: gestures, machines that are about to fail, speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from evornn.arrays import Streams
from evornn.data.classes import read_classes
from evornn.data.groups import RowGroup
from evornn.data.preparation import OutputColumn, Question
from evornn.data.splitting import Parts
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core import linear
from evornn.tasks.core.chance import best_constant, chance
from evornn.tasks.core.class_scores import ClassScore, class_score
from evornn.tasks.core.own_data import OwnSequences, Recordings
from evornn.tasks.core.task import Baseline, Data, Score, Sequences


@settings
class Classify(OwnSequences):
    """Predict a column that is the same in all rows of a group, from a file of your own. Outputs are the classes'
    logits; fractions and folds are stratified by class. With `class_weights: balanced`, sequences of rarer classes are
    repeated in training and validation until all classes are as frequent; the test stays as it is."""

    group: str  # the column whose values tell sequences apart
    target: str  # the column of classes
    loss_steps: Literal["last", "every"] = "last"  # where the loss counts; the score is always that of the last step
    class_weights: Literal["none", "balanced"] = "none"
    score: ClassScore = "accuracy"

    causal: ClassVar[bool] = False
    question: ClassVar[Question] = "classify"
    loss: ClassVar[str] = "cross_entropy"

    @property
    def target_columns(self) -> tuple[str, ...]:
        return (self.target,)

    def data_of(self, table: Table) -> Data:
        """O classes."""
        recordings = self.fill(self.find_sequences(table))
        classes, numbers = read_classes(recordings.table, self.target)
        of_group = _classes_of_groups(recordings, self.target, numbers, classes)
        parts = self.split_groups(recordings, of_group)
        _check_training(recordings, self.target, parts, of_group, classes)
        ready = self.prepare(recordings, parts, (OutputColumn(self.target, categories=classes),), self.loss)
        counts = self.counted_rows(recordings)
        class_of = {group.name: number for group, number in zip(recordings.groups, of_group, strict=True)}
        splits = [ready.cut(self._weigh(ready.groups_of(part), class_of, part), numbers, counts) for part in range(3)]
        score = class_score(self.score)
        regression, outputs = logistic_regression(*splits)
        sizes = ", ".join(f"{name} {of_group.count(number)}" for number, name in enumerate(classes))
        floors = floor_scores(score, splits, outputs)
        train, valid, test = splits
        return Data(
            train,
            valid,
            test,
            loss=self.loss,
            baselines=(chance(self.loss, *splits), regression),
            labels=tuple(f"{self.target} is {name}, logit" for name in classes),
            note=f"{ready.describe(self)} Classes: {sizes}. {floors}",
            score=score,
            preparation=ready.preparation,
        )

    def _weigh(self, groups: list[RowGroup], class_of: dict[str, int], part: int) -> list[RowGroup]:
        """Groups of rarer classes several times, if that is asked for; never those of the test."""
        if self.class_weights == "none" or part == 2:
            return groups
        classes = np.array([class_of[group.name] for group in groups])
        chosen = oversample(classes, Streams(self.data_seed, "class weights").at(part))
        return [groups[k] for k in chosen]


def oversample(classes: Sequence[int] | np.ndarray, rng: np.random.Generator) -> list[int]:
    """Positions, each once and more often those of rarer classes, so that all that occur are as frequent."""
    classes = np.asarray(classes)
    most = int(np.bincount(classes).max())
    chosen: list[int] = []
    for number in np.unique(classes):
        mine = np.flatnonzero(classes == number)
        chosen += [*np.tile(mine, most // len(mine)), *rng.permutation(mine)[: most % len(mine)]]
    return sorted(int(k) for k in chosen)


def logistic_regression(train: Sequences, valid: Sequences, test: Sequences) -> tuple[Baseline, np.ndarray]:
    """On the means of the inputs; and its outputs [B, T, O] on the test split."""
    points = [linear.mean_points(split) for split in (train, valid, test)]
    weights, loss = linear.fit_linear("cross_entropy", points[0], points[1])
    name = "logistic regression on the means of the inputs"
    baseline = Baseline(name, valid=loss, test=linear.judge("cross_entropy", weights, points[2]))
    return baseline, linear.spread(linear.predict(weights, points[2].features), test)


def floor_scores(score: Score, splits: Sequence[Sequences], outputs: np.ndarray) -> str:
    """What the baselines score on the test split, for the note."""
    train, _, test = splits
    constant = np.broadcast_to(best_constant("cross_entropy", train), test.targets.shape)
    values = [score.compute(answers, test) for answers in (constant, outputs)]
    return f"On test, {score.name}: most frequent class {values[0]:.3g}, logistic regression {values[1]:.3g}."


def _classes_of_groups(recordings: Recordings, target: str, numbers: np.ndarray, classes: tuple[str, ...]) -> list[int]:
    """The class of each group. Raises EvornnError where it is missing or varies, or where a class has one group."""
    table = recordings.table
    if (numbers < 0).any():
        raise table.cell_error(target, int(np.argmax(numbers < 0)), "no class: fill it in")
    for group in recordings.groups:
        mine = numbers[group.rows]
        if (mine != mine[0]).any():
            row = int(np.argmax(mine != mine[0]))
            raise table.cell_error(
                target, int(group.rows[row]),
                f"{classes[mine[row]]!r}, but group {group.name!r} begins with {classes[mine[0]]!r}: give each group "
                "one class, or ask for a class per step, kind: label",
            )  # fmt: skip
    of_group = [int(numbers[group.rows[0]]) for group in recordings.groups]
    single = [name for number, name in enumerate(classes) if of_group.count(number) == 1]
    if single:
        raise EvornnError(
            f"{table.source}: class {single[0]!r} of column {target!r} has one sequence only, which can't be for both "
            "training and test: give more, or leave it out"
        )
    return of_group


def _check_training(
    recordings: Recordings, target: str, parts: Parts, of_group: list[int], classes: tuple[str, ...]
) -> None:
    """Raises EvornnError if a class has no group for training."""
    learned = {number for number, part in zip(of_group, parts, strict=True) if part == 0}
    missing = [name for number, name in enumerate(classes) if number not in learned]
    if missing:
        raise EvornnError(
            f"{recordings.table.source}: class {missing[0]!r} of column {target!r} has no sequence for training: "
            "change the split, or leave the class out"
        )
