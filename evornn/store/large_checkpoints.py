"""Checkpoints that are too large for one transaction: their arrays are written in portions, each of which renews the
lease. The report that refers to them makes them the run's checkpoint; until then, the one before stays."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, insert, select

from evornn.store.codec import pack, unpack
from evornn.store.records import PortionedCheckpoint, RunId
from evornn.store.schema import checkpoint_portions as portions
from evornn.store.schema import checkpoints
from evornn.training.records import Checkpoint

PORTION = 2**24  # bytes: PostgreSQL may take a second to write so many, and a lease lasts 30


def is_large(checkpoint: Checkpoint) -> bool:
    """Whether the arrays of a checkpoint are stored in portions."""
    return checkpoint.size > PORTION


class PortionWriter:
    """Where the writing of one large checkpoint stands."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._mark, self._plain, self._arrays = checkpoint.mark, checkpoint.plain, checkpoint.arrays
        self._content: bytes | None = None
        self._edition = 0  # tells these portions from those of other checkpoints of the run
        self._position = 0  # of the next portion

    @property
    def checkpoint(self) -> PortionedCheckpoint | None:
        """For the report that makes it the run's checkpoint; None while portions are missing."""
        if self._content is None or self._position * PORTION < len(self._content):
            return None
        return PortionedCheckpoint(self._mark, self._plain, self._edition)

    def write(self, connection: Connection, run: RunId) -> None:
        """Write the next portion, in a transaction that holds the run's lease. Raises Unstorable if the checkpoint is
        larger than a store takes."""
        if self._content is None:
            self._content, self._arrays = pack(self._arrays), {}
        if self._position == 0:
            self._edition = _begin_edition(connection, run)
        start = self._position * PORTION
        content = self._content[start : start + PORTION]
        values = {"run_id": run, "edition": self._edition, "position": self._position, "content": content}
        connection.execute(insert(portions).values(**values))

    def advance(self) -> None:
        """The transaction of `write` has been committed."""
        self._position += 1


def drop_other_editions(connection: Connection, run: RunId, edition: int | None) -> None:
    """Delete all portions of a run but those of one edition; None: all."""
    others = [] if edition is None else [portions.c.edition != edition]
    connection.execute(delete(portions).where(portions.c.run_id == run, *others))


def read_portions(connection: Connection, run: RunId, edition: int) -> dict[str, NDArray[Any]]:
    """The arrays of a checkpoint. Raises StoreError for damaged ones."""
    which = (portions.c.run_id == run, portions.c.edition == edition)
    return unpack(b"".join(connection.scalars(select(portions.c.content).where(*which).order_by(portions.c.position))))


def _begin_edition(connection: Connection, run: RunId) -> int:
    """A new number, after what an earlier attempt has left half done is deleted."""
    current = connection.scalar(select(checkpoints.c.edition).where(checkpoints.c.run_id == run))
    drop_other_editions(connection, run, current)
    last = connection.scalar(select(func.max(portions.c.edition)).where(portions.c.run_id == run))
    return 1 + (last or 0)
