"""Data sets that users have uploaded: how many bytes, for their quotas. The files are in the server's folder."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from evornn.store.database import Database
from evornn.store.errors import QuotaExceeded, retry_transaction
from evornn.store.quotas import ADVICE, NO_LIMIT, effective_quota, lock_owner
from evornn.store.schema import uploads


class UploadMixin(Database):
    """Count uploads."""

    @retry_transaction
    def count_upload(
        self, owner: str, name: str, size: int, is_there: Callable[[str], bool], limited: bool = True
    ) -> None:
        """Count a data set towards its owner's quota, before it is saved.

        Args:
            owner: Who uploads it.
            name: Name of the file.
            size: Its bytes.
            is_there: Whether a file still exists; those that were deleted don't count any more.
            limited: Whether the quota holds.

        Raises:
            QuotaExceeded: The owner's files would be too large in all.
        """
        with self.write_transaction() as connection:
            lock_owner(connection, owner)
            known = connection.scalars(select(uploads.c.name).where(uploads.c.owner == owner)).all()
            gone = [other for other in known if not is_there(other)]
            connection.execute(delete(uploads).where(uploads.c.owner == owner, uploads.c.name.in_(gone)))
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            new = dialect.insert(uploads).values(owner=owner, name=name, bytes=size)
            connection.execute(new.on_conflict_do_nothing())
            if limited:
                _check_total(connection, owner)

    def uploads(self, owner: str) -> list[str]:
        """Names of the data sets that an owner has uploaded, also of those that were deleted since."""
        with self.read_transaction() as connection:
            statement = select(uploads.c.name).where(uploads.c.owner == owner).order_by(uploads.c.name)
            return list(connection.scalars(statement).all())


def _check_total(connection: Connection, owner: str) -> None:
    limit = effective_quota(connection, owner).upload_bytes
    total = int(connection.scalar(select(func.sum(uploads.c.bytes)).where(uploads.c.owner == owner)) or 0)
    if limit != NO_LIMIT and total > limit:
        raise QuotaExceeded(
            f"with this one the data sets of {owner!r} have {total:,} bytes, over the quota of {limit:,}: use "
            "those that are there, ask an admin to delete some, or " + ADVICE.format(owner=owner) + " --upload-bytes"
        )
