"""Writing a file as a whole: what was there before is gone only when the new one is complete."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Raises OSError, on a full disk for example; then the old file is still there."""
    target = path.resolve()
    if (target.exists() and not target.is_file()) or not os.access(target.parent, os.W_OK):
        path.write_bytes(content)  # a device or a pipe, or a file in a folder that takes no other
        return
    fresh = target.with_name(f".evornn-{os.getpid()}.tmp")
    try:
        fresh.write_bytes(content)
        if target.exists():
            shutil.copymode(target, fresh)
        fresh.replace(target)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
