"""The task that Ray runs on a worker: one assignment, if the worker has the dispatcher's version of evornn."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ray

from evornn.service.executors.executor import Assignment, EndEvent, ExecutorEvent, ProgressEvent
from evornn.training.environment import versions
from evornn.workers.draining import DrainWatch
from evornn.workers.shard_pool import ray_sharder
from evornn.workers.versions import VersionMismatch, check_versions

log = logging.getLogger(__name__)


@ray.remote(max_retries=0, num_returns="streaming")
def compute(assignment: Assignment, dispatcher: Mapping[str, Any]) -> Iterator[ExecutorEvent]:
    """Compute a run and yield its events. `dispatcher`: the versions of the dispatcher, see `environment.versions`."""
    from evornn.service.executors.execution import perform

    try:
        mismatches = check_versions(dispatcher, versions())
    except VersionMismatch as error:
        yield EndEvent(assignment.attempt, "error", str(error), retry=False)
        return
    for difference in mismatches:
        log.warning("run %s: %s", assignment.attempt.run, difference)
    watch = DrainWatch()
    with ray_sharder(assignment.fragments.get("resources") or {}) as sharder:
        for event in perform(assignment, sharder):
            yield _annotate(event, mismatches)
            if _has_checkpoint(event) and watch.is_draining():
                yield EndEvent(assignment.attempt, "stopped", "its node is drained")
                return


def _has_checkpoint(event: ExecutorEvent) -> bool:
    """Whether a run loses nothing if it ends now."""
    return isinstance(event, ProgressEvent) and event.update.checkpoint is not None and event.update.result is None


def _annotate(event: ExecutorEvent, mismatches: list[str]) -> ExecutorEvent:
    """Record in a result's environment how its worker differs from the dispatcher."""
    if not mismatches or not isinstance(event, ProgressEvent) or event.update.result is None:
        return event
    result = event.update.result
    annotated = replace(result, environment={**result.environment, "unlike the dispatcher": mismatches})
    return replace(event, update=replace(event.update, result=annotated))
