"""Repeat copy (Graves, Wayne & Danihelka 2014, section 4.2): repeat a sequence a given number of times, then mark
the end."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, LengthGeneralisation, SplitName
from evornn.tasks.core.task import Score


@settings
class RepeatCopy(LengthGeneralisation):
    """1 … `length` vectors of `width` bits, a delimiter with the number of repeats, 1 … `repeats`; then the copies are
    due, with an end marker after the last."""

    length: Annotated[int, Ge(1)] = 10
    test_length: Annotated[int, Ge(2)] = 20
    repeats: Annotated[int, Ge(1)] = 10
    width: Annotated[int, Ge(1)] = 8

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Repeat copy (Graves, Wayne & Danihelka 2014)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = width + 2 (delimiter; repeats, as a share of `repeats`), O = width + 1 (the end marker)."""
        bits = rng.integers(0, 2, (self.draw_length(split, rng), self.width))
        repeats = int(rng.integers(1, self.repeats + 1))
        due = len(bits) * repeats + 1
        inputs = np.zeros((len(bits) + 1 + due, self.width + 2), np.float32)
        inputs[: len(bits), :-2], inputs[len(bits), -2:] = bits, (1.0, repeats / self.repeats)
        targets = np.zeros((len(inputs), self.width + 1), np.float32)
        targets[-due:-1, :-1], targets[-1, -1] = np.tile(bits, (repeats, 1)), 1.0
        return Example(inputs, targets, due)

    def labels(self) -> tuple[str, ...]:
        return (*(f"bit {k + 1}, logit" for k in range(self.width)), "the end, logit")

    def score(self) -> Score:
        return scores.binary_accuracy("sequences")
