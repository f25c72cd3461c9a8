"""The trainers' linear algebra: one BLAS thread, so that results don't depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np


@contextmanager
def single_threaded_blas() -> Iterator[SavedThreads]:
    """One BLAS thread, since the bits of products and eigenvectors depend on their number; overflow without a warning,
    since a search that has left all bounds is noticed and started again. Gives what there was outside."""
    saved_threads = SavedThreads()
    with np.errstate(all="ignore"), _threads([1] * len(_blas())):
        yield saved_threads


class SavedThreads:
    """Threads and warnings as they are now, for a call of somebody else's code from within."""

    def __init__(self) -> None:
        self.threads, self.errors = [int(library.num_threads) for library in _blas()], np.geterr()

    @contextmanager
    def restore(self) -> Iterator[None]:
        with np.errstate(**self.errors), _threads(self.threads):
            yield


@contextmanager
def _threads(counts: list[int]) -> Iterator[None]:
    before = _set_threads(counts)
    try:
        yield
    finally:
        _set_threads(before)


def _set_threads(counts: list[int]) -> list[int]:
    """Answers what they were."""
    before = [int(library.num_threads) for library in _blas()]
    for library, was, count in zip(_blas(), before, counts, strict=True):
        if was != count:
            library.set_num_threads(count)
    return before


@cache
def _blas() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
