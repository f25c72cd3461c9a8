"""The helpers of a run on Ray: actors that hold the run's problem and compute parts of its populations.

A run never waits for them. They are called at the first question that is worth it and asked once they are there; one
that dies is replaced, and meanwhile done without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError

from evornn.training.environment import cpu, versions
from evornn.training.problem import Problem, Spread
from evornn.workers.sharded import Arguments, Lost, Sharded
from evornn.workers.versions import differences

log = logging.getLogger(__name__)

LOSSES = 20  # of helpers, until no more are called: it may be the problem that kills them
SINGLE_THREADED = {"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}


@contextmanager
def sharding(resources: Mapping[str, Any]) -> Iterator[Spread | None]:
    """How a run with these resources spreads its populations; None where it does not."""
    shards = resources.get("shards", 1)
    if shards == 1:
        yield None
        return
    crew = RayCrew(shards - 1, {"num_cpus": resources.get("cpus", 1), "num_gpus": resources.get("gpus", 0)})
    try:
        yield lambda problem: Sharded(problem, crew)
    finally:
        crew.close()


class RayCrew:
    """Up to `count` helpers, each with CPUs and GPUs of its own (Ray's options `each`)."""

    def __init__(self, count: int, each: Mapping[str, float]) -> None:
        self.count, self.each, self.lost = count, each, 0
        self._members: list[Member] = []
        self._problem: Any = None  # in Ray's store

    def equip(self, problem: Problem) -> None:
        self._problem = ray.put(cloudpickle.dumps(problem))  # type: ignore[no-untyped-call]

    def present(self) -> list[Member]:
        self._members = [member for member in self._members if not self._is_gone(member)]
        while len(self._members) < self.count and self.lost < LOSSES:
            self._members.append(Member(ACTOR.options(**self.each).remote(self._problem)))
        return [member for member in self._members if member.is_ready]

    def close(self) -> None:
        """End all helpers."""
        for member in self._members:
            member.end()
        self._members = []

    def _is_gone(self, member: Member) -> bool:
        member.look()
        if member.problem:
            log.warning("a helper is gone (%s): its part is computed here until another one is there", member.problem)
            self.lost += 1
            member.end()
        return bool(member.problem)


class Member:
    """One helper."""

    def __init__(self, actor: Any) -> None:
        self.actor, self.is_ready, self.problem = actor, False, ""
        self._told = actor.tell.remote()

    def look(self) -> None:
        """Whether it is there by now, and fit to help: with other libraries or another CPU, bits might differ."""
        if self.is_ready or self.problem or not ray.wait([self._told], timeout=0)[0]:
            return
        try:
            theirs = ray.get(self._told)
        except RayError as error:
            self.problem = type(error).__name__
            return
        own = described()
        unlike = [f"another {what}" for what in ("evornn", "cpu") if own[what] != theirs[what]]
        unlike += differences(own, theirs)
        self.problem, self.is_ready = "; ".join(unlike), not unlike

    def ask(self, question: str, arguments: Arguments) -> Callable[[], Any]:
        answer = self.actor.answer.remote(question, *arguments)

        def wait() -> Any:
            try:
                return ray.get(answer)
            except RayError as error:  # also what the problem raised there: here it will be told in its own words
                self.problem, self.is_ready = type(error).__name__, False
                raise Lost from None

        return wait

    def end(self) -> None:
        ray.kill(self.actor)


class Holder:
    """An actor that holds a run's problem. It is there once it has answered a question of its own, so that no run waits
    for what only the first answer takes: data are laid out, kernels loaded."""

    def __init__(self, problem: bytes) -> None:
        self.problem: Problem = cloudpickle.loads(problem)
        self.problem.losses(self.problem.network.sample(1, seed=0))

    def tell(self) -> dict[str, Any]:
        """What computes here."""
        return described()

    def answer(self, question: str, *arguments: Any) -> Any:
        """A part of a population's losses, gradients, …"""
        return getattr(self.problem, question)(*arguments)


ACTOR: Any = ray.remote(max_restarts=0, runtime_env=SINGLE_THREADED)(Holder)


def described() -> dict[str, Any]:
    """All that may change a bit of what this process computes."""
    return {**versions(), "cpu": cpu()}
