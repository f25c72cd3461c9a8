"""Arrays in the cache folder that are mapped into memory: made once, shared by all processes of a machine, checked when
they are opened, and made again where they are damaged or gone."""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn import cache
from evornn.errors import EvornnError

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Made: TypeAlias = tuple[Arrays, dict[str, Any]]  # arrays [N, …] and what else is to be known of them, as JSON
INDEX = "index.json"
BLOCK = 2**24  # bytes that are written or checked at a time
log = logging.getLogger("evornn.data")


def map_arrays(kind: str, key: str, make: Callable[[Path], Made]) -> Made:
    """Arrays by a key that tells all that they follow from.

    Args:
        kind: The folder of the cache.
        key: What they are made from, as a digest.
        make: Makes them where they are not there yet; what it needs on the way goes into the folder it is given.

    Returns:
        The arrays, read-only and mapped, and what else `make` said.

    Raises:
        EvornnError: No folder takes them.
    """
    reason = ""
    for place in cache.folders(kind):
        try:
            cache.make_private(place)
            with _lock(place / f"{key}.lock"):
                known = _open(place / key)
                return _make(place / key, make) if known is None else known
        except OSError as error:
            reason = reason or str(error)
    raise EvornnError(f"a large file is read through the cache, which can't be written ({reason}): {cache.ADVICE}")


def writable_folder(kind: str) -> Path:
    """The folder of the cache that takes files of a kind. Raises EvornnError if none does."""
    for place in cache.folders(kind):
        with suppress(OSError):
            cache.make_private(place)
            return place
    raise EvornnError(f"a large file is read through the cache, which can't be written: {cache.ADVICE}")


def _make(folder: Path, make: Callable[[Path], Made]) -> Made:
    """What an interrupt leaves behind is removed by whoever comes next: the lock is theirs."""
    part = folder.with_suffix(".part")
    for rest in (part, folder):
        shutil.rmtree(rest, ignore_errors=True)
    part.mkdir(mode=0o700)
    try:
        arrays, about = make(part)
        index: dict[str, Any] = {"about": about, "arrays": {}}
        for number, (name, values) in enumerate(arrays.items()):
            checksum = _write(part / f"{number}.bin", values)
            index["arrays"][name] = [values.dtype.str, list(values.shape), checksum]
        (part / INDEX).write_text(json.dumps(index), encoding="utf-8")
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    made = _open(folder)
    if made is None:
        raise OSError(f"{folder} is damaged as soon as it is written")
    return made


def _open(folder: Path) -> Made | None:
    """What a folder holds; None if it is not there, or damaged."""
    if not folder.exists():
        return None
    try:
        index, arrays = json.loads((folder / INDEX).read_text(encoding="utf-8")), {}
        for number, (name, (dtype, shape, checksum)) in enumerate(index["arrays"].items()):
            path = folder / f"{number}.bin"
            arrays[name] = _map(path, np.dtype(dtype), tuple(shape))
            if _checksum(path) != checksum:
                raise ValueError(f"{path} has changed")
        return arrays, index["about"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged (%s) and made again", folder, error)
        return None


def _map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(path, dtype, "r", shape=shape))


def _write(path: Path, values: NDArray[Any]) -> int:
    """Write block by block; returns the checksum."""
    checksum, rows = 0, max(1, BLOCK // max(1, values[:1].nbytes))
    with path.open("xb") as file:
        for begin in range(0, len(values), rows):
            block = np.ascontiguousarray(values[begin : begin + rows]).view(np.uint8).data
            checksum = zlib.crc32(block, checksum)
            file.write(block)
    return checksum


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time; a lock ends with its process."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
