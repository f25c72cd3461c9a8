"""A query about a population and its answer: one value each way, through all layers.

A query passes from a trainer through the oracles of hybrids to the oracle that counts its cost, and from there through
a problem to the kernels, in this process or on other machines. A layer in between overrides `answer` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Floats, Genomes, Losses

Costs: TypeAlias = NDArray[np.int64]  # [P] network steps taken for each member
Carry: TypeAlias = list[dict[str, Floats]]
"""The state of P networks between two time steps of B sequences: per layer, state name → [P, B, size]; where gradients
are exact also its sensitivities, "∂" and the name → [P, B, size, n]."""
nothing: Callable[[], Floats] = partial(np.zeros, 0, np.float32)  # type: ignore[assignment]  # not requested


class Kind(Enum):
    """What a query requests for each member."""

    LOSSES = auto()
    POPULATION = auto()  # losses, and the genomes to continue with: a hybrid's oracle may have improved some
    GRADIENTS = auto()  # losses and gradients
    READOUTS = auto()  # the same genome with its linear read-out solved
    WINDOW = auto()  # losses and gradients of a window of time steps, and the state after it


@dataclass(frozen=True, slots=True)
class Window:
    """`length` time steps from `begin` on, before which the networks have the state `carry` (None: the initial state).

    An `exact` gradient reaches back to the start of the sequences, any other to the start of the window.
    """

    begin: int
    length: int
    exact: bool = False
    carry: Carry | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The time steps of a window as a problem computes them."""

    begin: int
    first: int  # no step before it counts: the steps begin … first − 1 need no gradient
    end: int  # the first step after the window
    last: int  # no step from here on counts
    cost: int  # network steps per member


@dataclass(frozen=True, slots=True)
class Perturbation:
    """What is random in training data and networks during one step of a run. All members have the same: it follows from
    these numbers alone, whoever computes which part of a population."""

    seed: int  # of the run
    step: int  # tells the trainer's steps apart
    input_noise: float  # standard deviation
    dropout: float = 0.0  # probability with which a value from layer to layer is dropped


@dataclass(frozen=True, slots=True)
class Query:
    """A query about genomes [P, n] on a mini-batch (None: on all data)."""

    genomes: Genomes
    kind: Kind = Kind.LOSSES
    batch: Batch | None = None
    ridge: float = 0.0  # of READOUTS
    window: Window | None = None  # of WINDOW
    segment: Segment | None = None  # the window's time steps, once the oracle has asked the problem for them
    perturbation: Perturbation | None = None  # None: nothing is random

    def take(self, members: slice) -> Query:
        """The same query about some of the members."""
        window = self.window
        if window is not None and window.carry is not None:
            window = replace(window, carry=[{k: v[members] for k, v in layer.items()} for layer in window.carry])
        return replace(self, genomes=self.genomes[members], window=window)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query; what it did not request is empty or None."""

    losses: Losses = field(default_factory=nothing)  # [P], NaN where a network is not finite
    gradients: Genomes = field(default_factory=nothing)  # [P, n]
    genomes: Genomes = field(default_factory=nothing)  # [P, n] to continue with
    costs: Costs | None = None  # None: each member costs the problem's `min_cost`
    end: int | None = None  # where the next window begins; None: no later step counts
    carry: Carry | None = None  # the state before that step


def concatenate(answers: Sequence[Answer]) -> Answer:
    """One answer about all members from the answers about parts of the population, in order."""
    if len(answers) == 1:
        return answers[0]
    costs, carries = [answer.costs for answer in answers], [answer.carry for answer in answers]
    return Answer(
        losses=_stack([answer.losses for answer in answers]),
        gradients=_stack([answer.gradients for answer in answers]),
        genomes=_stack([answer.genomes for answer in answers]),
        costs=None if costs[0] is None else _stack(costs),
        end=answers[0].end,
        carry=None if carries[0] is None else _stack_carries(carries),
    )


def _stack(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts)


def _stack_carries(carries: Sequence[Any]) -> Carry:
    layers = zip(*carries, strict=True)
    return [{name: _stack([part[name] for part in layer]) for name in layer[0]} for layer in layers]
