"""The trainers' linear algebra runs on one BLAS thread, so that results don't depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Self, TypeVar

import numpy as np

T = TypeVar("T")


class SingleThreadedBlas:
    """A context with one BLAS thread and without numpy's warnings.

    The bits of products and eigenvectors depend on the number of threads. Overflow needs no warning: a search that has
    left all bounds is detected and restarted.
    """

    def __enter__(self) -> Self:
        self.threads, self.errors = _set_threads(None), np.seterr(all="ignore")
        return self

    def __exit__(self, *error: object) -> None:
        np.seterr(**self.errors)
        _set_threads(self.threads)

    def call_outside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function from within the context, with threads and warnings as they were outside."""
        self.__exit__()
        try:
            return function(*arguments)
        finally:
            self.__enter__()


def _set_threads(counts: list[int] | None) -> list[int]:
    """Set the number of threads of each BLAS library (None: one each). Returns the previous numbers."""
    before = [int(library.num_threads) for library in _blas()]
    for library, old, count in zip(_blas(), before, counts or [1] * len(before), strict=True):
        if old != count:
            library.set_num_threads(count)
    return before


@cache
def _blas() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
