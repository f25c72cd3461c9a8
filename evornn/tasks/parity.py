"""Parity of any length (Hochreiter & Schmidhuber 1996, "Bridging long time lags by weight guessing"): is the number of
ones odd? It takes one bit of memory, which every one flips."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, LengthGeneralisation, SplitName
from evornn.tasks.core.task import Score


@settings
class Parity(LengthGeneralisation):
    """Bits are presented as −1 and 1; the answer is due at the last bit, or with `every_step` at each."""

    test_length: Annotated[int, Ge(2)] = 100
    every_step: bool = False  # much easier: the loss shows where an error was made

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Parity (Hochreiter & Schmidhuber 1996)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 1, O = 1."""
        bits = rng.integers(0, 2, (self.draw_length(split, rng), 1))
        odd = np.cumsum(bits, axis=0) % 2
        return Example(
            (2.0 * bits - 1.0).astype(np.float32), odd.astype(np.float32), len(bits) if self.every_step else 1
        )

    def labels(self) -> tuple[str, ...]:
        return ("the number of ones is odd, logit",)

    def score(self) -> Score:
        return scores.binary_accuracy("strings")
