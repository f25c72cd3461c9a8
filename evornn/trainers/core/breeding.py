"""Operators of genetic algorithms, for whole populations at once: who becomes a parent, and what two parents make."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from evornn.trainers.core.coordinates import Points


def select_parents(
    selection: str, losses: NDArray[np.float64], count: int, size: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """[count] members to breed from. `tournament`: each the best of `size` drawn ones; `truncation`: drawn from the
    best share `size`; `ranking`: with chances that fall evenly from 2 / P for the best to 0 (Baker 1985)."""
    order, P = np.argsort(losses, kind="stable"), len(losses)
    if selection == "tournament":
        ranks = rng.integers(P, size=(count, int(size))).min(axis=1)
    elif selection == "truncation":
        ranks = rng.integers(ceil(size * P), size=count)
    else:
        ranks = rng.integers(P, size=(count, 2)).min(axis=1)  # the better of two: that very distribution
    chosen: NDArray[np.intp] = order[ranks]
    return chosen


def recombine(crossover: str, a: Points, b: Points, eta: float, rng: np.random.Generator) -> tuple[Points, Points]:
    """Two children [K, n] of each pair of parents a, b [K, n]."""
    if crossover == "none":
        return a, b
    if crossover == "simulated_binary":
        return simulated_binary(a, b, eta, rng)
    from_b = {"uniform": _uniform, "one_point": _one_point, "two_point": _two_point}[crossover](a.shape, rng)
    return np.where(from_b, b, a), np.where(from_b, a, b)


def simulated_binary(a: Points, b: Points, eta: float, rng: np.random.Generator) -> tuple[Points, Points]:
    """Deb & Agrawal 1995: children lie around both parents as far apart as bits would have put them."""
    u = rng.random(a.shape)
    beta = np.where(u <= 0.5, 2 * u, 1 / (2 * (1 - u))) ** (1 / (eta + 1))
    return ((1 + beta) * a + (1 - beta) * b) / 2, ((1 - beta) * a + (1 + beta) * b) / 2


def _uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    return rng.random(shape) < 0.5


def _one_point(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """At least one parameter of each parent, where there are two."""
    cut = rng.integers(1, max(shape[1], 2), size=(shape[0], 1))
    return np.arange(shape[1]) >= cut


def _two_point(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    cuts = np.sort(rng.integers(0, shape[1] + 1, size=(shape[0], 2)), axis=1)
    place = np.arange(shape[1])
    return (place >= cuts[:, :1]) & (place < cuts[:, 1:])
