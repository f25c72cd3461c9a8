"""Arithmetic as trees (Hupkes, Veldhoen & Zuidema 2018): what is the value of a nested expression of + and −?"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.bag import add_bag_baseline
from evornn.tasks.core.generated import Example, LengthGeneralisation, SplitName
from evornn.tasks.core.task import Data, Score
from evornn.tasks.core.trees import Tree, Vocabulary, random_tree, tree_example


@settings
class ArithmeticTrees(LengthGeneralisation):
    """Random expressions over −`largest` … `largest`; `length` and `test_length` count operators. The answer is in
    units of `largest`. `tasks/core/trees.py` says how a tree becomes a sequence."""

    length: Annotated[int, Ge(1)] = 4
    test_length: Annotated[int, Ge(2)] = 8
    largest: Annotated[int, Ge(1)] = 10

    causal: ClassVar[bool] = False
    loss: ClassVar[str] = "mse"
    paper: ClassVar[str] = "Arithmetic as trees (after Hupkes, Veldhoen & Zuidema 2018)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 2 + (2 largest + 1) + 2: positions of two children; the numbers, + and −. O = 1."""
        numbers = 2 * self.largest + 1
        vocabulary = Vocabulary(leaves=tuple(range(numbers)), unary=(), binary=(numbers, numbers + 1))
        tree = random_tree(self.draw_length(split, rng), vocabulary, rng)
        return tree_example(tree, 2, numbers + 2, value(tree, self.largest) / self.largest)

    def data(self) -> Data:
        """Also has the baseline that counts nodes without seeing the tree."""
        return add_bag_baseline(super().data(), arity=2)

    def labels(self) -> tuple[str, ...]:
        return (f"value / {self.largest}",)

    def score(self) -> Score:
        """An answer is right if the nearest whole number is the value."""
        return scores.sequence_accuracy("expressions", scores.matches_within(0.5 / self.largest))


def value(tree: Tree, largest: int) -> int:
    """The value of an expression. Labels 0 … 2 × largest are the numbers from −largest on; then come + and −."""
    if not tree.children:
        return tree.label - largest
    left, right = (value(child, largest) for child in tree.children)
    return left + right if tree.label == 2 * largest + 1 else left - right
