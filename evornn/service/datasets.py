"""Data sets that people bring along: CSV files in the server's data folder, under names that tell their content."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path

from evornn import files
from evornn.errors import EvornnError
from evornn.service.policy import SubmissionPolicy

MAX_BYTES = 700_000  # bytes of a file
LONGEST_NAME = 60  # characters, without what tells the content


@dataclass(frozen=True)
class UploadedDataset:
    """A data set that specs may name now: `{kind: csv, path: NAME, targets: [COLUMN]}`."""

    name: str
    columns: tuple[str, ...]
    rows: int


def save_upload(policy: SubmissionPolicy, name: str, content: bytes) -> UploadedDataset:
    """Keep a CSV file. The same content twice is one file, and none is ever overwritten. Raises EvornnError."""
    if policy.data is None:
        raise EvornnError("this server takes no data sets: its operator names their folder with --data")
    if len(content) > MAX_BYTES:
        raise EvornnError(f"{len(content):,} bytes: a data set that is uploaded has at most {MAX_BYTES:,}")
    columns, rows = _read(content)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-")[:LONGEST_NAME] or "data"
    kept = f"{stem}-{sha256(content).hexdigest()[:12]}.csv"
    try:
        _write(policy.data / kept, content)
    except OSError as error:
        raise EvornnError(f"the data set can't be kept ({error.strerror}): ask the server's operator") from None
    return UploadedDataset(kept, columns, rows)


def _read(content: bytes) -> tuple[tuple[str, ...], int]:
    """Column names, and how many rows there are below them."""
    try:
        lines = [line for line in csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvornnError(f"not a CSV file ({error}): save it as CSV in UTF-8, with commas") from None
    if len(lines) < 2:
        raise EvornnError("no rows below the header: give a line of column names, then one row per step")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(lines[0]):
            raise EvornnError(f"row {number}: {len(line)} cells under {len(lines[0])} column names: mend the row")
    return tuple(name.strip() for name in lines[0]), len(lines) - 1


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing: a worker may read it at once."""
    if file.exists():
        return
    with files.atomic_write(file) as opened:
        opened.write(content)
        os.fchmod(opened.fileno(), 0o644)  # workers may be other users
