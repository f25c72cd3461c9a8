"""Uploaded data sets: CSV files in the server's data folder, whose names contain a hash of their content."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path

from evornn import files
from evornn.errors import EvornnError
from evornn.service.policy import SubmissionPolicy

MAX_BYTES = 700_000  # of a file
LONGEST_NAME = 60  # characters, without the hash


@dataclass(frozen=True)
class UploadedDataset:
    """An uploaded data set, which specs may name: `{kind: csv, path: NAME, targets: [COLUMN]}`."""

    name: str
    columns: tuple[str, ...]
    rows: int


Count = Callable[[str, int, Callable[[str], bool]], None]


def save_upload(policy: SubmissionPolicy, name: str, content: bytes, count: Count | None = None) -> UploadedDataset:
    """Save an uploaded CSV file. The same content is saved once, and no file is ever overwritten.

    Args:
        policy: Names the folder.
        name: Name of the user's file.
        content: Bytes of the file.
        count: Counts the file towards a quota, as `Store.count_upload` does, before it is saved; None: there is none.

    Returns:
        The name under which specs find the data set, and its size.

    Raises:
        EvornnError: The server accepts no data sets, or the file is too large or not a CSV file.
        QuotaExceeded: There would be too much of one user.
    """
    if policy.data is None:
        raise EvornnError("this server accepts no data sets: its operator names their folder with --data")
    if len(content) > MAX_BYTES:
        raise EvornnError(f"{len(content):,} bytes: an uploaded data set has at most {MAX_BYTES:,}")
    columns, rows = _read(content)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-")[:LONGEST_NAME] or "data"
    kept = f"{stem}-{sha256(content).hexdigest()[:12]}.csv"
    folder = policy.data
    if count is not None:
        count(kept, len(content), lambda known: known == kept or (folder / known).is_file())
    try:
        _write(folder / kept, content)
    except OSError as error:
        raise EvornnError(f"the data set can't be saved ({error.strerror}): ask the server's operator") from None
    return UploadedDataset(kept, columns, rows)


def _read(content: bytes) -> tuple[tuple[str, ...], int]:
    """Column names, and the number of rows."""
    try:
        lines = [line for line in csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvornnError(f"not a CSV file ({error}): save it as CSV in UTF-8, with commas") from None
    if len(lines) < 2:
        raise EvornnError("no rows below the header: give a line of column names, then one row per step")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(lines[0]):
            raise EvornnError(f"row {number}: {len(line)} cells under {len(lines[0])} column names: fix the row")
    return tuple(name.strip() for name in lines[0]), len(lines) - 1


def _write(file: Path, content: bytes) -> None:
    """Write all of it or nothing: a worker may read the file at any time."""
    if file.exists():
        return
    with files.atomic_write(file) as opened:
        opened.write(content)
        os.fchmod(opened.fileno(), 0o644)  # workers may be other users
