"""Numbers for each sequence of one's own: the quality of a batch, the wear of a tool, the age of a speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import ValidationInfo, field_validator

from evornn.data.features import fit_scaling, scale_column
from evornn.data.preparation import OutputColumn, Question
from evornn.data.scaling import Transform
from evornn.data.splitting import Parts
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core import linear
from evornn.tasks.core.chance import best_constant, chance
from evornn.tasks.core.column_names import Names
from evornn.tasks.core.number_scores import NumberScore, number_score, unscale
from evornn.tasks.core.own_data import OwnSequences, Recordings
from evornn.tasks.core.quantiles import Quantiles, median_block, number_loss, quantile_answers, repeat_targets
from evornn.tasks.core.task import Baseline, Chart, Data, Sequences


@settings
class Regress(OwnSequences):
    """Predict columns of numbers that are the same in all rows of a group, from a file of your own. Targets are
    standardised by the training sequences; scores and errors are in original units."""

    group: str  # the column whose values tell sequences apart
    targets: Names
    target_transform: Transform = "none"  # before standardising
    loss_steps: Literal["last", "every"] = "last"  # where the loss counts; the score is always that of the last step
    quantiles: Quantiles = ()  # levels to predict instead of the mean, such as [0.1, 0.5, 0.9]
    score: NumberScore = "r2"

    causal: ClassVar[bool] = False
    question: ClassVar[Question] = "regress"

    @field_validator("score")
    @classmethod
    def _units_are_not_mixed(cls, score: NumberScore, info: ValidationInfo) -> NumberScore:
        if score != "r2" and len(info.data.get("targets", ())) > 1:
            raise ValueError("would mix the units of several targets: set it to r2, or name one target")
        return score

    @property
    def target_columns(self) -> tuple[str, ...]:
        return self.targets

    def data_of(self, table: Table) -> Data:
        """O = levels × targets."""
        recordings = self.fill(self.find_sequences(table))
        _check_constant(recordings, self.targets)
        parts = self.split_groups(recordings)
        answers = self._answers(recordings, parts)
        loss, asked = number_loss(self.quantiles), quantile_answers(answers, self.quantiles)
        ready = self.prepare(recordings, parts, asked, loss)
        columns = [scale_column(recordings.table.column(one.column), one, ()) for one in answers]
        counts = self.counted_rows(recordings)
        targets = repeat_targets(np.stack(columns, axis=1), self.quantiles)
        train, valid, test = (ready.cut(ready.groups_of(part), targets, counts) for part in range(3))
        chart = make_chart(answers, test, [group.name for group in ready.groups_of(2)], self.quantiles)
        return Data(
            train,
            valid,
            test,
            loss=loss,
            baselines=make_baselines(loss, train, valid, test, chart),
            labels=tuple(one.name for one in asked),
            note=ready.describe(self),
            chart=chart,
            score=number_score(self.score, answers, quantiles=self.quantiles),
            preparation=ready.preparation,
        )

    def _answers(self, recordings: Recordings, parts: Parts) -> tuple[OutputColumn, ...]:
        """Scaled by the training groups, each counting once."""
        training = recordings.training_rows(parts) & recordings.last_rows
        scalings = [
            fit_scaling(recordings.table, recordings.table.column(name), training, self.target_transform)
            for name in self.targets
        ]
        return tuple(
            OutputColumn(name, self.target_transform, float(scaling.mean[0]), float(scaling.std[0]))
            for name, scaling in zip(self.targets, scalings, strict=True)
        )


def make_chart(
    answers: Sequence[OutputColumn], test: Sequences, names: Sequence[str], quantiles: Quantiles = ()
) -> Chart:
    """What the test sequences' numbers are, in original units.

    Args:
        answers: the columns.
        test: the test split.
        names: of its sequences.
        quantiles: levels of the outputs.
    """
    median = median_block(quantiles, len(answers))
    truth = unscale(test.last_steps(test.targets)[:, median], answers)
    return Chart(
        times=list(names),
        truth=truth,
        offset=np.broadcast_to([one.mean for one in answers], truth.shape).copy(),
        scale=np.array([one.std for one in answers]),
        transform=answers[0].transform,
        targets=tuple(one.column for one in answers),
        first_output=median.start,
    )


def make_baselines(
    loss: str, train: Sequences, valid: Sequences, test: Sequences, chart: Chart
) -> tuple[Baseline, ...]:
    """The mean, and linear regression on the means of the inputs."""
    points = [linear.mean_points(split) for split in (train, valid, test)]
    weights, fitted = linear.fit_linear(loss, points[0], points[1])
    constant, outputs = chance(loss, train, valid, test), points[2].targets.shape
    line = "linear regression on the means of the inputs", fitted, linear.judge(loss, weights, points[2])
    said = [
        (constant.name, constant.valid, constant.test, np.broadcast_to(best_constant(loss, train), outputs)),
        (*line, linear.predict(weights, points[2].features)),
    ]
    floors = []
    for name, valid_loss, test_loss, answers in said:
        predictions = chart.inverse_transform(answers)
        floors.append(Baseline(name, valid_loss, test_loss, predictions, chart.errors(predictions)))
    return tuple(floors)


def _check_constant(recordings: Recordings, targets: Sequence[str]) -> None:
    """Raises EvornnError for a target that is no number, is missing, or varies within a group."""
    table = recordings.table
    for name in targets:
        column = table.column(name)
        if column.kind not in ("number", "boolean"):
            raise EvornnError(f"{table.source}: column {name!r} holds no numbers: ask for classes, kind: classify")
        if column.missing.any():
            raise table.cell_error(name, int(column.missing.argmax()), "what is asked for is missing: fill it in")
        for group in recordings.groups:
            values = column.values[group.rows]
            other = np.flatnonzero(values != values[0])
            if len(other):
                raise table.cell_error(
                    name, int(group.rows[other[0]]),
                    f"{values[other[0]]:g}, but group {group.name!r} begins with {values[0]:g}: give each group one "
                    "number, or ask for a number per step, kind: label",
                )  # fmt: skip
