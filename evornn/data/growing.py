"""Arrays that grow block by block. Memory that isn't written yet takes no room, so a column never exists twice. Those
of a large file grow in files, which are mapped into memory afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1024  # values
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def growing_on_disk(folder: Path) -> Iterator[None]:
    """Arrays that begin to grow in this context do so in files without a name in a folder."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def empty_array(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array to be filled, in memory or in a file, as the context says."""
    folder = _folder.get()
    if folder is None or 0 in shape:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


class Growing:
    """Values [N] of one type."""

    def __init__(self, dtype: Any) -> None:
        self._buffer: NDArray[Any] = np.empty(0, dtype)
        self._count = 0
        self._folder = _folder.get()
        self._file: IO[bytes] | None = None

    def append(self, part: Any) -> None:
        """Further values."""
        end = self._count + len(part)
        if self._folder is not None:
            self._file = self._file or tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # see take
            self._file.write(np.ascontiguousarray(part, self._buffer.dtype).view(np.uint8).data)
            self._count = end
            return
        if end > len(self._buffer):
            self._buffer.resize(max(end, len(self._buffer) * 3 // 2, SMALLEST), refcheck=False)
        self._buffer[self._count : end] = part
        self._count = end

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self._count

    def values(self) -> NDArray[Any]:
        """[N] all so far, not a copy: it holds until the next ones come."""
        if self._file is not None and self._count:
            self._file.flush()
            mapped: Any = np.memmap(self._file, self._buffer.dtype, "r", shape=(self._count,))
            return np.asarray(mapped)
        return self._buffer[: self._count]

    def take(self) -> NDArray[Any]:
        """[N] all so far. None are left."""
        if self._file is not None:
            taken = self.values()
            self._file.close()  # what is mapped stays
            self._file, self._count = None, 0
            return taken
        taken, self._buffer = self._buffer, np.empty(0, self._buffer.dtype)
        taken.resize(self._count, refcheck=False)
        self._count = 0
        return taken
