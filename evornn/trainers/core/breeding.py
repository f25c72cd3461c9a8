"""Operators of genetic algorithms for whole populations at once: selection of parents and crossover."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from evornn.trainers.core.coordinates import Points


def select_parents(
    selection: str, losses: NDArray[np.float64], count: int, size: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Draw the members to breed from.

    Args:
        selection: "tournament": each parent is the best of `size` random members; "truncation": drawn from the best
            share `size`; "ranking": with probabilities that fall linearly from 2 / P for the best to 0 (Baker 1985).
        losses: [P].
        count: Number of parents.
        size: Members of a tournament, or share of the population; ranking ignores it.
        rng: Source of the draws.

    Returns:
        [count] rows of the population; a member may occur several times.
    """
    order, P = np.argsort(losses, kind="stable"), len(losses)
    if selection == "tournament":
        ranks = rng.integers(P, size=(count, int(size))).min(axis=1)
    elif selection == "truncation":
        ranks = rng.integers(ceil(size * P), size=count)
    else:
        ranks = rng.integers(P, size=(count, 2)).min(axis=1)  # the better of two has this distribution
    chosen: NDArray[np.intp] = order[ranks]
    return chosen


def recombine(crossover: str, a: Points, b: Points, eta: float, rng: np.random.Generator) -> tuple[Points, Points]:
    """Cross pairs of parents over.

    Args:
        crossover: "simulated_binary", "uniform", "one_point", "two_point" or "none".
        a: [K, n] one parent of each pair.
        b: [K, n] the other one.
        eta: Deb's η of simulated binary crossover; the others ignore it.
        rng: Source of the draws.

    Returns:
        Two children [K, n] of each pair; with "none" the parents themselves.
    """
    if crossover == "none":
        return a, b
    if crossover == "simulated_binary":
        return simulated_binary(a, b, eta, rng)
    from_b = {"uniform": _uniform, "one_point": _one_point, "two_point": _two_point}[crossover](a.shape, rng)
    return np.where(from_b, b, a), np.where(from_b, a, b)


def simulated_binary(a: Points, b: Points, eta: float, rng: np.random.Generator) -> tuple[Points, Points]:
    """Simulated binary crossover (Deb & Agrawal 1995): children spread around their parents like those of one-point
    crossover of binary strings.

    Args:
        a: [K, n] one parent of each pair.
        b: [K, n] the other one.
        eta: Distribution index η; the larger, the nearer the children stay to their parents.
        rng: Source of the draws.

    Returns:
        Two children [K, n] of each pair, with the same mean as their parents.
    """
    u = rng.random(a.shape)
    beta = np.where(u <= 0.5, 2 * u, 1 / (2 * (1 - u))) ** (1 / (eta + 1))
    return ((1 + beta) * a + (1 - beta) * b) / 2, ((1 - beta) * a + (1 + beta) * b) / 2


def _uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    return rng.random(shape) < 0.5


def _one_point(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """One cut per pair, so that each parent gives at least one parameter if there are two."""
    cut = rng.integers(1, max(shape[1], 2), size=(shape[0], 1))
    return np.arange(shape[1]) >= cut


def _two_point(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    cuts = np.sort(rng.integers(0, shape[1] + 1, size=(shape[0], 2)), axis=1)
    place = np.arange(shape[1])
    return (place >= cuts[:, :1]) & (place < cuts[:, 1:])
