"""The trainers' linear algebra: one BLAS thread, so that results don't depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np


@contextmanager
def quiet_algebra() -> Iterator[None]:
    """One BLAS thread, since the bits of products and eigenvectors depend on their number; overflow without a warning,
    since a search that has left all bounds is noticed and started again."""
    with _blas().limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
        yield


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
