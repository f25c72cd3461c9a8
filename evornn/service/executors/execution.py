"""What every executor runs: an assignment, computed to the end or to an error told in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from evornn.errors import EvornnError
from evornn.experiments.execute import execute
from evornn.service.executors.executor import Assignment, Ended, Event, Said
from evornn.training.problem import Spread

log = logging.getLogger(__name__)


def perform(assignment: Assignment, spread: Spread | None = None) -> Iterator[Event]:
    """Updates of a run; an error of the run itself comes as `Ended`, not as an exception. `spread` has its large
    populations computed by several processes."""
    a = assignment
    try:
        for update in execute(a.fragments, a.seed, a.budget, a.checkpoint, a.origin, spread):
            yield Said(a.attempt, update)
    except EvornnError as error:
        yield Ended(a.attempt, "error", str(error), retry=False)
    except Exception as error:  # a bug of ours, or memory or disk of the machine: worth another try
        log.exception("run %s", a.attempt.run)
        yield Ended(a.attempt, "error", f"{type(error).__name__}: {error}")
