"""Trees as sequences: one node per step in post-order, so that a child is always read before its parent.

A step holds the positions of the node's children, counted from 1 (0 where there is none), then its label as one-hot.
The last step is the root, and only its answer counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from evornn.arrays import Series
from evornn.tasks.core.generated import Example, one_hot


class Tree(NamedTuple):
    """A node with its subtrees."""

    label: int
    children: tuple[Tree, ...] = ()


class Vocabulary(NamedTuple):
    """Labels by the number of their children."""

    leaves: tuple[int, ...]
    unary: tuple[int, ...]
    binary: tuple[int, ...]


def tree_example(tree: Tree, arity: int, labels: int, answer: float) -> Example:
    """A tree as an example, I = arity + labels, O = 1, one step per node.

    Args:
        tree: the tree.
        arity: the largest number of children.
        labels: the number of labels.
        answer: the target at the root.
    """
    inputs = encode_tree(tree, arity, labels)
    return Example(inputs, np.full((len(inputs), 1), answer, np.float32), 1)


def encode_tree(tree: Tree, arity: int, labels: int) -> Series:
    """The inputs of a tree.

    Args:
        tree: the tree.
        arity: the largest number of children.
        labels: the number of labels.

    Returns:
        [T, arity + labels], one step per node.
    """
    nodes = list(_post_order(tree))
    places = np.zeros((len(nodes), arity), np.float32)
    for row, (_, children) in enumerate(nodes):
        places[row, : len(children)] = [child + 1 for child in children]
    return np.hstack([places, one_hot([label for label, _ in nodes], labels)])


def random_tree(operators: int, vocabulary: Vocabulary, rng: np.random.Generator) -> Tree:
    """A random tree.

    Args:
        operators: the number of inner nodes.
        vocabulary: the labels to draw from.
        rng: draws it.
    """
    if operators == 0:
        return Tree(int(rng.choice(vocabulary.leaves)))
    label, remaining = int(rng.choice(vocabulary.unary + vocabulary.binary)), operators - 1
    if label in vocabulary.unary:
        return Tree(label, (random_tree(remaining, vocabulary, rng),))
    left = int(rng.integers(remaining + 1))
    return Tree(label, (random_tree(left, vocabulary, rng), random_tree(remaining - left, vocabulary, rng)))


def _post_order(tree: Tree, before: int = 0) -> Iterator[tuple[int, list[int]]]:
    """(label, positions of the children) of every node, positions counted from `before`."""
    children = []
    for child in tree.children:
        yield from _post_order(child, before)
        before += _size(child)
        children.append(before - 1)
    yield tree.label, children


def _size(tree: Tree) -> int:
    return 1 + sum(map(_size, tree.children))
