"""A run that a dispatcher holds, with what it has reported since the last write to the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from evornn.service.executors.executor import Attempt, EndEvent, ExecutorEvent
from evornn.store.large_checkpoints import PortionWriter, is_large
from evornn.store.records import Claim, PortionedCheckpoint, Report
from evornn.store.store import Store
from evornn.training.records import Checkpoint, Result, Row, Update


@dataclass
class ActiveRun:
    """One run under its claim. The attempt stays the same when its lease expired and the run is claimed again."""

    claim: Claim
    attempt: Attempt
    network_steps: int
    rows: list[Row] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    writer: PortionWriter | None = None  # of a large checkpoint, which goes ahead of its report
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

    @property
    def is_writing(self) -> bool:
        """Whether portions of a large checkpoint, or its report, are still to be written."""
        waiting = self.writer is not None or (self.checkpoint is not None and is_large(self.checkpoint))
        return waiting and self.result is None

    def report(self) -> Report:
        """All that the store should know; at least that the run is alive."""
        steps = None if self.network_steps == self.written_steps else self.network_steps
        return Report(self.claim.run.id, self.claim.lease, self.rows, self._checkpoint_to_report, steps, self.result)

    def write_portion(self, store: Store) -> None:
        """Write the next portion of a large checkpoint, if there is one; a newer one waits for its turn. Raises
        StoreError."""
        if not self.is_writing:
            return
        if self.writer is None and self.checkpoint is not None:
            self.writer, self.checkpoint = PortionWriter(self.checkpoint), None
        if self.writer is not None and self.writer.checkpoint is None:
            store.write_portion(self.claim.run.id, self.claim.lease, self.writer)

    def clear(self) -> None:
        """Forget what was reported, since it is stored."""
        reported = self._checkpoint_to_report
        if reported is self.checkpoint:
            self.checkpoint = None
        if reported is not None:
            self.writer = None
        self.rows, self.result = [], None
        self.written_steps = self.network_steps

    def discard(self) -> None:
        """Forget all that isn't stored, since it never can be."""
        self.checkpoint, self.writer = None, None
        self.clear()

    @property
    def _checkpoint_to_report(self) -> Checkpoint | PortionedCheckpoint | None:
        """A large one only when its portions are stored; none beside a result."""
        if self.result is not None:
            return None
        if self.writer is not None and self.writer.checkpoint is not None:
            return self.writer.checkpoint
        return None if self.checkpoint is None or is_large(self.checkpoint) else self.checkpoint
