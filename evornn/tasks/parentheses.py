"""Balanced parentheses (Das, Giles & Sun 1992): does every bracket close the last open one? One kind of bracket needs a
counter, several need a stack."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, LengthGeneralisation, SplitName, one_hot
from evornn.tasks.core.task import Score

PAIRS = ("()", "[]", "{}", "<>")


@settings
class Parentheses(LengthGeneralisation):
    """Half of the strings are balanced; in the others two brackets are exchanged, or one is changed. An end symbol asks
    for the answer. `length` and `test_length` count pairs."""

    length: Annotated[int, Ge(1)] = 10
    test_length: Annotated[int, Ge(2)] = 25
    kinds: Annotated[int, Ge(1), Le(4)] = 1  # of brackets

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Balanced parentheses (Das, Giles & Sun 1992)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 2 × kinds + 1: opening brackets, closing brackets, the end. O = 1."""
        symbols = balanced_string(self.draw_length(split, rng), self.kinds, rng)
        good = bool(rng.integers(2))
        if not good:
            symbols = corrupt(symbols, self.kinds, rng)
        inputs = one_hot([*symbols, 2 * self.kinds], 2 * self.kinds + 1)
        return Example(inputs, np.full((len(inputs), 1), good, np.float32), 1)

    def labels(self) -> tuple[str, ...]:
        return (f"balanced brackets {' '.join(PAIRS[: self.kinds])}, logit",)

    def score(self) -> Score:
        return scores.binary_accuracy("strings")


def balanced_string(pairs: int, kinds: int, rng: np.random.Generator) -> list[int]:
    """A balanced string; all of that length are equally likely (Arnold & Sleep 1980).

    Args:
        pairs: half of its length.
        kinds: kinds of brackets.
        rng: draws it.

    Returns:
        Opening brackets 0 … kinds − 1; k + kinds closes k.
    """
    symbols: list[int] = []
    stack: list[int] = []
    for left in range(2 * pairs, 0, -1):
        depth = len(stack)
        # the share of completions of this prefix that begin with a closing bracket
        if rng.random() < depth * (left + depth + 2) / (2 * left * (depth + 1)):
            symbols.append(stack.pop() + kinds)
        else:
            stack.append(int(rng.integers(kinds)))
            symbols.append(stack[-1])
    return symbols


def corrupt(symbols: list[int], kinds: int, rng: np.random.Generator) -> list[int]:
    """The same string with two places exchanged or one changed, so that it is not balanced.

    Args:
        symbols: a balanced string of bracket numbers, as from `balanced_string`.
        kinds: kinds of brackets.
        rng: draws the places.
    """
    while True:
        bad = list(symbols)
        one, other = (int(place) for place in rng.choice(len(bad), 2, replace=False))
        if rng.integers(2):
            bad[one], bad[other] = bad[other], bad[one]
        else:
            bad[one] = int(rng.integers(2 * kinds))
        if not is_balanced(bad, kinds):
            return bad


def is_balanced(symbols: list[int], kinds: int) -> bool:
    """Whether every bracket closes the last open one."""
    stack: list[int] = []
    for symbol in symbols:
        if symbol < kinds:
            stack.append(symbol)
        elif not stack or stack.pop() != symbol - kinds:
            return False
    return not stack
