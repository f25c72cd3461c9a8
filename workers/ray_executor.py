"""Runs on Ray: each run is one task that yields its updates, so the loop travels to where the data is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from evornn.service.executor import Assignment, Attempt, Ended, Event, Room
from evornn.workers.machines import Machines

TOO_LARGE = 8  # runs that wait for a larger machine; while there are more, no others are taken
FETCH = 10.0  # seconds for the transfer of an update from a node that may have died


class RayExecutor:
    """Computes runs on the Ray that this process is connected to (see `evornn.workers.cluster`).

    It takes as many runs as fill the CPUs and GPUs that the cluster has now, or `slots` CPUs, which lets a cluster grow
    that adds machines when runs wait. A run that no machine can take is refused once the cluster hasn't changed for
    `grace` seconds.
    """

    def __init__(self, slots: int | None = None, grace: float = 0.0) -> None:
        self._slots, self._machines = slots, Machines(grace)
        self._streams: dict[Any, Assignment] = {}  # Ray's generator → run
        self._stopped: set[Attempt] = set()

    @property
    def room(self) -> Room:
        capacity, needs = self._machines.capacity, [assignment.needs for assignment in self._streams.values()]
        fitting = [need for need in needs if self._machines.take(need)]
        if len(needs) - len(fitting) > TOO_LARGE:
            return Room(0, 0)
        cpus = (self._slots or max(1, capacity.cpus)) - sum(need.cpus for need in fitting)
        # Without any GPU, runs that need one are still taken in turn: they wait for one to come, or are refused.
        return Room(cpus, capacity.gpus - sum(need.gpus for need in fitting) if capacity.gpus else cpus)

    def start(self, assignment: Assignment) -> None:
        wanted = {"num_cpus": assignment.needs.cpus, "num_gpus": assignment.needs.gpus}
        task = _perform.options(**wanted, name=f"run {assignment.attempt.run}")
        self._streams[task.remote(assignment)] = assignment

    def events(self, timeout: float) -> list[Event]:
        """Raises EvornnError when the cluster is gone."""
        self._machines.look()
        refused = self._refused()
        if not self._streams:
            time.sleep(0 if refused else timeout)
            return refused
        ready, _ = ray.wait(list(self._streams), num_returns=1, timeout=timeout)
        if ready:  # take what else is there
            ready, _ = ray.wait(list(self._streams), num_returns=len(self._streams), timeout=0)
        return refused + [event for stream in ready if (event := self._next(stream)) is not None]

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        for stream, assignment in self._streams.items():
            if assignment.attempt == attempt:
                self._stopped.add(attempt)
                ray.cancel(stream, force=force)

    def close(self) -> None:
        ray.shutdown()

    def _refused(self) -> list[Event]:
        """What no machine can take: Ray would wait for ever for one that isn't there."""
        if self._machines.may_grow:
            return []
        found = {stream: a for stream, a in self._streams.items() if not self._machines.take(a.needs)}
        for stream in found:
            ray.cancel(stream, force=True)
            del self._streams[stream]
        return [Ended(a.attempt, "error", self._machines.refusal(a.needs), retry=False) for a in found.values()]

    def _next(self, stream: Any) -> Event | None:
        attempt = self._streams[stream].attempt
        try:
            event: Event = ray.get(next(stream), timeout=FETCH)
        except StopIteration:  # without a last word: it can't be, but would else be waited for
            event = Ended(attempt, "machine", "the run ended without a result")
        except RayError as error:
            if isinstance(error, GetTimeoutError):
                ray.cancel(stream, force=True)
            event = self._ended(attempt, error)
        if isinstance(event, Ended) or event.update.result is not None:
            del self._streams[stream]
            self._stopped.discard(attempt)
        return event

    def _ended(self, attempt: Attempt, error: RayError) -> Ended:
        if attempt in self._stopped:
            return Ended(attempt, "stopped")
        if isinstance(error, RayTaskError):  # raised over there, say because evornn is not installed
            return Ended(attempt, "error", f"{type(error.cause).__name__}: {error.cause}")
        return Ended(attempt, "machine", type(error).__name__)


@ray.remote(
    max_retries=0, num_returns="streaming", runtime_env={"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}
)
def _perform(assignment: Assignment) -> Iterator[Event]:
    from evornn.service.perform import perform

    yield from perform(assignment)
