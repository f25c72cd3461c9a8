"""Steps of several trainers whose populations are evaluated together, in one call of the oracle.

A step is a function of a state and of the oracle's answers, so it can be repeated. Each step runs until it makes a
query without an answer, which interrupts it. When the queries of all steps have been answered together, the interrupted
steps are repeated from the beginning with the answers recorded so far. A step with one evaluation thus runs twice.
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
    """The results of all steps, in order. Raises BudgetExhausted.

    The only query that the steps may make is `Oracle.evaluate`; those on the same batch become one call of the oracle.
    """
    oracles = [RecordingOracle(oracle) for _ in steps]
    states: dict[int, State] = {}
    while len(states) < len(steps):
        # Run every unfinished step up to its next unanswered query, or to its end.
        for k, step in enumerate(steps):
            if k not in states:
                with suppress(PendingEvaluation):
                    states[k] = step(oracles[k].rewind())
        # All that are left wait for an answer.
        _evaluate_pending([recorder for k, recorder in enumerate(oracles) if k not in states], oracle)
    return [states[k] for k in range(len(steps))]


class PendingEvaluation(Exception):
    """Interrupts a step until its query has been answered together with those of the others."""


class RecordingOracle(OracleWrapper):
    """The oracle of one step: repeats the recorded answers and interrupts the step at the first query without one."""

    def __init__(self, real: Oracle) -> None:
        super().__init__(real)
        self.answers: list[Answer] = []  # in the order of the step's queries
        self.position = 0  # of the next query
        self.pending: Query  # set before PendingEvaluation is raised

    def rewind(self) -> RecordingOracle:
        """The same oracle for another run of the step, from its first query."""
        self.position = 0
        return self

    def answer(self, query: Query) -> Answer:
        # Copies both ways: a step may write into its arrays, and is run again.
        if self.position == len(self.answers):
            self.pending = replace(query, genomes=query.genomes.copy())
            raise PendingEvaluation
        self.position += 1
        answer = self.answers[self.position - 1]
        return Answer(answer.losses.copy(), genomes=answer.genomes.copy())


def _evaluate_pending(waiting: list[RecordingOracle], oracle: Oracle) -> None:
    """Answer all pending queries, with one call of the oracle for those on the same batch."""
    while waiting:
        batch = waiting[0].pending.batch
        same_batch = [recorder for recorder in waiting if _is_same_batch(recorder.pending.batch, batch)]
        queries = [recorder.pending.genomes for recorder in same_batch]
        genomes, losses = oracle.evaluate(np.concatenate(queries), batch)
        # Cut the answer at the ends of the queries, and hand each step its part.
        ends = np.cumsum([len(query) for query in queries])[:-1]
        for recorder, *part in zip(same_batch, np.split(losses, ends), np.split(genomes, ends), strict=True):
            recorder.answers.append(Answer(part[0], genomes=part[1]))
        waiting = [recorder for recorder in waiting if recorder not in same_batch]


def _is_same_batch(a: Batch | None, b: Batch | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))
