"""What Ray runs on a worker: one assignment, if the worker is of the dispatcher's version."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ray

from evornn.service.executors.executor import Assignment, Ended, Event, Said
from evornn.training.environment import versions
from evornn.workers.shard_pool import SINGLE_THREADED, sharding
from evornn.workers.versions import OtherVersion, checked

log = logging.getLogger(__name__)


@ray.remote(max_retries=0, num_returns="streaming", runtime_env=SINGLE_THREADED)
def compute(assignment: Assignment, asking: Mapping[str, Any]) -> Iterator[Event]:
    """A run on a worker. `asking`: the versions of the dispatcher."""
    from evornn.service.executors.execution import perform

    try:
        unlike = checked(asking, versions())
    except OtherVersion as error:
        yield Ended(assignment.attempt, "error", str(error), retry=False)
        return
    for difference in unlike:
        log.warning("run %s: %s", assignment.attempt.run, difference)
    with sharding(assignment.fragments.get("resources") or {}) as spread:
        for event in perform(assignment, spread):
            yield _noted(event, unlike)


def _noted(event: Event, unlike: list[str]) -> Event:
    """A result's environment says how its worker differs from the dispatcher."""
    if not unlike or not isinstance(event, Said) or event.update.result is None:
        return event
    result = event.update.result
    noted = replace(result, environment={**result.environment, "unlike the dispatcher": unlike})
    return replace(event, update=replace(event.update, result=noted))
