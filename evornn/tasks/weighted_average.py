"""A weighted average over the past and the future (Schuster & Paliwal 1997): what comes after a step counts as much as
what came before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.data.scaling import Doubles
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, Generated, SplitName
from evornn.tasks.core.task import Baseline, Data, Score, Sequences


@settings
class WeightedAverage(Generated):
    """Inputs are uniform in [0, 1]. The target of each step is the sum of two averages: of the `past` steps before it
    and of the `future` steps from it on, with weights that fall to zero with the distance. The paper's first experiment
    has 10 and 20 steps too, on one long stream; here inputs are 0 beyond the ends of a sequence."""

    train: Annotated[int, Ge(1)] = 64
    valid: Annotated[int, Ge(1)] = 32
    test: Annotated[int, Ge(1)] = 64
    length: Annotated[int, Ge(2)] = 60
    past: Annotated[int, Ge(1)] = 10
    future: Annotated[int, Ge(1)] = 20

    causal: ClassVar[bool] = False
    loss: ClassVar[str] = "mse"
    paper: ClassVar[str] = "A weighted average over past and future (Schuster & Paliwal 1997)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = O = 1; T = `length`."""
        x = rng.random(self.length)
        return Example(x[:, None].astype(np.float32), self.average(x)[:, None].astype(np.float32), self.length)

    def labels(self) -> tuple[str, ...]:
        return ("weighted average",)

    def score(self) -> Score:
        return scores.nrmse()

    def data(self) -> Data:
        """Also has the baseline of all that can be known without looking ahead."""
        data = super().data()
        assert isinstance(data.valid, Sequences) and isinstance(data.test, Sequences)
        causal = Baseline("past alone", self._causal_error(data.valid), self._causal_error(data.test))
        return replace(data, baselines=(causal, *data.baselines))

    def average(self, x: Doubles) -> Doubles:
        """[T] of inputs [T]."""
        return self._past_average(x) + self._future_average(x, first=0)

    def _past_average(self, x: Doubles) -> Doubles:
        weights = (1 - np.arange(1, self.past + 1) / self.past) / self.past
        return np.convolve(x, np.concatenate([[0.0], weights]))[: len(x)]

    def _future_average(self, x: Doubles, first: int) -> Doubles:
        """The part of the average that depends on x[t + first] and later."""
        weights = (1 - np.arange(self.future) / self.future) / self.future
        weights[:first] = 0
        return np.convolve(x[::-1], weights)[: len(x)][::-1]

    def _causal_error(self, split: Sequences) -> float:
        """The mean squared error of a predictor that knows all inputs up to now, and of later ones only their mean."""
        ahead = np.array([self._future_average(x, first=1) for x in split.inputs[..., 0].astype(np.float64)])
        mean = self._future_average(np.full(self.length, 0.5), first=1)
        return float(np.square(ahead - mean).mean())
