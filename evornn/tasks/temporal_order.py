"""Temporal order (Hochreiter & Schmidhuber 1997, section 5.6): in which order did two (task 6a) or three (6b) relevant
symbols occur, far apart among many others?"""

from __future__ import annotations

from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, Generated, SplitName, one_hot
from evornn.tasks.core.task import Score

SYMBOLS = "EBabcdXY"  # E begins, B ends, a–d distract, X and Y count
PLACES = {2: ((0.1, 0.2), (0.5, 0.6)), 3: ((0.1, 0.2), (0.33, 0.43), (0.66, 0.76))}  # of relevant symbols, × length


@settings
class TemporalOrder(Generated):
    """Sequences of `length` … 1.1 × `length` symbols; at the last one, each order of X and Y is a class of its own. An
    answer is right if every sigmoid unit is within 0.3 of its target."""

    relevant: Literal[2, 3] = 2  # task 6a: XX, XY, YX, YY; 3 is task 6b with eight classes
    length: Annotated[int, Ge(20)] = 100
    test: Annotated[int, Ge(1)] = 2560  # as many as in the paper

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Temporal order (Hochreiter & Schmidhuber 1997)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 8 symbols, O = 4 or 8 classes."""
        steps = int(rng.integers(self.length, self.length + self.length // 10 + 1))
        symbols = np.concatenate([[0], rng.integers(2, 6, steps - 2), [1]])
        kinds = rng.integers(0, 2, self.relevant)
        for kind, (first, last) in zip(kinds, PLACES[self.relevant], strict=True):
            symbols[rng.integers(round(first * self.length), round(last * self.length) + 1)] = 6 + kind
        order = int("".join(map(str, kinds)), 2)
        return Example(one_hot(symbols, 8), one_hot([order] * steps, 2**self.relevant), 1)

    def labels(self) -> tuple[str, ...]:
        return tuple(f"{''.join(order)}, logit" for order in product("XY", repeat=self.relevant))

    def score(self) -> Score:
        return scores.sequence_accuracy(
            "sequences", scores.sigmoid_matches_within(0.3), 0.999, ("binary_cross_entropy",)
        )
