"""Where evornn keeps what can be made again: $EVORNN_CACHE, or ~/.cache/evornn (XDG_CACHE_HOME). The folder may be
deleted at any time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from evornn import files


def folder(name: str) -> Path:
    """The part of the cache for one kind of thing; whoever writes there makes it."""
    own = os.environ.get("EVORNN_CACHE")
    root = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evornn"
    return root / name


@contextmanager
def written(place: Path) -> Iterator[IO[bytes]]:
    """A file of the cache that other processes see whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(place) as file:
        yield file
