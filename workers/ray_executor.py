"""Executes runs on Ray: each run is one task that yields its events, so the loop runs where the data is."""

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

MAX_OVERSIZED = 8  # runs waiting for a larger machine; with more of them, no others are accepted
CANCEL_INTERVAL = 1.0  # seconds between two requests to stop a run
SETTLING = 3.0  # seconds in which a cluster that has lost a node is read anew
FETCH_TIMEOUT = 10.0  # seconds for the transfer of an update from a node that may have died


class RayExecutor:
    """Computes runs on the Ray cluster that this process is connected to (see `evornn.workers.cluster`).

    It accepts as many runs as fill the cluster's present CPUs and GPUs, or `slots` CPUs: an autoscaling cluster adds
    machines only while runs wait. A run that is too large for every machine is rejected once the cluster hasn't changed
    for `grace` seconds.
    """

    def __init__(self, slots: int | None = None, grace: float = 0.0) -> None:
        self._slots, self._monitor = slots, ClusterMonitor(grace)
        self._streams: dict[Any, Assignment] = {}  # Ray's generator → run
        self._stop_requests: dict[Attempt, bool] = {}  # whether by force
        self._last_cancel = time.monotonic()
        self._pause_until = 0.0  # until when no runs are accepted

    @property
    def available_resources(self) -> ResourceSet:
        """What the accepted runs leave of the cluster, or of `slots`. Oversized runs don't count: they can't run.

        Nothing for a moment after a run was lost or its node drained: the cluster may be smaller than was last seen,
        and a run that is accepted for a node that leaves would wait for another one, however long that takes.
        """
        if time.monotonic() < self._pause_until:
            return ResourceSet(0, 0)
        capacity = self._monitor.capacity
        fitting = [a.total_resources for a in self._streams.values() if self._monitor.has_room_for(a.shard_resources)]
        if len(self._streams) - len(fitting) > MAX_OVERSIZED:
            return ResourceSet(0, 0)
        cpus = (self._slots or max(1, capacity.cpus)) - sum(run.cpus for run in fitting)
        # Without any GPU, runs that need one are still accepted: they wait for a machine with one, or are rejected.
        return ResourceSet(cpus, capacity.gpus - sum(run.gpus for run in fitting) if capacity.gpus else cpus)

    @property
    def machines(self) -> Sequence[Machine]:
        """The cluster's nodes."""
        return self._monitor.machines

    def start(self, assignment: Assignment) -> None:
        """Submit a task to Ray, which waits for the resources."""
        resources = {"num_cpus": assignment.shard_resources.cpus, "num_gpus": assignment.shard_resources.gpus}
        task = compute.options(**resources, name=f"run {assignment.attempt.run}")
        self._streams[task.remote(assignment, versions())] = assignment

    def events(self, timeout: float) -> list[ExecutorEvent]:
        """See `Executor.events`. Raises EvornnError when the cluster is gone."""
        self._monitor.poll()
        self._repeat_cancels()
        rejections = self._reject_oversized()
        if not self._streams:
            time.sleep(0 if rejections else timeout)
            return rejections
        targets = self._wait_targets()
        ready, _ = ray.wait(list(targets), num_returns=1, timeout=timeout)
        if ready:  # take all others that are ready, too
            ready, _ = ray.wait(list(targets), num_returns=len(targets), timeout=0)
        return rejections + self._collect([targets[target] for target in ready])

    def _wait_targets(self) -> dict[Any, Any]:
        """What to wait for → its stream: the next event, or the end of a run that was asked to stop. Ray reports the
        stream of such a run as ready too early; `next` would then block without limit if the run starts anyway."""
        return {
            stream.completed() if assignment.attempt in self._stop_requests else stream: stream
            for stream, assignment in self._streams.items()
        }

    def _collect(self, ready: list[Any]) -> list[ExecutorEvent]:
        """The next event of each stream, as far as time allows; the rest is left to the next call, because a process
        that reports nothing for long is taken for stuck."""
        events, until = list[ExecutorEvent](), time.monotonic() + FETCH_TIMEOUT
        for stream in ready:
            events.append(self._next(stream))
            if time.monotonic() > until:
                break
        return events

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        """Ask Ray to stop a run, or to kill its process."""
        for stream, assignment in self._streams.items():
            if assignment.attempt == attempt:
                self._stop_requests[attempt] = force
                ray.cancel(stream, force=force)

    def _repeat_cancels(self) -> None:
        """Repeat requests to stop: Ray may lose one while a run is just starting."""
        if time.monotonic() - self._last_cancel < CANCEL_INTERVAL:
            return
        self._last_cancel = time.monotonic()
        for stream, assignment in self._streams.items():
            if assignment.attempt in self._stop_requests:
                ray.cancel(stream, force=self._stop_requests[assignment.attempt])

    def close(self) -> None:
        """Disconnect from Ray; a private Ray ends."""
        ray.shutdown()

    def _reject_oversized(self) -> list[ExecutorEvent]:
        """Reject runs that are too large for every machine, which Ray would keep waiting for ever."""
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
        except StopIteration:  # no final event: it was stopped while starting
            event = self._end_event(attempt, "machine", "the run ended without a result")
        except RayTaskError as error:  # raised on the worker, for instance because evornn is not installed
            event = self._end_event(attempt, "error", f"{type(error.cause).__name__}: {error.cause}")
        except RayError as error:
            if isinstance(error, GetTimeoutError):
                ray.cancel(stream, force=True)
            event = self._end_event(attempt, "machine", type(error).__name__)
        if is_final(event):
            if isinstance(event, EndEvent) and event.cause != "error" and attempt not in self._stop_requests:
                self._pause_until = time.monotonic() + SETTLING
            del self._streams[stream]
            self._stop_requests.pop(attempt, None)
        return event

    def _end_event(self, attempt: Attempt, cause: Cause, reason: str) -> EndEvent:
        """The end of a run; if it was asked to stop, that is the cause, whatever it ended with."""
        return EndEvent(attempt, "stopped") if attempt in self._stop_requests else EndEvent(attempt, cause, reason)
