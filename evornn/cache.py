"""The cache folder: $EVORNN_CACHE, else ~/.cache/evornn (XDG_CACHE_HOME). Its content can be made again, so the folder
may be deleted at any time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from evornn import files


def folder(name: str) -> Path:
    """The folder for one kind of thing; whoever writes there creates it."""
    override = os.environ.get("EVORNN_CACHE")
    root = Path(override) if override else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evornn"
    return root / name


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file of the cache that other processes see complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path) as file:
        yield file
