"""Linear read-outs that are solved, not trained (Jaeger 2001; Schmidhuber et al. 2007):

W, b = argmin Σ ‖W hₜ + b − yₜ‖² / N + ridge·‖W‖², over the N steps that count.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evornn.arrays import Floats
from evornn.layout import Layout

Doubles: TypeAlias = NDArray[np.float64]
SINGULAR = 1e-8  # of the largest eigenvalue: below, single precision has left nothing of the sums


def solve_readout(layout: Layout, genomes: Floats, products: tuple[Doubles, Doubles], ridge: float) -> Floats:
    """The same genomes with their read-outs solved.

    Args:
        layout: the network, which has a read-out.
        genomes: [P, n].
        products: the sums that an evaluator's `products` returns.
        ridge: strength of the penalty, from 0 on.

    Returns:
        [P, n]; the read-out is NaN where the sums are not finite.
    """
    weight, bias = layout.blocks["readout.weight"], layout.blocks["readout.bias"]
    columns = layout.width + bool(bias.size)  # h, and 1 where there is a bias
    hh, hy = products
    penalty = hh[:, -1:, -1:] * ridge * np.diag(np.arange(columns) < layout.width)  # none on the bias
    # the normal equations of the ridge regression: (Σ hhᵀ + N·ridge·I) W = Σ hyᵀ, where N = Σ 1·1 is the last element
    with threadpool_limits(1, "blas"):  # its bits depend on the number of threads
        weights = _solution(hh[:, :columns, :columns] + penalty, hy[:, :columns]).astype(genomes.dtype)
    new = genomes.copy()
    new[:, weight.slice] = weights[:, : layout.width].swapaxes(1, 2).reshape(len(new), -1)
    new[:, bias.slice] = weights[:, layout.width :].reshape(len(new), -1)
    return new


def _solution(a: Doubles, b: Doubles) -> Doubles:
    """[P, seen, O] w with a w = b, of several the smallest; NaN for members that are not finite."""
    finite = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))
    solution = np.full(b.shape, np.nan)
    solution[finite] = np.linalg.pinv(a[finite], SINGULAR, hermitian=True) @ b[finite]
    return solution
