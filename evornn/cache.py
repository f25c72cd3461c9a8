"""The cache folder: $EVORNN_CACHE, else ~/.cache/evornn (XDG_CACHE_HOME). Its content can be made again, so the folder
may be deleted at any time.

Where it can't be written (no home, a read-only or full disk, a file in its place), content goes to a temporary folder
of this user, and one warning says so.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from evornn import files
from evornn.errors import EvornnError

log = logging.getLogger("evornn.cache")
ADVICE = "set EVORNN_CACHE to a folder that can be written"
NO_HOME = "this user has no home folder"
PROBE_BYTES = 2**16  # written by `check`: a full disk takes an empty file


def root() -> Path:
    """The cache folder, which may not exist. Raises OSError for a user without a home."""
    if override := os.environ.get("EVORNN_CACHE"):
        return Path(override)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evornn"
    except RuntimeError:  # neither HOME nor an entry in the password file
        raise FileNotFoundError(NO_HOME) from None


def folders(kind: str) -> list[Path]:
    """Where things of one kind may lie, in order of preference; the last is temporary. None need exist."""
    return [place for place, _ in _places(kind)]


def temporary_folder(kind: str) -> Path:
    """This user's temporary folder for one kind of thing. It lies in the system's folder itself, whose sticky bit keeps
    other users from replacing it. Raises OSError where the system has none."""
    return Path(tempfile.gettempdir()) / f"evornn-{os.getuid()}-{kind}"


def make_private(folder: Path) -> None:
    """Create a folder for this user alone. Raises OSError where that is impossible."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if is_untrusted(folder):
        raise PermissionError(f"{folder} is not this user's alone")


def is_untrusted(path: Path) -> bool:
    """Whether another user could have written there, or could have put the link to it. Raises OSError."""
    status = path.stat()
    owners = {status.st_uid, path.lstat().st_uid}
    return owners != {os.getuid()} or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def write(kind: str, name: str, content: bytes, *, private: bool = False) -> Path | None:
    """Keep a file in the first folder that takes it.

    Args:
        kind: the folder's name within the cache.
        name: of the file.
        content: of the file.
        private: whether only this user may be able to write the file and its folder.

    Returns:
        The file; None where no folder takes it, which one warning says.
    """
    reason = ""
    for place, is_temporary in _places(kind):
        try:
            make_private(place) if private or is_temporary else place.mkdir(parents=True, exist_ok=True)
            with atomic_write(place / name) as file:
                file.write(content)
            if private:
                (place / name).chmod(0o600)
        except OSError as error:
            reason = reason or str(error)
            continue
        if is_temporary:
            _warn_once(f"the cache can't be written ({reason or NO_HOME}): {kind} are kept in {place}: {ADVICE}")
        return place / name
    _warn_once(f"the cache can't be written ({reason or NO_HOME}): each process makes its own {kind}: {ADVICE}")
    return None


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file of the cache that other processes see complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path) as file:
        yield file


def check() -> Path:
    """Write a file to the cache folder and delete it.

    Returns:
        The folder.

    Raises:
        EvornnError: it can't be written.
    """
    try:
        probe = root() / f".probe-{os.getpid()}"
        with atomic_write(probe) as file:
            file.write(bytes(PROBE_BYTES))
        probe.unlink()
    except OSError as error:
        raise EvornnError(f"the cache can't be written ({error}): {ADVICE}") from None
    return root()


def _places(kind: str) -> Iterator[tuple[Path, bool]]:
    """The folders for one kind of thing, and whether each is temporary."""
    with suppress(OSError):
        yield root() / kind, False
    with suppress(OSError):  # the system may have no folder for temporary files either
        yield temporary_folder(kind), True


@cache
def _warn_once(message: str) -> None:
    log.warning("%s", message)
