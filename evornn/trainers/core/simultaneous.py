"""Several trainers' steps whose populations are evaluated together: one call of the oracle, however many trainers.

A step is a function of a state and of what the oracle answers, so that it can be begun again: it is broken off where it
asks something new, and begun again when the questions of all have been answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import numpy as np

from evornn.arrays import Batch, Genomes, Losses
from evornn.trainers.core.hybrid import Passed
from evornn.trainers.core.trainer import Oracle, State

Step: TypeAlias = Callable[[Oracle], State]


def at_once(steps: Sequence[Step], oracle: Oracle) -> list[State]:
    """What the steps return. They may ask the oracle for nothing but `evaluate`, which is asked for all of them
    together where they ask about the same batch. Raises BudgetExhausted."""
    asking = [Asking(oracle) for _ in steps]
    found: dict[int, State] = {}
    while len(found) < len(steps):
        for k, step in enumerate(steps):
            if k not in found:
                with suppress(Unanswered):
                    found[k] = step(asking[k].begun_again())
        _answer([asked for k, asked in enumerate(asking) if k not in found], oracle)
    return [found[k] for k in range(len(steps))]


class Unanswered(Exception):
    """Breaks a step off that waits for the others' questions."""


class Asking(Passed):
    """The oracle of one step: gives the answers that are there and breaks off at the first question without one."""

    def __init__(self, real: Oracle) -> None:
        super().__init__(real)
        self.answers: list[tuple[Genomes, Losses]] = []
        self.given = 0
        self.genomes: Genomes
        self.batch_asked: Batch | None = None

    def begun_again(self) -> Asking:
        self.given = 0
        return self

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        if self.given == len(self.answers):
            self.genomes, self.batch_asked = genomes.copy(), batch
            raise Unanswered
        self.given += 1
        told, losses = self.answers[self.given - 1]
        return told.copy(), losses.copy()


def _answer(waiting: list[Asking], oracle: Oracle) -> None:
    """One call for all that wait for an answer on the same batch."""
    while waiting:
        batch = waiting[0].batch_asked
        alike = [asked for asked in waiting if _same(asked.batch_asked, batch)]
        told, losses = oracle.evaluate(np.concatenate([asked.genomes for asked in alike]), batch)
        ends = np.cumsum([len(asked.genomes) for asked in alike])
        for asked, *answer in zip(alike, np.split(told, ends[:-1]), np.split(losses, ends[:-1]), strict=True):
            asked.answers.append((answer[0], answer[1]))
        waiting = [asked for asked in waiting if asked not in alike]


def _same(a: Batch | None, b: Batch | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))
