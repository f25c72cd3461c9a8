"""The workers of a run on Ray: actors that hold the run's problem and compute parts of its populations.

A run never waits for them. They start at the first query that is worth it and are used once they are ready; one that
dies is replaced, and meanwhile the run continues without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import ray
from ray import cloudpickle
from ray.exceptions import RayError

from evornn.trainers.core.query import Answer, Query
from evornn.training.environment import cpu, versions
from evornn.training.problem import Problem, Sharder
from evornn.workers.sharded import ShardedProblem, WorkerLost
from evornn.workers.versions import differences

log = logging.getLogger(__name__)

MAX_LOST_WORKERS = 20  # then no more are started: the problem may be what kills them
SINGLE_THREADED = {"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}


@contextmanager
def ray_sharder(resources: Mapping[str, Any]) -> Iterator[Sharder | None]:
    """How a run with these resources spreads its populations; None where it does not."""
    shards = resources.get("shards", 1)
    if shards == 1:
        yield None
        return
    pool = RayShardPool(shards - 1, {"num_cpus": resources.get("cpus", 1), "num_gpus": resources.get("gpus", 0)})
    try:
        yield lambda problem: ShardedProblem(problem, pool)
    finally:
        pool.close()


class RayShardPool:
    """Up to `count` workers, each with CPUs and GPUs of its own (Ray's options `each`)."""

    def __init__(self, count: int, each: Mapping[str, float]) -> None:
        self.count, self.actor_options, self.num_lost = count, each, 0
        self._workers: list[RayShardWorker] = []
        self._problem: Any = None  # in Ray's store

    def broadcast(self, problem: Problem) -> None:
        self._problem = ray.put(cloudpickle.dumps(problem))  # type: ignore[no-untyped-call]

    def ready_workers(self) -> list[RayShardWorker]:
        self._workers = [member for member in self._workers if not self._is_gone(member)]
        while len(self._workers) < self.count and self.num_lost < MAX_LOST_WORKERS:
            self._workers.append(RayShardWorker(ACTOR.options(**self.actor_options).remote(self._problem)))
        return [member for member in self._workers if member.is_ready]

    def close(self) -> None:
        """End all workers."""
        for member in self._workers:
            member.end()
        self._workers = []

    def _is_gone(self, member: RayShardWorker) -> bool:
        member.poll()
        if member.failure:
            log.warning("a worker is lost (%s): its part is computed here until another one is ready", member.failure)
            self.num_lost += 1
            member.end()
        return bool(member.failure)


class RayShardWorker:
    """One worker."""

    def __init__(self, actor: Any) -> None:
        self.actor, self.is_ready, self.failure = actor, False, ""
        self._description = actor.tell.remote()

    def poll(self) -> None:
        """Whether it is there by now, and fit to help: with other libraries or another CPU, bits might differ."""
        if self.is_ready or self.failure or not ray.wait([self._description], timeout=0)[0]:
            return
        try:
            remote = ray.get(self._description)
        except RayError as error:
            self.failure = type(error).__name__
            return
        local = fingerprint()
        mismatches = [f"another {what}" for what in ("evornn", "cpu") if local[what] != remote[what]]
        mismatches += differences(local, remote)
        self.failure, self.is_ready = "; ".join(mismatches), not mismatches

    def submit(self, query: Query) -> Callable[[], Answer]:
        answer = self.actor.answer.remote(query)

        def wait() -> Answer:
            try:
                return cast(Answer, ray.get(answer))
            except RayError as error:  # also what the problem raised there: here it will be told in its own words
                self.failure, self.is_ready = type(error).__name__, False
                raise WorkerLost from None

        return wait

    def end(self) -> None:
        ray.kill(self.actor)


class ShardActor:
    """An actor that holds a run's problem. It is there once it has answered a question of its own, so that no run waits
    for what only the first answer takes: data are laid out, kernels loaded."""

    def __init__(self, problem: bytes) -> None:
        self.problem: Problem = cloudpickle.loads(problem)
        self.problem.losses(self.problem.network.sample(1, seed=0))

    def tell(self) -> dict[str, Any]:
        """What computes here."""
        return fingerprint()

    def answer(self, query: Query) -> Answer:
        """The answer about a part of a population."""
        return self.problem.answer(query)


ACTOR: Any = ray.remote(max_restarts=0, runtime_env=SINGLE_THREADED)(ShardActor)


def fingerprint() -> dict[str, Any]:
    """All that may change a bit of what this process computes."""
    return {**versions(), "cpu": cpu()}
