"""What every executor runs: an assignment, computed to the end or to an error told in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from evornn.errors import EvornnError
from evornn.experiments.execute import execute
from evornn.service.executors.executor import Assignment, EndEvent, ExecutorEvent, ProgressEvent
from evornn.training.problem import Sharder

log = logging.getLogger(__name__)


def perform(assignment: Assignment, sharder: Sharder | None = None) -> Iterator[ExecutorEvent]:
    """Updates of a run; an error of the run itself comes as `Ended`, not as an exception. `spread` has its large
    populations computed by several processes."""
    a = assignment
    try:
        for update in execute(a.fragments, a.seed, a.budget, a.checkpoint, a.origin, sharder):
            yield ProgressEvent(a.attempt, update)
    except EvornnError as error:
        yield EndEvent(a.attempt, "error", str(error), retry=False)
    except Exception as error:  # a bug of ours, or memory or disk of the machine: worth another try
        log.exception("run %s", a.attempt.run)
        yield EndEvent(a.attempt, "error", f"{type(error).__name__}: {error}")
