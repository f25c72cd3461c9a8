"""Keeping the memory that temporary arrays of a search release, for its next generation."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_BYTES = 64 * 2**20  # bytes of free memory at the end of the heap
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
MMAP_BYTES = 32 * 2**20  # bytes of an array that comes from the heap: glibc's own limit


@cache
def keep_freed_memory() -> bool:
    """Make glibc keep freed memory, once per process. Returns whether there is a glibc.

    By default it returns large arrays to the system after every generation; getting them back, page by page, takes
    longer than computing with them (a factor of 2.5 for populations of 256 × 1,185).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, TRIM_BYTES) and mallopt(M_MMAP_THRESHOLD, MMAP_BYTES))
