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


def solved(layout: Layout, genomes: Tensor, products: Products, ridge: float) -> Tensor:
    """[P, n] the same genomes with their read-outs solved, from the sums of `products`; where these are not finite, the
    read-out is NaN."""
    biased, (hh, hy) = layout.cell.readout_bias, (part.numpy() for part in products)
    with threadpool_limits(1, "blas"):  # its bits depend on the number of threads
        weights = torch.from_numpy(_ridge(hh, hy, ridge, biased)).to(genomes.dtype)
    new = genomes.clone()
    new[:, layout.blocks["readout.weight"].slice] = weights[:, : layout.width].mT.flatten(1)
    if biased:
        new[:, layout.blocks["readout.bias"].slice] = weights[:, -1]
    return new


def _ridge(hh: Doubles, hy: Doubles, ridge: float, biased: bool) -> Doubles:
    """[P, H + 1, O] solutions of (Σ[h; 1][h; 1]ᵀ + N·ridge·I) w = Σ[h; 1]yᵀ, the bias not drawn to 0; of the solutions
    that there may be without ridge, the smallest. Not `biased`: [P, H, O], of the equations without the 1."""
    steps = hh[:, -1:, -1:]
    drawn = np.eye(hh.shape[1])
    drawn[-1, -1] = 0
    if not biased:
        hh, hy, drawn = hh[:, :-1, :-1], hy[:, :-1], drawn[:-1, :-1]
    finite = np.isfinite(hh).all((1, 2)) & np.isfinite(hy).all((1, 2))
    found = np.full(hy.shape, np.nan)
    inverse = np.linalg.pinv((hh + steps * ridge * drawn)[finite], SINGULAR, hermitian=True)
    found[finite] = inverse @ hy[finite]
    return found
