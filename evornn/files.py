"""Files as a whole. Atomic writes: the old file stays until the new one is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from evornn.errors import EvornnError


def read(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file. Raises EvornnError if it can't be read, or has more than `most`."""
    try:
        if most is not None and path.stat().st_size > most:
            raise EvornnError(f"{path} has {path.stat().st_size:,} bytes, {most:,} are allowed: use a smaller one")
        return path.read_bytes()
    except OSError as error:
        raise EvornnError(f"can't read {path}: {error.strerror or error}") from None


def write(path: Path, content: bytes) -> None:
    """Write a file atomically where the folder allows it.

    Raises OSError, on a full disk for example; the old file is then still there.
    """
    target = path.resolve()
    if (target.exists() and not target.is_file()) or not os.access(target.parent, os.W_OK):
        path.write_bytes(content)  # a device or a pipe, or a file in a folder that takes no temporary file
        return
    with atomic_write(target) as file:
        file.write(content)


def save(path: Path, content: bytes) -> None:
    """`write` a file that a user named. Raises EvornnError if it can't be written."""
    try:
        write(path, content)
    except OSError as error:
        raise EvornnError(f"can't write {path}: {error.strerror or error}; choose another file") from None


@contextmanager
def atomic_write(target: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside the target, which it replaces at the end with the target's permissions. Other processes
    see the target complete or not at all. After an error or an interrupt nothing of the temporary file is left."""
    fresh = target.with_name(f".evornn-{uuid4().hex}.tmp")
    try:
        with fresh.open("xb") as file:
            yield file
        if target.exists():
            shutil.copymode(target, fresh)
        fresh.replace(target)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
