"""When a search restarts, and with which population: IPOP (Auger & Hansen 2005)."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from evornn.trainers.core.covariance.form import Steps
from evornn.trainers.core.trainer import State

SMALLEST, LARGEST = 1e-11, 1e4  # standard deviations, in units of the initial one, between which a search makes sense
SINGULAR = 1e14  # condition number of a covariance
FLAT = 1e-12  # range of losses that counts as none, in addition to the resolution of single precision
MAX_NUMBERS = 2**24  # P · n of the largest population that restarts grow to


def append_history(search: State, losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best losses of the last 10 + ⌈30 n / P⌉ generations, with those of a new one, losses [P], appended."""
    window = 10 + ceil(30 * len(search["mean"]) / search["population"])
    return np.append(search["history"], losses.min())[-window:]


def should_restart(search: State, steps: Steps, condition: float | None) -> bool:
    """Whether a search has ended (Auger & Hansen 2005, "A restart CMA evolution strategy with increasing population
    size"; Hansen 2016, B.3).

    Its distribution has shrunk to nothing, grown beyond all bounds or become singular, or its losses are flat.

    Args:
        search: The search after a generation, with `mean` [n], `sigma` and the `history` of best losses.
        steps: [P, n] y of the generation, in units of sigma.
        condition: Condition number of the covariance; None: not known.
    """
    with np.errstate(all="ignore"):
        width = search["sigma"] * float(np.sqrt(np.einsum("pn,pn->n", steps, steps).max() / len(steps)))
    is_regular = np.isfinite(search["mean"]).all() and SMALLEST < width < LARGEST
    return not is_regular or (condition is not None and not condition < SINGULAR) or _is_flat(search)


def _is_flat(search: State) -> bool:
    history, window = search["history"], 10 + ceil(30 * len(search["mean"]) / search["population"])
    loss_range = history.max() - history.min()
    return len(history) == window and bool(loss_range <= FLAT + np.finfo(np.float32).eps * abs(history[-1]))


def grow_population(population: int, growth: float, n: int) -> int:
    """The population of the search after a restart.

    Args:
        population: P of the search before.
        growth: Factor by which it grows.
        n: Number of parameters.

    Returns:
        ⌈growth · P⌉ as long as P · n stays within MAX_NUMBERS, and never less than P.
    """
    return max(population, min(ceil(growth * population), MAX_NUMBERS // n))
