"""What every executor runs: an assignment, up to its result or an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from evornn.errors import EvornnError
from evornn.service.executors.executor import Assignment, EndEvent, ExecutorEvent, ProgressEvent
from evornn.training.problem import Sharder

log = logging.getLogger(__name__)


def perform(assignment: Assignment, sharder: Sharder | None = None) -> Iterator[ExecutorEvent]:
    """Compute a run and yield its events. An error of the run becomes an `EndEvent`, not an exception. With `sharder`,
    several processes share the large populations of the run."""
    from evornn.experiments.execute import execute  # and torch, which a dispatcher doesn't need

    a = assignment
    try:
        for update in execute(a.fragments, a.seed, a.budget, a.checkpoint, a.origin, sharder, a.identity):
            if update.checkpoint is not None:
                update.checkpoint.check()  # here, before it fills pipes and the dispatcher's memory
            yield ProgressEvent(a.attempt, update)
    except EvornnError as error:
        yield EndEvent(a.attempt, "error", str(error), retry=False)
    except Exception as error:  # a bug, or a machine without memory or disk: worth another try
        log.exception("run %s", a.attempt.run)
        yield EndEvent(a.attempt, "error", f"{type(error).__name__}: {error}")
