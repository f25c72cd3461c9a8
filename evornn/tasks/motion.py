"""Motion on two time scales (Yamashita & Tani 2008): primitive movements, each repeated, in an order that only the
first step gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.data.scaling import Doubles
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.baselines import mse
from evornn.tasks.core.chance import masked_targets
from evornn.tasks.core.generated import Example, Generated, SplitName, one_hot
from evornn.tasks.core.task import Baseline, Data, Score, Sequences

BEHAVIOURS = tuple(permutations(range(3)))  # orders of the three primitives


@settings
class Motion(Generated):
    """A hand moves up and down, sideways and back, and in a circle, each `repeats` times, in one of six orders. Predict
    its next position from the current one and, at the first step, the order. Sequences differ in size, tempo and noise.
    """

    train: Annotated[int, Ge(1)] = 60
    valid: Annotated[int, Ge(1)] = 30
    test: Annotated[int, Ge(1)] = 60
    repeats: Annotated[int, Ge(1)] = 3
    period: Annotated[int, Ge(4)] = 12  # steps of one movement, ± 1
    noise: Annotated[float, Ge(0)] = 0.01  # standard deviation; a movement is about 1 wide

    loss: ClassVar[str] = "mse"
    paper: ClassVar[str] = "Motion on two time scales (after Yamashita & Tani 2008)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 2 + 6 (place, order), O = 2 (next place); T = 9 movements of one period each, by default."""
        behaviour = int(rng.integers(len(BEHAVIOURS)))
        period, size = int(rng.integers(self.period - 1, self.period + 2)), rng.uniform(0.8, 1.2)
        path = np.concatenate([np.tile(primitive(k, period), (self.repeats, 1)) for k in BEHAVIOURS[behaviour]])
        path = size * np.vstack([path, path[:1]])
        positions = (path + self.noise * rng.standard_normal(path.shape)).astype(np.float32)
        order = np.zeros((len(path) - 1, len(BEHAVIOURS)), np.float32)
        order[0] = one_hot([behaviour], len(BEHAVIOURS))
        return Example(np.hstack([positions[:-1], order]), positions[1:], len(order))

    def labels(self) -> tuple[str, ...]:
        return ("x, 1 step ahead", "y, 1 step ahead")

    def score(self) -> Score:
        return scores.nrmse()

    def data(self) -> Data:
        """Also has the baseline that the hand stays where it is."""
        data = super().data()
        assert isinstance(data.valid, Sequences) and isinstance(data.test, Sequences)
        persistence = Baseline("persistence", _persistence_loss(data.valid), _persistence_loss(data.test))
        return replace(data, baselines=(persistence, *data.baselines))


def primitive(kind: int, period: int) -> Doubles:
    """[period, 2] one movement, from and to the origin: 0 up and down, 1 sideways and back, 2 in a circle."""
    angle = 2 * np.pi * np.arange(period) / period
    excursion, half_sine = (1 - np.cos(angle)) / 2, np.sin(angle) / 2
    return np.stack([(0 * excursion, excursion), (excursion, 0 * excursion), (half_sine, excursion)][kind], axis=1)


def _persistence_loss(split: Sequences) -> float:
    return mse(split.inputs[split.mask][:, :2].astype(np.float64), masked_targets(split))
