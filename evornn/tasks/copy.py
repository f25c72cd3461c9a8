"""Copy (Graves, Wayne & Danihelka 2014, section 4.1): read a sequence of random bits, then repeat it from memory."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, LengthGeneralisation, SplitName
from evornn.tasks.core.task import Score


@settings
class Copy(LengthGeneralisation):
    """1 … `length` vectors of `width` bits, a delimiter, then as many empty steps in which the vectors are due."""

    width: Annotated[int, Ge(1)] = 8

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Copy (Graves, Wayne & Danihelka 2014)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = width + 1 (the delimiter), O = width; T = 2 × vectors + 1."""
        bits = rng.integers(0, 2, (self.draw_length(split, rng), self.width))
        inputs = np.zeros((2 * len(bits) + 1, self.width + 1), np.float32)
        inputs[: len(bits), :-1], inputs[len(bits), -1] = bits, 1.0
        targets = np.zeros((len(inputs), self.width), np.float32)
        targets[-len(bits) :] = bits
        return Example(inputs, targets, len(bits))

    def labels(self) -> tuple[str, ...]:
        return tuple(f"bit {k + 1}, logit" for k in range(self.width))

    def score(self) -> Score:
        return scores.binary_accuracy("sequences")
