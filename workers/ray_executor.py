"""Runs on Ray: each run is one task that yields its updates, so the loop travels to where the data is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from evornn.errors import EvornnError
from evornn.service.executor import Assignment, Ended, Said
from evornn.training.environment import versions
from evornn.workers.crew import SINGLE_THREADED, sharding
from evornn.workers.versions import OtherVersion, checked

log = logging.getLogger(__name__)


class RayExecutor:
    """Computes runs on the Ray that this process is connected to (see `evornn.workers.cluster`)."""

    def __init__(self) -> None:
        self._streams: dict[Any, int] = {}  # Ray's generator → run
        self._stopped: set[int] = set()

    @property
    def slots(self) -> int:
        """One run per CPU that the cluster has; runs that want more wait in Ray's queue."""
        have = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return max(1, int(have.get("CPU", 1)))

    def start(self, assignment: Assignment) -> None:
        """Raises EvornnError for a run that wants more than any machine of the cluster has."""
        wanted = _wanted(assignment.fragments.get("resources") or {})
        task = _perform.options(**wanted, name=f"run {assignment.run}")
        self._stopped.discard(assignment.run)
        self._streams[task.remote(assignment, versions())] = assignment.run

    def events(self, timeout: float) -> list[Said | Ended]:
        if not self._streams:
            time.sleep(timeout)
            return []
        ready, _ = ray.wait(list(self._streams), num_returns=1, timeout=timeout)
        if ready:  # take what else is there
            ready, _ = ray.wait(list(self._streams), num_returns=len(self._streams), timeout=0)
        return [event for stream in ready if (event := self._next(stream)) is not None]

    def stop(self, run: int) -> None:
        self._stopped.add(run)
        for stream, owner in self._streams.items():
            if owner == run:
                ray.cancel(stream, force=True)

    def close(self) -> None:
        ray.shutdown()

    def _next(self, stream: Any) -> Said | Ended | None:
        run = self._streams[stream]
        try:
            event: Said | Ended = ray.get(next(stream))
        except StopIteration:  # after its result or its error
            del self._streams[stream]
            return None
        except RayError as error:
            del self._streams[stream]
            return self._ended(run, error)
        return event

    def _ended(self, run: int, error: RayError) -> Ended:
        if run in self._stopped:
            self._stopped.discard(run)
            return Ended(run, "stopped")
        if isinstance(error, RayTaskError):  # raised over there, say because evornn is not installed
            return Ended(run, "error", f"{type(error.cause).__name__}: {error.cause}")
        return Ended(run, "machine", type(error).__name__)


def _wanted(resources: Mapping[str, Any]) -> dict[str, float]:
    """Ray would wait for ever for a machine that isn't there."""
    cpus, gpus = resources.get("cpus", 1), resources.get("gpus", 0)
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus for has in machines):
        most = max((has.get("CPU", 0) for has in machines), default=0)
        raise EvornnError(
            f"resources: no machine has {cpus} CPUs and {gpus:g} GPUs for a run (at most {most:g} CPUs): "
            "lower resources.cpus or resources.gpus"
        )
    return {"num_cpus": cpus, "num_gpus": gpus}


@ray.remote(max_retries=0, num_returns="streaming", runtime_env=SINGLE_THREADED)
def _perform(assignment: Assignment, asking: Mapping[str, Any]) -> Iterator[Said | Ended]:
    """A run on a worker. `asking`: the versions of the dispatcher."""
    from evornn.service.perform import perform

    try:
        unlike = checked(asking, versions())
    except OtherVersion as error:
        yield Ended(assignment.run, "error", str(error), retry=False)
        return
    for difference in unlike:
        log.warning("run %s: %s", assignment.run, difference)
    with sharding(assignment.fragments.get("resources") or {}) as spread:
        for event in perform(assignment, spread):
            yield _noted(event, unlike)


def _noted(event: Said | Ended, unlike: list[str]) -> Said | Ended:
    """A result's environment says how its worker differs from the dispatcher."""
    if not unlike or not isinstance(event, Said) or event.update.result is None:
        return event
    result = event.update.result
    noted = replace(result, environment={**result.environment, "unlike the dispatcher": unlike})
    return replace(event, update=replace(event.update, result=noted))
