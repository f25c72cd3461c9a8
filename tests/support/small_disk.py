"""A small file system of its own, to be filled and freed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHUNKS = (2**16, 2**12)  # bytes written at once: large ones while they fit


class SmallDisk:
    """A disk of a few megabytes at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._filler = folder, folder / "filler"

    def fill(self) -> None:
        """Write until nothing fits any more."""
        for size in CHUNKS:
            with self._filler.open("ab", buffering=0) as file, suppress(OSError):
                while file.write(bytes(size)):
                    pass

    def free(self) -> None:
        """Delete what `fill` wrote."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """A tmpfs, which only root may mount."""
    folder = Path(tempfile.mkdtemp(prefix="evornn-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("this user can't mount a file system")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        os.rmdir(folder)
