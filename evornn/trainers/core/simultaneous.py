"""Several trainers' steps whose populations are evaluated together: one call of the oracle, however many trainers.

A step is a function of a state and of what the oracle answers, so that it can be begun again: it is broken off where it
asks something new, and begun again when the questions of all have been answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from evornn.arrays import Batch
from evornn.trainers.core.hybrid import OracleWrapper
from evornn.trainers.core.query import Answer, Query
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
        self.answers: list[Answer] = []
        self.position = 0
        self.pending: Query

    def rewind(self) -> RecordingOracle:
        self.position = 0
        return self

    def answer(self, query: Query) -> Answer:
        if self.position == len(self.answers):
            self.pending = replace(query, genomes=query.genomes.copy())
            raise PendingEvaluation
        self.position += 1
        answer = self.answers[self.position - 1]
        return Answer(answer.losses.copy(), genomes=answer.genomes.copy())


def _evaluate_pending(waiting: list[RecordingOracle], oracle: Oracle) -> None:
    """One call for all that wait for an answer on the same batch."""
    while waiting:
        batch = waiting[0].pending.batch
        same_batch = [recorder for recorder in waiting if _is_same_batch(recorder.pending.batch, batch)]
        queries = [recorder.pending.genomes for recorder in same_batch]
        genomes, losses = oracle.evaluate(np.concatenate(queries), batch)
        ends = np.cumsum([len(query) for query in queries])[:-1]
        for recorder, *part in zip(same_batch, np.split(losses, ends), np.split(genomes, ends), strict=True):
            recorder.answers.append(Answer(part[0], genomes=part[1]))
        waiting = [recorder for recorder in waiting if recorder not in same_batch]


def _is_same_batch(a: Batch | None, b: Batch | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))
