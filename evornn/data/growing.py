"""Arrays that grow block by block. Memory that isn't written yet takes no room, so a column never exists twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1024  # values


class Growing:
    """Values [N] of one type."""

    def __init__(self, dtype: Any) -> None:
        self._buffer: NDArray[Any] = np.empty(0, dtype)
        self._count = 0

    def append(self, part: Any) -> None:
        """Further values."""
        end = self._count + len(part)
        if end > len(self._buffer):
            self._buffer.resize(max(end, len(self._buffer) * 3 // 2, SMALLEST), refcheck=False)
        self._buffer[self._count : end] = part
        self._count = end

    def __len__(self) -> int:
        return self._count

    def values(self) -> NDArray[Any]:
        """[N] all so far, not a copy: it holds until the next ones come."""
        return self._buffer[: self._count]

    def take(self) -> NDArray[Any]:
        """[N] all so far. None are left."""
        taken, self._buffer = self._buffer, np.empty(0, self._buffer.dtype)
        taken.resize(self._count, refcheck=False)
        self._count = 0
        return taken
