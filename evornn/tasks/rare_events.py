"""Rare unpredictable events (Schmidhuber 1992, "Learning complex, extended sequences using the principle of history
compression"): long predictable stretches, and rarely a symbol that can't be predicted and that matters later."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.arrays import Mask, Series
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, Generated, SplitName, one_hot
from evornn.tasks.core.task import Score, Sequences


@settings
class RareEvents(Generated):
    """A stream of blocks: a or x at random, then always b₁ … b_lag, then the block's a or x again. Predict the next
    symbol; the end of a block is predictable, its beginning is not. The paper has a label where the symbol is repeated
    here."""

    train: Annotated[int, Ge(1)] = 200
    valid: Annotated[int, Ge(1)] = 100
    test: Annotated[int, Ge(1)] = 200
    lag: Annotated[int, Ge(1)] = 20  # predictable symbols between event and consequence
    blocks: Annotated[int, Ge(1)] = 10  # of a sequence

    loss: ClassVar[str] = "cross_entropy"
    paper: ClassVar[str] = "Rare unpredictable events (after Schmidhuber 1992)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = O = 2 + lag: a, x, b₁ … b_lag, and the one that comes next; T = blocks × (lag + 2) − 1."""
        events = rng.integers(0, 2, (self.blocks, 1))
        between = np.broadcast_to(np.arange(2, self.lag + 2), (self.blocks, self.lag))
        stream = np.hstack([events, between, events]).ravel()
        return Example(one_hot(stream[:-1], self.lag + 2), one_hot(stream[1:], self.lag + 2), len(stream) - 1)

    def labels(self) -> tuple[str, ...]:
        return tuple(f"{symbol} comes next, logit" for symbol in ["a", "x", *(f"b{k + 1}" for k in range(self.lag))])

    def score(self) -> Score:
        """The beginnings of blocks, which follow a or x, are not judged."""

        def is_correct(outputs: Series, split: Sequences) -> Mask:
            unforeseen: Mask = np.any(split.inputs[..., :2], axis=-1) & np.any(split.targets[..., :2], axis=-1)
            return unforeseen | scores.argmax_matches(outputs, split)

        return scores.sequence_accuracy("streams", is_correct)
