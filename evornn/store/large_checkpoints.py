"""Checkpoints that are too large for one transaction: their arrays are written in portions, each of which renews the
lease. The report that refers to them makes them the run's checkpoint; until then, the one before stays."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import Connection, and_, delete, func, insert, not_, or_, select, tuple_

from evornn.store.codec import pack, unpack
from evornn.store.records import PortionedCheckpoint, RunId
from evornn.store.schema import checkpoint_portions as portions
from evornn.store.schema import checkpoints, runs
from evornn.training.records import Checkpoint

Portion: TypeAlias = tuple[RunId, int, int]  # run, edition, position
_KEY = (portions.c.run_id, portions.c.edition, portions.c.position)

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


class PortionReader:
    """Reads the arrays of a large checkpoint, portion by portion."""

    def __init__(self, stored: PortionedCheckpoint) -> None:
        self._stored, self._contents, self.is_complete = stored, list[bytes](), False

    def read(self, connection: Connection, run: RunId) -> None:
        """Read the next portion."""
        which = (portions.c.run_id == run, portions.c.edition == self._stored.edition)
        at = portions.c.position == len(self._contents)
        content = connection.scalar(select(portions.c.content).where(*which, at))
        if content is None:
            self.is_complete = True
        else:
            self._contents.append(content)

    @property
    def checkpoint(self) -> Checkpoint:
        """What was read. Raises StoreError for damaged arrays."""
        return Checkpoint(self._stored.mark, unpack(b"".join(self._contents)), self._stored.plain)


def drop_portions(connection: Connection, run: RunId) -> None:
    """Delete all portions of a run."""
    connection.execute(delete(portions).where(portions.c.run_id == run))


def find_old_portion(connection: Connection) -> Portion | None:
    """A portion that is of no checkpoint any more, or of one whose writing was broken off."""
    joined = portions.join(runs).outerjoin(checkpoints, checkpoints.c.run_id == runs.c.id)
    current, is_written = func.coalesce(checkpoints.c.edition, 0), runs.c.state.in_(("running", "cancelling"))
    is_old = or_(portions.c.edition < current, and_(portions.c.edition > current, not_(is_written)))
    found = connection.execute(select(*_KEY).select_from(joined).where(is_old).limit(1)).first()
    return None if found is None else (found[0], found[1], found[2])


def delete_portion(connection: Connection, portion: Portion) -> None:
    """Delete one portion."""
    connection.execute(delete(portions).where(tuple_(*_KEY) == portion))


def _begin_edition(connection: Connection, run: RunId) -> int:
    """A new number, after what an attempt that was broken off has left is deleted."""
    current = connection.scalar(select(checkpoints.c.edition).where(checkpoints.c.run_id == run)) or 0
    connection.execute(delete(portions).where(portions.c.run_id == run, portions.c.edition > current))
    return current + 1
