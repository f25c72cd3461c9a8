"""Linear read-outs that are solved, not trained (Jaeger 2001; Schmidhuber et al. 2007):

W, b = argmin Σ ‖W hₜ + b − yₜ‖² / N + ridge·‖W‖², over the N steps that count.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from evornn.kernels.evaluate import Products
from evornn.layout import Layout

Doubles: TypeAlias = NDArray[np.float64]
SINGULAR = 1e-8  # of the largest eigenvalue: below, single precision has left nothing of the sums


def solve_readout(layout: Layout, genomes: Tensor, products: Products, ridge: float) -> Tensor:
    """[P, n] the same genomes with their read-outs solved, from the sums of `products`; where these are not finite, the
    read-out is NaN."""
    weight, bias = layout.blocks["readout.weight"], layout.blocks["readout.bias"]
    columns = layout.width + bool(bias.size)  # h, and 1 where there is a bias
    hh, hy = (sums.numpy() for sums in products)
    penalty = hh[:, -1:, -1:] * ridge * np.diag(np.arange(columns) < layout.width)  # none on the bias
    with threadpool_limits(1, "blas"):  # its bits depend on the number of threads
        weights = torch.from_numpy(_solution(hh[:, :columns, :columns] + penalty, hy[:, :columns])).to(genomes.dtype)
    new = genomes.clone()
    new[:, weight.slice] = weights[:, : layout.width].mT.flatten(1)
    new[:, bias.slice] = weights[:, layout.width :].flatten(1)
    return new


def _solution(a: Doubles, b: Doubles) -> Doubles:
    """[P, seen, O] w with a w = b, of several the smallest; NaN for members that are not finite."""
    finite = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))
    solution = np.full(b.shape, np.nan)
    solution[finite] = np.linalg.pinv(a[finite], SINGULAR, hermitian=True) @ b[finite]
    return solution
