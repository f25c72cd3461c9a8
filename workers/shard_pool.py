"""The workers of a run on Ray: actors that hold the run's problem and compute parts of its populations.

A run never waits for a worker to start. Workers start at the first query that is worth sharing and are used once they
are ready. One that dies is replaced; meanwhile the run continues without it.
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

MAX_LOST_WORKERS = 20  # after which none is started any more: the problem itself may kill them


@contextmanager
def ray_sharder(resources: Mapping[str, Any]) -> Iterator[Sharder | None]:
    """Yields what shares a run's populations between its `shards` (see `Sharder`); None if it has only one."""
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
    """Up to `count` workers, each an actor with the CPUs and GPUs of `each`, Ray's options. A `ShardPool`."""

    def __init__(self, count: int, each: Mapping[str, float]) -> None:
        self.count, self.actor_options, self.num_lost = count, each, 0
        self._workers: list[RayShardWorker] = []
        self._problem: Any = None  # reference to Ray's object store

    def broadcast(self, problem: Problem) -> None:
        self._problem = ray.put(cloudpickle.dumps(problem))  # type: ignore[no-untyped-call]

    def ready_workers(self) -> list[RayShardWorker]:
        self._workers = [member for member in self._workers if not self._is_gone(member)]
        while len(self._workers) < self.count and self.num_lost < MAX_LOST_WORKERS:
            self._workers.append(RayShardWorker(ACTOR.options(**self.actor_options).remote(self._problem)))
        return [member for member in self._workers if member.is_ready]

    def close(self) -> None:
        """Kill all workers."""
        for member in self._workers:
            member.end()
        self._workers = []

    def _is_gone(self, member: RayShardWorker) -> bool:
        member.poll()
        if member.failure:
            log.warning("a worker is lost (%s): this process computes its part until another is ready", member.failure)
            self.num_lost += 1
            member.end()
        return bool(member.failure)


class RayShardWorker:
    """One worker: an actor, ready or not, or failed. A `ShardWorker`."""

    def __init__(self, actor: Any) -> None:
        self.actor, self.is_ready, self.failure = actor, False, ""
        self._description = actor.tell.remote()

    def poll(self) -> None:
        """Update `is_ready` and `failure`. A worker with other libraries or another CPU fails: bits might differ."""
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
            except RayError as error:  # also an error of the problem: it is raised again when this process computes
                self.failure, self.is_ready = type(error).__name__, False
                raise WorkerLost from None

        return wait

    def end(self) -> None:
        """Kill the actor."""
        ray.kill(self.actor)


class ShardActor:
    """An actor that holds a run's problem.

    It is ready once it has answered a query of its own, so that no run waits for what happens only once: data are laid
    out, kernels loaded.
    """

    def __init__(self, problem: bytes) -> None:
        self.problem: Problem = cloudpickle.loads(problem)
        self.problem.losses(self.problem.network.sample(1, seed=0))

    def tell(self) -> dict[str, Any]:
        """The fingerprint of the actor's process."""
        return fingerprint()

    def answer(self, query: Query) -> Answer:
        """The answer to a query about a part of a population."""
        return self.problem.answer(query)


ACTOR: Any = ray.remote(max_restarts=0)(ShardActor)


def fingerprint() -> dict[str, Any]:
    """Everything about this process that may change a bit of its results: versions and CPU."""
    return {**versions(), "cpu": cpu()}
