"""Logic formulas as trees (Goller & Küchler 1996): is a formula of constants true?"""

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

LABELS = ("false", "true", "not", "and", "or", "xor")
VOCABULARY = Vocabulary(leaves=(0, 1), unary=(2,), binary=(3, 4, 5))


@settings
class LogicTrees(LengthGeneralisation):
    """Random formulas of true, false, not, and, or, xor; `length` and `test_length` count connectives.
    `tasks/core/trees.py` says how a tree becomes a sequence."""

    length: Annotated[int, Ge(1)] = 6
    test_length: Annotated[int, Ge(2)] = 12

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Logic formulas as trees (after Goller & Küchler 1996)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 2 + 6 (positions of two children, label), O = 1."""
        tree = random_tree(self.draw_length(split, rng), VOCABULARY, rng)
        return tree_example(tree, 2, len(LABELS), float(truth(tree)))

    def data(self) -> Data:
        """Also has the baseline that counts nodes without seeing the tree."""
        return add_bag_baseline(super().data(), arity=2)

    def labels(self) -> tuple[str, ...]:
        return ("the formula is true, logit",)

    def score(self) -> Score:
        return scores.binary_accuracy("formulas")


def truth(tree: Tree) -> bool:
    """The value of a formula."""
    values = [truth(child) for child in tree.children]
    match LABELS[tree.label]:
        case "not":
            return not values[0]
        case "and":
            return all(values)
        case "or":
            return any(values)
        case "xor":
            return values[0] != values[1]
        case constant:
            return constant == "true"
