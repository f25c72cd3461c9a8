"""Writing a file as a whole: what was there before is gone only when the new one is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4


def write(path: Path, content: bytes) -> None:
    """Raises OSError, on a full disk for example; then the old file is still there."""
    target = path.resolve()
    if (target.exists() and not target.is_file()) or not os.access(target.parent, os.W_OK):
        path.write_bytes(content)  # a device or a pipe, or a file in a folder that takes no other
        return
    with atomic_write(target) as file:
        file.write(content)


@contextmanager
def atomic_write(target: Path) -> Iterator[IO[bytes]]:
    """A file beside the target that takes its place and its rights in the end, so that other processes see it whole or
    not at all. Where something goes wrong, or is interrupted, nothing of it is left."""
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
