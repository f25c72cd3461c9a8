"""What every executor runs: an assignment, computed to the end or to an error told in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from evornn.errors import EvornnError
from evornn.experiments.execute import execute
from evornn.service.executor import Assignment, Ended, Said

log = logging.getLogger(__name__)


def perform(assignment: Assignment) -> Iterator[Said | Ended]:
    """Updates of a run; an error of the run itself comes as `Ended`, not as an exception."""
    try:
        for update in execute(
            assignment.fragments, assignment.seed, assignment.budget, assignment.checkpoint, assignment.origin
        ):
            yield Said(assignment.run, update)
    except EvornnError as error:
        yield Ended(assignment.run, "error", str(error), retry=False)
    except Exception as error:  # a bug of ours, or memory or disk of the machine: worth another try
        log.exception("run %s", assignment.run)
        yield Ended(assignment.run, "error", f"{type(error).__name__}: {error}")
