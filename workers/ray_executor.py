"""Runs on Ray: each run is one task that yields its updates, so the loop travels to where the data is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from evornn.service.executors.executor import Assignment, Attempt, Cause, EndEvent, ExecutorEvent, ResourceSet, is_final
from evornn.store.records import Machine
from evornn.training.environment import versions
from evornn.workers.machines import ClusterMonitor
from evornn.workers.remote import compute

MAX_OVERSIZED = 8  # runs that wait for a larger machine; while there are more, no others are taken
CANCEL_INTERVAL = 1.0  # seconds between two requests to stop a run
FETCH_TIMEOUT = 10.0  # seconds for the transfer of an update from a node that may have died


class RayExecutor:
    """Computes runs on the Ray that this process is connected to (see `evornn.workers.cluster`).

    It takes as many runs as fill the CPUs and GPUs that the cluster has now, or `slots` CPUs, which lets a cluster grow
    that adds machines when runs wait. A run that no machine can take is refused once the cluster hasn't changed for
    `grace` seconds.
    """

    def __init__(self, slots: int | None = None, grace: float = 0.0) -> None:
        self._slots, self._monitor = slots, ClusterMonitor(grace)
        self._streams: dict[Any, Assignment] = {}  # Ray's generator → run
        self._stop_requests: dict[Attempt, bool] = {}  # by force or not
        self._last_cancel = time.monotonic()

    @property
    def available_resources(self) -> ResourceSet:
        capacity = self._monitor.capacity
        fitting = [a.total_resources for a in self._streams.values() if self._monitor.has_room_for(a.shard_resources)]
        if len(self._streams) - len(fitting) > MAX_OVERSIZED:
            return ResourceSet(0, 0)
        cpus = (self._slots or max(1, capacity.cpus)) - sum(run.cpus for run in fitting)
        # Without any GPU, runs that need one are still taken in turn: they wait for one to come, or are refused.
        return ResourceSet(cpus, capacity.gpus - sum(run.gpus for run in fitting) if capacity.gpus else cpus)

    @property
    def machines(self) -> Sequence[Machine]:
        """The cluster's nodes."""
        return self._monitor.machines

    def start(self, assignment: Assignment) -> None:
        resources = {"num_cpus": assignment.shard_resources.cpus, "num_gpus": assignment.shard_resources.gpus}
        task = compute.options(**resources, name=f"run {assignment.attempt.run}")
        self._streams[task.remote(assignment, versions())] = assignment

    def events(self, timeout: float) -> list[ExecutorEvent]:
        """Raises EvornnError when the cluster is gone."""
        self._monitor.poll()
        self._repeat_cancels()
        rejections = self._reject_oversized()
        if not self._streams:
            time.sleep(0 if rejections else timeout)
            return rejections
        targets = self._wait_targets()
        ready, _ = ray.wait(list(targets), num_returns=1, timeout=timeout)
        if ready:  # take what else is there
            ready, _ = ray.wait(list(targets), num_returns=len(targets), timeout=0)
        return rejections + self._collect([targets[target] for target in ready])

    def _wait_targets(self) -> dict[Any, Any]:
        """What to wait for → its stream: the next word, or the end of a run that was stopped. Ray calls such a stream
        ready before that, and its next word would then be waited for without limit if the run began all the same."""
        return {
            stream.completed() if assignment.attempt in self._stop_requests else stream: stream
            for stream, assignment in self._streams.items()
        }

    def _collect(self, ready: list[Any]) -> list[ExecutorEvent]:
        """The next word of each, as far as they can be had in time: the rest is for the next call, since who hears
        nothing of this process for long takes it for stuck."""
        events, until = list[ExecutorEvent](), time.monotonic() + FETCH_TIMEOUT
        for stream in ready:
            events.append(self._next(stream))
            if time.monotonic() > until:
                break
        return events

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        for stream, assignment in self._streams.items():
            if assignment.attempt == attempt:
                self._stop_requests[attempt] = force
                ray.cancel(stream, force=force)

    def _repeat_cancels(self) -> None:
        """Stop again what was to be stopped: Ray may lose that when a run is just about to begin."""
        if time.monotonic() - self._last_cancel < CANCEL_INTERVAL:
            return
        self._last_cancel = time.monotonic()
        for stream, assignment in self._streams.items():
            if assignment.attempt in self._stop_requests:
                ray.cancel(stream, force=self._stop_requests[assignment.attempt])

    def close(self) -> None:
        ray.shutdown()

    def _reject_oversized(self) -> list[ExecutorEvent]:
        """What no machine can take: Ray would wait for ever for one that isn't there."""
        if self._monitor.may_grow:
            return []
        oversized = {
            stream: a for stream, a in self._streams.items() if not self._monitor.has_room_for(a.shard_resources)
        }
        for stream in oversized:
            ray.cancel(stream, force=True)
            del self._streams[stream]
        return [
            EndEvent(a.attempt, "error", self._monitor.rejection_reason(a.shard_resources), retry=False)
            for a in oversized.values()
        ]

    def _next(self, stream: Any) -> ExecutorEvent:
        attempt = self._streams[stream].attempt
        try:
            event: ExecutorEvent = ray.get(next(stream), timeout=FETCH_TIMEOUT)
        except StopIteration:  # without a last word: stopped as it began
            event = self._end_event(attempt, "machine", "the run ended without a result")
        except RayTaskError as error:  # raised over there, say because evornn is not installed
            event = self._end_event(attempt, "error", f"{type(error.cause).__name__}: {error.cause}")
        except RayError as error:
            if isinstance(error, GetTimeoutError):
                ray.cancel(stream, force=True)
            event = self._end_event(attempt, "machine", type(error).__name__)
        if is_final(event):
            del self._streams[stream]
            self._stop_requests.pop(attempt, None)
        return event

    def _end_event(self, attempt: Attempt, cause: Cause, reason: str) -> EndEvent:
        """Whatever a run that was to be stopped ends with, that is why."""
        return EndEvent(attempt, "stopped") if attempt in self._stop_requests else EndEvent(attempt, cause, reason)
