"""What a trainer asks about a population, and what it is answered: one value each way, however many rooms it passes.

A query goes from a trainer through the oracles of hybrids to the one that counts, and from there through a problem to
the kernels, here or on other machines. Whoever stands in between overrides `answer` and nothing else.
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
nothing: Callable[[], Floats] = partial(np.zeros, 0, np.float32)  # type: ignore[assignment]  # what was not asked for


class Kind(Enum):
    """What is wanted of each member."""

    LOSSES = auto()
    POPULATION = auto()  # losses, and the genomes to continue with: a hybrid's oracle may have improved some
    GRADIENTS = auto()  # losses and gradients
    READOUTS = auto()  # the same genome with the linear read-out that is best for it
    WINDOW = auto()  # losses and gradients of a window of time steps, and the state after it


@dataclass(frozen=True, slots=True)
class Window:
    """`length` time steps from `begin` on, where the networks are in the state `carry` (None: their initial state). An
    `exact` gradient reaches back to the start of the sequences, any other to the start of the window."""

    begin: int
    length: int
    exact: bool = False
    carry: Carry | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A window as a problem computes it: time steps begin … end of sequences that end at `last`; nothing counts before
    `first`. A member's network steps through it cost `cost`."""

    begin: int
    first: int
    end: int
    last: int
    cost: int


@dataclass(frozen=True, slots=True)
class Query:
    """A question about genomes [P, n], on the cases of a mini-batch (None: on all data)."""

    genomes: Genomes
    kind: Kind = Kind.LOSSES
    batch: Batch | None = None
    ridge: float = 0.0  # of READOUTS
    window: Window | None = None  # of WINDOW
    segment: Segment | None = None  # the same, once the problem has said what it covers

    def take(self, members: slice) -> Query:
        """The same question about some of the members."""
        window = self.window
        if window is not None and window.carry is not None:
            window = replace(window, carry=[{k: v[members] for k, v in layer.items()} for layer in window.carry])
        return replace(self, genomes=self.genomes[members], window=window)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query was answered; what it did not ask for is empty or None."""

    losses: Losses = field(default_factory=nothing)  # [P], NaN where a network is not finite
    gradients: Genomes = field(default_factory=nothing)  # [P, n]
    genomes: Genomes = field(default_factory=nothing)  # [P, n] to continue with
    costs: Costs | None = None  # None: each member costs what the problem announced
    end: int | None = None  # where the next window begins; None: no later step counts
    carry: Carry | None = None  # the state there


def concatenate(answers: Sequence[Answer]) -> Answer:
    """The answer about all members, from those about some of them, in order."""
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
