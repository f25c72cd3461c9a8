"""Threads that kernels run on, and scratch arrays that each of them keeps from call to call."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from evornn.arrays import Floats
from evornn.kernels.simd.vector import LANES


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "evornn-simd")


os.register_at_fork(after_in_child=pool.cache_clear)  # threads don't survive a fork


def share(part: Callable[[int, int], None], population: int, threads: int, together: int) -> None:
    """Call `part(first, last)` for all members, in a few portions of whole groups per thread; this thread works too."""
    portion = population if threads == 1 else -(-population // (4 * threads))
    portion = -(-portion // together) * together
    edges = deque((k, min(k + portion, population)) for k in range(0, population, portion))

    def work() -> None:
        while True:
            try:
                edge = edges.popleft()
            except IndexError:
                return
            part(*edge)

    helpers = [pool(threads).submit(work) for _ in range(min(threads, len(edges)) - 1)]
    work()
    for helper in helpers:
        helper.result()


class Buffers(threading.local):
    """Scratch arrays of a thread."""

    def __init__(self) -> None:
        self.arrays: dict[int, Floats] = {}

    def get(self, *sizes: int) -> list[Floats]:
        """An array of at least each size, on a border of cache lines."""
        for k, size in enumerate(sizes):
            if k not in self.arrays or len(self.arrays[k]) < max(1, size):
                raw = np.zeros(size + LANES, np.float32)
                start = -(raw.ctypes.data // 4) % LANES
                self.arrays[k] = raw[start : start + max(1, size)]
        return [self.arrays[k] for k in range(len(sizes))]


buffers = Buffers()
