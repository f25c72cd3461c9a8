"""The adding problem (Hochreiter & Schmidhuber 1997, section 5.4): remember two marked numbers and answer their sum."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.arrays import Streams
from evornn.data.scaling import Doubles
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.baselines import mse
from evornn.tasks.core.task import Baseline, Data, Sequences, Task


@settings
class Adding(Task):
    """Each step has a number in [−1, 1] and a marker. The answer, at the last step, is 0.5 + (X₁ + X₂) / 4, where X₁ is
    the marked one of the first ten numbers and X₂ the marked one of the first half. Sequences have `length` … 1.1 ×
    `length` steps. An answer within 0.04 is right."""

    length: Annotated[int, Ge(10)] = 100
    train: Annotated[int, Ge(1)] = 1000  # sequences
    valid: Annotated[int, Ge(1)] = 500
    test: Annotated[int, Ge(1)] = 2560  # as many as in the paper
    data_seed: Annotated[int, Ge(0)] = 0

    causal: ClassVar[bool] = False

    def data(self) -> Data:
        """I = 2 (number, marker), O = 1; padded to the longest length."""
        streams = Streams(self.data_seed, "adding")
        train = sequences(self.train, self.length, streams.child("train").at(0))
        valid = sequences(self.valid, self.length, streams.child("valid").at(0))
        test = sequences(self.test, self.length, streams.child("test").at(0))
        mean = _masked_targets(train).mean(axis=0)
        baseline = Baseline("mean", mse(mean, _masked_targets(valid)), mse(mean, _masked_targets(test)))
        return Data(
            train=train,
            valid=valid,
            test=test,
            baselines=(baseline,),
            labels=("0.5 + (X₁ + X₂) / 4",),
            note=f"The adding problem (Hochreiter & Schmidhuber 1997), generated with data_seed {self.data_seed}.",
            score=scores.sequence_accuracy("sequences", scores.matches_within(0.04), threshold=1 - 1 / 2560),
        )


def sequences(count: int, length: int, rng: np.random.Generator) -> Sequences:
    """Random sequences of the adding problem.

    Args:
        count: how many, B.
        length: steps of the shortest; T = 1.1 × length.
        rng: draws them.
    """
    rows, longest = np.arange(count), length + length // 10
    last = rng.integers(length, longest + 1, count) - 1
    numbers = rng.uniform(-1, 1, (count, longest))
    first = rng.integers(0, 10, count)
    second = rng.integers(0, length // 2 - 2, count)
    second += second >= first  # one of the first length/2 − 1, but not the marked one
    numbers[rows[(first == 0) | (second == 0)], 0] = 0.0  # the paper's rare case: the first step keeps its marker −1
    targets = np.zeros((count, longest, 1))
    targets[rows, last, 0] = 0.5 + (numbers[rows, first] + numbers[rows, second]) / 4
    markers = np.zeros_like(numbers)
    markers[rows, first], markers[rows, second] = 1.0, 1.0
    markers[:, 0], markers[rows, last] = -1.0, -1.0
    steps = np.arange(longest)
    inputs = np.stack([numbers, markers], axis=-1) * (steps <= last[:, None])[..., None]
    return Sequences(inputs.astype(np.float32), targets.astype(np.float32), steps == last[:, None])


def _masked_targets(split: Sequences) -> Doubles:
    """[B, 1]"""
    return split.targets[split.mask].astype(np.float64)
