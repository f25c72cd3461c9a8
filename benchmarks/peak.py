"""The most that the cores can do: fused multiply-adds on SIMD registers, with no memory touched in between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba as nb
import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import seconds
from evornn.kernels.simd.interpreter.vector import LANES, broadcast, fma, numba_function, store

CHAINS = (5, 12)  # independent sums, enough to hide the latency: 16 registers of 8 floats hold 5, 32 of 16 hold 12
STEPS = 1_000_000
TRIES = 20


def peak_gigaflops(threads: int) -> float:
    """GFLOP/s of all threads together, the best of some tries; a fused multiply-add counts as two operations."""
    with ThreadPoolExecutor(threads) as pool:
        return max(_tries(pool, threads, chains) for chains in CHAINS)


def _tries(pool: ThreadPoolExecutor, threads: int, chains: int) -> float:
    run = loop(chains)
    run(1, np.arange(LANES, dtype=np.float32))
    work = [np.arange(LANES, dtype=np.float32) for _ in range(threads)]
    best = min(seconds(lambda: list(pool.map(lambda out: run(STEPS, out), work))) for _ in range(TRIES))
    return 2 * LANES * chains * STEPS * threads / best / 1e9


@cache
def loop(chains: int) -> Callable[[int, NDArray[np.float32]], None]:
    """f(steps, out [16]): that many chains of aₖ ← aₖ·0.999 + 0.5 from out[k], which stay normal numbers."""
    names = [f"a{k}" for k in range(chains)]
    lines = ["def run(steps, out):", "    at, x, y = out.ctypes.data, spread(scale), spread(shift)"]
    lines += [f"    {name} = spread(out[{k}])" for k, name in enumerate(names)]  # equal chains would become one
    lines += ["    for _ in range(steps):", *(f"        {name} = fma({name}, x, y)" for name in names)]
    lines += [f"    store(at, 0, {' + '.join(names)})"]
    space = {"spread": broadcast, "fma": numba_function(fma, 3), "store": store}
    space |= {"scale": np.float32(0.999), "shift": np.float32(0.5)}
    exec("\n".join(lines), space)
    compiled: Callable[[int, NDArray[np.float32]], None] = nb.njit(nogil=True)(space["run"])
    return compiled
