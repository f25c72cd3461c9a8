"""A run that a dispatcher holds, with what it has reported since the last write to the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from evornn.service.executors.executor import Attempt, EndEvent, ExecutorEvent
from evornn.store.records import Claim, Report
from evornn.training.records import Checkpoint, Result, Row, Update


@dataclass
class ActiveRun:
    """One run under its claim. The attempt stays the same when its lease expired and the run is claimed again."""

    claim: Claim
    attempt: Attempt
    network_steps: int
    rows: list[Row] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    result: Result | None = None
    end: EndEvent | None = None
    stop_requested_at: float | None = None  # by the dispatcher's clock
    written_steps: int | None = None  # network steps that the store knows of

    @property
    def is_finished(self) -> bool:
        """Whether the run has a result, or has ended without one."""
        return self.result is not None or self.end is not None

    def handle(self, event: ExecutorEvent) -> None:
        """Take over what an event says."""
        if isinstance(event, EndEvent):
            self.end = event
        else:
            self._add_update(event.update)

    def _add_update(self, update: Update) -> None:
        self.rows += update.rows
        self.checkpoint = update.checkpoint or self.checkpoint
        self.network_steps, self.result = update.network_steps, update.result

    def report(self) -> Report:
        """All that the store should know; at least that the run is alive."""
        checkpoint = self.checkpoint if self.result is None else None
        steps = None if self.network_steps == self.written_steps else self.network_steps
        return Report(self.claim.run.id, self.claim.lease, self.rows, checkpoint, steps, self.result)

    def clear(self) -> None:
        """Forget what was reported, since it is stored or never can be."""
        self.rows, self.checkpoint, self.result = [], None, None
        self.written_steps = self.network_steps
