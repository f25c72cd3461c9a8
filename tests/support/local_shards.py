"""Shard workers without Ray, for tests of what they are asked."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from ray import cloudpickle

from evornn.trainers.core.query import Answer, Query
from evornn.training.problem import Problem
from evornn.workers.sharded import WorkerLost


class LocalShardWorker:
    """A worker in this process, with a copy of the problem; it dies at the `mortal`-th question."""

    def __init__(self, mortal: int | None = None) -> None:
        self.mortal, self.questions = mortal, 0
        self.problem: Any = None

    def submit(self, query: Query) -> Callable[[], Answer]:
        self.questions += 1
        sent = pickle.dumps(query)
        if self.questions == self.mortal:
            return self._die
        return lambda: self.problem.answer(pickle.loads(sent))

    def _die(self) -> Any:
        raise WorkerLost


class LocalShardPool:
    """Several of them."""

    def __init__(self, *workers: LocalShardWorker) -> None:
        self.workers = workers

    def broadcast(self, problem: Problem) -> None:
        for worker in self.workers:
            worker.problem = cloudpickle.loads(cloudpickle.dumps(problem))

    def ready_workers(self) -> list[LocalShardWorker]:
        return list(self.workers)
