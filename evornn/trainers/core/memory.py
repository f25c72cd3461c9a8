"""Memory that a search's temporary arrays free is kept for the next ones."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_BYTES = 64 * 2**20  # bytes of free memory at the end of the heap
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
MMAP_BYTES = 32 * 2**20  # bytes of an array that comes from the heap: glibc's own limit


@cache
def keep_freed_memory() -> bool:
    """Have glibc keep what is freed, once in a process; whether there is a glibc. It would give it back at every turn,
    and to get it anew, page by page, takes longer than to compute with it (populations of 256 × 1,185: 2.5 ×)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, TRIM_BYTES) and mallopt(M_MMAP_THRESHOLD, MMAP_BYTES))
