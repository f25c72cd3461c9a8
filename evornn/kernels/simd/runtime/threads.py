"""Threads that kernels run on, and scratch arrays that each of them keeps from call to call."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from evornn.arrays import Floats
from evornn.kernels.simd.interpreter.call_numbers import COUNT
from evornn.kernels.simd.interpreter.vector import LANES


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    """A pool of threads. If they are as many as this process has CPUs, each is bound to one: Linux was seen to keep two
    on one CPU for milliseconds while another was idle."""
    cpus = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    free_cpus = deque(cpus if len(cpus) == threads else ())
    return ThreadPoolExecutor(threads, "evornn-simd", _pin_to_cpu, (free_cpus,))


def _pin_to_cpu(cpus: deque[int]) -> None:
    if sys.platform == "linux" and cpus:
        os.sched_setaffinity(0, {cpus.popleft()})


os.register_at_fork(after_in_child=pool.cache_clear)  # threads don't survive a fork


def parallel_for(
    part: Callable[[int, int], None], population: int, threads: int, group_size: int, one_by_one: bool = False
) -> None:
    """Share members out to threads, a few portions of whole groups for each.

    Args:
        part: (first, last) computes members first … last − 1.
        population: P.
        threads: CPU threads.
        group_size: members of a group.
        one_by_one: portions of one member each.
    """
    portion = 1 if one_by_one else -(-population // (4 * threads * group_size)) * group_size
    if portion >= population or (threads == 1 and not one_by_one):
        part(0, population)
        return
    # threads take portions from a queue, so that a slow thread delays no other
    edges = deque((k, min(k + portion, population)) for k in range(0, population, portion))

    def work() -> None:
        while True:
            try:
                edge = edges.popleft()
            except IndexError:
                return
            part(*edge)

    if threads == 1:
        return work()
    for done in [pool(threads).submit(work) for _ in range(min(threads, len(edges)))]:
        done.result()


class Buffers(threading.local):
    """Scratch arrays of a thread, and the numbers of its call."""

    def __init__(self) -> None:
        self.arrays: dict[int, Floats] = {}
        self.sizes: tuple[int, ...] = ()
        self.addresses: list[int] = []
        self.numbers = np.zeros(COUNT, np.int64)
        self.address = self.numbers.ctypes.data

    def get(self, sizes: tuple[int, ...]) -> list[int]:
        """Addresses of arrays of at least these sizes (in floats), aligned to cache lines."""
        if sizes != self.sizes:
            for k, size in enumerate(sizes):
                if k not in self.arrays or len(self.arrays[k]) < size + LANES:
                    self.arrays[k] = np.zeros(size + LANES, np.float32)
            places = [self.arrays[k].ctypes.data for k in range(len(sizes))]
            self.sizes, self.addresses = sizes, [-(-place // (4 * LANES)) * 4 * LANES for place in places]
        return self.addresses


buffers = Buffers()
