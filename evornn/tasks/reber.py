"""The embedded Reber grammar (Hochreiter & Schmidhuber 1997, section 5.1): predict the next symbol. All is local but
the last symbol but one, which repeats the second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.arrays import Mask, Series
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, Generated, SplitName, one_hot
from evornn.tasks.core.task import Score, Sequences

SYMBOLS = "BTPSXVE"
GRAPH: tuple[dict[str, int], ...] = (  # node → symbol → node; both edges out of a node are equally likely
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
    {},
)


@settings
class Reber(Generated):
    """Strings B T (Reber string) T E and B P (Reber string) P E, 256 in each split as in the paper. No string occurs
    twice, so long ones are more frequent than the grammar makes them; `repeats` keeps the grammar's frequencies, with
    short strings many times in all splits. Solved: after every prefix the legal next symbols have the largest outputs.
    The paper demands that for the training strings too."""

    train: Annotated[int, Ge(1)] = 256
    valid: Annotated[int, Ge(1)] = 256
    test: Annotated[int, Ge(1)] = 256
    repeats: bool = False

    loss: ClassVar[str] = "cross_entropy"
    paper: ClassVar[str] = "The embedded Reber grammar (Hochreiter & Schmidhuber 1997)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = O = 7: the symbols BTPSXVE, and the one that comes next."""
        outer = "TP"[rng.integers(2)]
        symbols = [SYMBOLS.index(symbol) for symbol in f"B{outer}{reber_string(rng)}{outer}E"]
        return Example(one_hot(symbols[:-1], 7), one_hot(symbols[1:], 7), len(symbols) - 1)

    def draw_examples(self, draw: Callable[[], Example], count: int, seen: set[bytes]) -> list[Example]:
        return [draw() for _ in range(count)] if self.repeats else super().draw_examples(draw, count, seen)

    def labels(self) -> tuple[str, ...]:
        return tuple(f"{symbol} comes next, logit" for symbol in SYMBOLS)

    def score(self) -> Score:
        return scores.sequence_accuracy("strings", legal_most_active)


def reber_string(rng: np.random.Generator) -> str:
    """A Reber string, such as BTXSE."""
    node, string = 0, ""
    while GRAPH[node]:
        symbol = list(GRAPH[node])[rng.integers(len(GRAPH[node]))]
        node, string = GRAPH[node][symbol], string + symbol
    return string


def legal_symbols(string: str) -> list[str]:
    """The symbols that may follow each prefix of an embedded Reber string, from its first symbol on."""
    node, symbols = 0, ["TP", "B"]
    for symbol in string[2:]:
        if GRAPH[node]:
            node = GRAPH[node][symbol]
            symbols.append("".join(GRAPH[node]) or string[1])
        else:  # after the second outer letter
            symbols.append("E")
    return symbols


def legal_most_active(outputs: Series, split: Sequences) -> Mask:
    """[B, T] where every legal next symbol has a larger output than every illegal one."""
    right = np.zeros(split.mask.shape, np.bool_)
    for row, mask in enumerate(split.mask):
        string = "".join(SYMBOLS[k] for k in split.inputs[row, mask].argmax(axis=-1))
        for step, symbols in enumerate(legal_symbols(string)):
            is_legal = np.isin(list(SYMBOLS), list(symbols))
            right[row, step] = outputs[row, step, is_legal].min() > outputs[row, step, ~is_legal].max()
    return right
