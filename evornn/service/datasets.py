"""Uploaded data sets: files in the server's data folder, whose names contain a hash of their content; and specs for
questions about them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evornn import files
from evornn.data.doubts import Doubt, UnansweredDoubt
from evornn.data.understanding import Understanding
from evornn.errors import EvornnError
from evornn.experiments.own_data import OwnData
from evornn.service.policy import SubmissionPolicy

MAX_BYTES = 700_000  # of a file
MOST_VALUES = 2_000_000  # of a table, whose file may be compressed
TEXTS = (".txt", ".md")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
LONGEST_NAME = 60  # characters, without the hash


@dataclass(frozen=True)
class UploadedDataset:
    """An uploaded data set, which specs may name: `{kind: forecast, path: NAME, targets: [COLUMN]}`."""

    name: str
    columns: tuple[str, ...]  # empty: a text, for the task language
    rows: int


Count = Callable[[str, int, Callable[[str], bool]], None]
Check = Callable[[str, bytes], UploadedDataset]


def save_upload(
    policy: SubmissionPolicy,
    name: str,
    content: bytes,
    count: Count | None = None,
    check: Check | None = None,
) -> UploadedDataset:
    """Save an uploaded file. The same content is saved once, and no file is ever overwritten.

    Args:
        policy: Names the folder.
        name: Name of the user's file.
        content: Bytes of the file.
        count: Counts the file towards a quota, as `Store.count_upload` does, before it is saved; None: there is none.
        check: Reads the file, as `check_upload` does, perhaps in another process; None: here.

    Returns:
        The name under which specs find the data set, and its size.

    Raises:
        EvornnError: The server accepts no data sets, or the file is too large or no table.
        QuotaExceeded: There would be too much of one user.
    """
    if policy.data is None:
        raise EvornnError("this server accepts no data sets: its operator names their folder with --data")
    if len(content) > MAX_BYTES:
        raise EvornnError(f"{len(content):,} bytes: an uploaded data set has at most {MAX_BYTES:,}")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-")[:LONGEST_NAME] or "data"
    suffix = Path(name).suffix if SUFFIX.fullmatch(Path(name).suffix) else ".csv"
    kept = f"{stem}-{sha256(content).hexdigest()[:12]}{suffix}"
    known = (check or check_upload)(kept, content)
    folder = policy.data
    if count is not None:
        count(kept, len(content), lambda other: other == kept or (folder / other).is_file())
    try:
        _write(folder / kept, content)
    except OSError as error:
        raise EvornnError(f"the data set can't be saved ({error.strerror}): ask the server's operator") from None
    return known


def check_upload(name: str, content: bytes) -> UploadedDataset:
    """What an uploaded file holds: a table, or a text. Raises EvornnError for anything else, and for a table that is
    too large."""
    from evornn.data.reading import load  # and pandas, which a server needs in its helper alone

    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        try:
            table = load(file).table
        except EvornnError as error:
            if _is_text(name, content):
                return UploadedDataset(name, (), content.count(b"\n"))
            raise EvornnError(str(error).replace(f"{folder}{os.sep}", "")) from None
    if (count := len(table) * len(table.names)) > MOST_VALUES:
        raise EvornnError(f"{count:,} values: an uploaded data set has at most {MOST_VALUES:,}")
    has_values = any(one.kind not in ("category", "text") and not one.missing.all() for one in table.columns)
    if not has_values and _is_text(name, content):
        return UploadedDataset(name, (), len(table))
    return UploadedDataset(name, table.names, len(table))


def _is_text(name: str, content: bytes) -> bool:
    """Whether a file that is no table is a text, as the task language reads it."""
    if Path(name).suffix not in TEXTS:
        return False
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


@dataclass(frozen=True)
class SpecProposal:
    """What is understood of a data set; and the spec for a question about it, or what has to be answered first."""

    facts: Understanding
    spec: dict[str, Any] | None = None
    doubt: Doubt | None = None
    problem: str = ""  # why there is no spec; empty: no column to predict is named yet


def propose_spec(store: object, own: OwnData, policy: SubmissionPolicy) -> SpecProposal:
    """Read a data set, and make a spec.

    Args:
        store: Is not used: this is for `Service.call`.
        own: The question. Its path is the name of a data set.
        policy: Where data sets are.

    Raises:
        EvornnError: There is no such data set, or it is no table.
    """
    facts = replace(own, path=str(policy.resolve_file(own.path))).understand()
    blocking = next((doubt for doubt in facts.doubts if doubt.blocking), None)
    if blocking or not own.targets:
        return SpecProposal(facts, doubt=blocking)
    try:
        return SpecProposal(facts, spec=own.spec(facts))
    except UnansweredDoubt as error:
        return SpecProposal(facts, doubt=error.doubt)
    except EvornnError as error:
        return SpecProposal(facts, problem=str(error))


def _write(file: Path, content: bytes) -> None:
    """Write all of it or nothing: a worker may read the file at any time."""
    if file.exists():
        return
    with files.atomic_write(file) as opened:
        opened.write(content)
        os.fchmod(opened.fileno(), 0o644)  # workers may be other users
