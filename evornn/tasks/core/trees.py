"""Trees as sequences: one node per step in post-order, so that a child is always read before its parent.

A step holds the places of the node's children, counted from 1 (0 where there is none), then its label as one-hot. The
last step is the root, and only its answer counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from evornn.arrays import Series
from evornn.tasks.core.generated import Example, one_hot


class Tree(NamedTuple):
    """A node with everything below it."""

    label: int
    children: tuple[Tree, ...] = ()


class Words(NamedTuple):
    """Labels by the number of their children."""

    leaves: tuple[int, ...]
    unary: tuple[int, ...]
    binary: tuple[int, ...]


def example(tree: Tree, arity: int, labels: int, answer: float) -> Example:
    """I = arity + labels, O = 1; T nodes."""
    inputs = steps(tree, arity, labels)
    return Example(inputs, np.full((len(inputs), 1), answer, np.float32), 1)


def steps(tree: Tree, arity: int, labels: int) -> Series:
    """[T, arity + labels]"""
    nodes = list(_post_order(tree))
    places = np.zeros((len(nodes), arity), np.float32)
    for row, (_, children) in enumerate(nodes):
        places[row, : len(children)] = [child + 1 for child in children]
    return np.hstack([places, one_hot([label for label, _ in nodes], labels)])


def grown(operators: int, words: Words, rng: np.random.Generator) -> Tree:
    """A random tree with so many inner nodes."""
    if operators == 0:
        return Tree(int(rng.choice(words.leaves)))
    label, below = int(rng.choice(words.unary + words.binary)), operators - 1
    if label in words.unary:
        return Tree(label, (grown(below, words, rng),))
    left = int(rng.integers(below + 1))
    return Tree(label, (grown(left, words, rng), grown(below - left, words, rng)))


def _post_order(tree: Tree, before: int = 0) -> Iterator[tuple[int, list[int]]]:
    """(label, places of the children) of every node, places counted from `before`."""
    children = []
    for child in tree.children:
        yield from _post_order(child, before)
        before += _size(child)
        children.append(before - 1)
    yield tree.label, children


def _size(tree: Tree) -> int:
    return 1 + sum(map(_size, tree.children))
