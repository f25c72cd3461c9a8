"""n-gram models as baselines: each order is smoothed by the one below it (a Dirichlet prior, MacKay & Peto 1995)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evornn.data.scaling import Doubles
from evornn.data.symbols import Codes

PRIORS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # how many observations the order below is worth


@dataclass(frozen=True)
class Counts:
    """How often contexts occur, and symbols after them, in training."""

    contexts: Codes  # sorted codes
    context_counts: Doubles
    pairs: Codes  # sorted codes of contexts with the symbol that follows
    pair_counts: Doubles


def ngram_losses(text: Codes, vocabulary: int, ends: Sequence[int], order: int) -> list[Doubles]:
    """For each order from 1 on, [N] −log probability of every symbol of a text, given those before it.

    A first symbol has a shorter context than the order, and gets the probability that the order below gives it.

    Args:
        text: all of it.
        vocabulary: how many symbols there are.
        ends: where training and validation end: counts are of training, priors are the best on validation.
        order: the largest n.
    """
    train, valid = ends
    frequency = np.bincount(text[:train], minlength=vocabulary)
    chances = ((frequency + 0.5) / (train + 0.5 * vocabulary))[text]
    losses = [-np.log(chances)]
    for n in range(2, order + 1):
        candidates = [chances.copy() for _ in PRIORS]
        seen, pairs = _look_up(text, vocabulary, train, n)
        for prior, candidate in zip(PRIORS, candidates, strict=True):
            candidate[n - 1 :] = (pairs + prior * chances[n - 1 :]) / (seen + prior)
        chances = min(candidates, key=lambda candidate: -np.log(candidate[train:valid]).mean())
        losses.append(-np.log(chances))
    return losses


def _look_up(text: Codes, vocabulary: int, train: int, n: int) -> tuple[Doubles, Doubles]:
    """[N − n + 1] how often, in training, the context of each symbol occurs, and the symbol after it."""
    counts = _count(text[:train], vocabulary, n)
    contexts, pairs = _codes(text, vocabulary, n)
    seen = _number_of(contexts, counts.contexts, counts.context_counts)
    return seen, _number_of(pairs, counts.pairs, counts.pair_counts)


def _count(text: Codes, vocabulary: int, n: int) -> Counts:
    contexts, pairs = _codes(text, vocabulary, n)
    known, times = np.unique(contexts, return_counts=True)
    known_pairs, pair_times = np.unique(pairs, return_counts=True)
    return Counts(known, times.astype(np.float64), known_pairs, pair_times.astype(np.float64))


def _codes(text: Codes, vocabulary: int, n: int) -> tuple[Codes, Codes]:
    """[N − n + 1] a number for the n − 1 symbols before each symbol, and one for these and the symbol."""
    windows = np.lib.stride_tricks.sliding_window_view(text, n)
    contexts = windows[:, :-1] @ vocabulary ** np.arange(n - 1, dtype=np.int64)
    return contexts, contexts * vocabulary + windows[:, -1]


def _number_of(codes: Codes, known: Codes, counts: Doubles) -> Doubles:
    """[N] the counts of codes, 0 for those that are not known."""
    if not len(known):
        return np.zeros(len(codes))
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    return np.where(known[places] == codes, counts[places], 0.0)
