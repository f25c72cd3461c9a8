"""Pattern completion (Hopfield 1982) and association (Kosko 1988): from a spoilt pattern, recall the pattern or its
partner."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from evornn.arrays import Floats, Streams
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, Generated, SplitName
from evornn.tasks.core.task import Score


@settings
class PatternCompletion(Generated):
    """A few random patterns of ±1, made from `data_seed`, are the same in all splits; how they are spoilt differs in
    every example. The spoilt pattern is read at the first step, the answer is due at the last."""

    train: Annotated[int, Ge(1)] = 500
    valid: Annotated[int, Ge(1)] = 200
    test: Annotated[int, Ge(1)] = 500
    size: Annotated[int, Ge(2)] = 32  # elements of a pattern
    patterns: Annotated[int, Ge(1)] = 4  # Hopfield's limit is 0.14 × size
    partner: Annotated[int, Ge(0)] = 0  # elements of the partner pattern, which is the answer; 0: the pattern itself
    spoilt: Annotated[float, Gt(0), Lt(1)] = 0.2  # share of elements
    how: Literal["flipped", "erased"] = "flipped"  # erased elements are 0
    steps: Annotated[int, Ge(1)] = 5  # T, time to settle

    causal: ClassVar[bool] = False
    loss: ClassVar[str] = "mse"
    paper: ClassVar[str] = "Pattern completion (Hopfield 1982; Kosko 1988)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = size, O = partner or size."""
        cues, targets = self.pairs()
        k = int(rng.integers(self.patterns))
        places = rng.choice(self.size, max(1, round(self.spoilt * self.size)), replace=False)
        inputs = np.zeros((self.steps, self.size), np.float32)
        inputs[0] = cues[k]
        inputs[0, places] *= -1.0 if self.how == "flipped" else 0.0
        return Example(inputs, np.repeat(targets[k : k + 1], self.steps, axis=0), 1)

    def pairs(self) -> tuple[Floats, Floats]:
        """[patterns, size] and the partner of each, [patterns, O]."""
        rng = Streams(self.data_seed, "PatternCompletion/pairs").at(0)
        signs = np.array([-1, 1], np.float32)
        cues = rng.choice(signs, (self.patterns, self.size))
        return cues, rng.choice(signs, (self.patterns, self.partner)) if self.partner else cues

    def labels(self) -> tuple[str, ...]:
        return tuple(f"element {k + 1}" for k in range(self.partner or self.size))

    def score(self) -> Score:
        return scores.sequence_accuracy("patterns", scores.signs_match)
