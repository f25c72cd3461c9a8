"""Runs on Ray: each run is one task that yields its updates, so the loop travels to where the data is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from evornn.service.executors.executor import Assignment, Attempt, Cause, Ended, Event, Room, is_last
from evornn.store.records import Machine
from evornn.training.environment import versions
from evornn.workers.machines import Machines
from evornn.workers.remote import compute

TOO_LARGE = 8  # runs that wait for a larger machine; while there are more, no others are taken
INSIST = 1.0  # seconds between two requests to stop a run
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
        self._stopped: dict[Attempt, bool] = {}  # by force or not
        self._insisted = time.monotonic()

    @property
    def room(self) -> Room:
        capacity = self._machines.capacity
        fitting = [a.takes for a in self._streams.values() if self._machines.take(a.needs)]
        if len(self._streams) - len(fitting) > TOO_LARGE:
            return Room(0, 0)
        cpus = (self._slots or max(1, capacity.cpus)) - sum(run.cpus for run in fitting)
        # Without any GPU, runs that need one are still taken in turn: they wait for one to come, or are refused.
        return Room(cpus, capacity.gpus - sum(run.gpus for run in fitting) if capacity.gpus else cpus)

    @property
    def machines(self) -> Sequence[Machine]:
        """The cluster's nodes."""
        return self._machines.seen

    def start(self, assignment: Assignment) -> None:
        wanted = {"num_cpus": assignment.needs.cpus, "num_gpus": assignment.needs.gpus}
        task = compute.options(**wanted, name=f"run {assignment.attempt.run}")
        self._streams[task.remote(assignment, versions())] = assignment

    def events(self, timeout: float) -> list[Event]:
        """Raises EvornnError when the cluster is gone."""
        self._machines.look()
        self._insist()
        refused = self._refused()
        if not self._streams:
            time.sleep(0 if refused else timeout)
            return refused
        awaited = self._awaited()
        ready, _ = ray.wait(list(awaited), num_returns=1, timeout=timeout)
        if ready:  # take what else is there
            ready, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        return refused + self._heard([awaited[found] for found in ready])

    def _awaited(self) -> dict[Any, Any]:
        """What to wait for → its stream: the next word, or the end of a run that was stopped. Ray calls such a stream
        ready before that, and its next word would then be waited for without limit if the run began all the same."""
        return {
            stream.completed() if assignment.attempt in self._stopped else stream: stream
            for stream, assignment in self._streams.items()
        }

    def _heard(self, ready: list[Any]) -> list[Event]:
        """The next word of each, as far as they can be had in time: the rest is for the next call, since who hears
        nothing of this process for long takes it for stuck."""
        found, until = list[Event](), time.monotonic() + FETCH
        for stream in ready:
            found.append(self._next(stream))
            if time.monotonic() > until:
                break
        return found

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        for stream, assignment in self._streams.items():
            if assignment.attempt == attempt:
                self._stopped[attempt] = force
                ray.cancel(stream, force=force)

    def _insist(self) -> None:
        """Stop again what was to be stopped: Ray may lose that when a run is just about to begin."""
        if time.monotonic() - self._insisted < INSIST:
            return
        self._insisted = time.monotonic()
        for stream, assignment in self._streams.items():
            if assignment.attempt in self._stopped:
                ray.cancel(stream, force=self._stopped[assignment.attempt])

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

    def _next(self, stream: Any) -> Event:
        attempt = self._streams[stream].attempt
        try:
            event: Event = ray.get(next(stream), timeout=FETCH)
        except StopIteration:  # without a last word: stopped as it began
            event = self._ended(attempt, "machine", "the run ended without a result")
        except RayTaskError as error:  # raised over there, say because evornn is not installed
            event = self._ended(attempt, "error", f"{type(error.cause).__name__}: {error.cause}")
        except RayError as error:
            if isinstance(error, GetTimeoutError):
                ray.cancel(stream, force=True)
            event = self._ended(attempt, "machine", type(error).__name__)
        if is_last(event):
            del self._streams[stream]
            self._stopped.pop(attempt, None)
        return event

    def _ended(self, attempt: Attempt, cause: Cause, reason: str) -> Ended:
        """Whatever a run that was to be stopped ends with, that is why."""
        return Ended(attempt, "stopped") if attempt in self._stopped else Ended(attempt, cause, reason)
