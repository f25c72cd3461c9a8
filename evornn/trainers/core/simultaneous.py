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
from evornn.trainers.core.hybrid import OracleWrapper
from evornn.trainers.core.trainer import Oracle, State

Step: TypeAlias = Callable[[Oracle], State]


def step_jointly(steps: Sequence[Step], oracle: Oracle) -> list[State]:
    """What the steps return. They may ask the oracle for nothing but `evaluate`, which is asked for all of them
    together where they ask about the same batch. Raises BudgetExhausted."""
    oracles = [RecordingOracle(oracle) for _ in steps]
    states: dict[int, State] = {}
    while len(states) < len(steps):
        for k, step in enumerate(steps):
            if k not in states:
                with suppress(PendingEvaluation):
                    states[k] = step(oracles[k].rewind())
        _evaluate_pending([recorder for k, recorder in enumerate(oracles) if k not in states], oracle)
    return [states[k] for k in range(len(steps))]


class PendingEvaluation(Exception):
    """Breaks a step off that waits for the others' questions."""


class RecordingOracle(OracleWrapper):
    """The oracle of one step: gives the answers that are there and breaks off at the first question without one."""

    def __init__(self, real: Oracle) -> None:
        super().__init__(real)
        self.answers: list[tuple[Genomes, Losses]] = []
        self.position = 0
        self.pending_genomes: Genomes
        self.pending_batch: Batch | None = None

    def rewind(self) -> RecordingOracle:
        self.position = 0
        return self

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        if self.position == len(self.answers):
            self.pending_genomes, self.pending_batch = genomes.copy(), batch
            raise PendingEvaluation
        self.position += 1
        new_genomes, losses = self.answers[self.position - 1]
        return new_genomes.copy(), losses.copy()


def _evaluate_pending(waiting: list[RecordingOracle], oracle: Oracle) -> None:
    """One call for all that wait for an answer on the same batch."""
    while waiting:
        batch = waiting[0].pending_batch
        same_batch = [recorder for recorder in waiting if _is_same_batch(recorder.pending_batch, batch)]
        new_genomes, losses = oracle.evaluate(
            np.concatenate([recorder.pending_genomes for recorder in same_batch]), batch
        )
        ends = np.cumsum([len(recorder.pending_genomes) for recorder in same_batch])
        for recorder, *answer in zip(
            same_batch, np.split(new_genomes, ends[:-1]), np.split(losses, ends[:-1]), strict=True
        ):
            recorder.answers.append((answer[0], answer[1]))
        waiting = [recorder for recorder in waiting if recorder not in same_batch]


def _is_same_batch(a: Batch | None, b: Batch | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))
