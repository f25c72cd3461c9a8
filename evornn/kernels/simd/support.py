"""What generated modules call besides arithmetic: weights into the kernel's order, sums out of it."""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.kernels.simd.vector import LANES, load, splat, store

njit = nb.njit(error_model="numpy")
MEMBERS_BATCH, MEMBERS_MEMBERS = 1, LANES
f = np.float32


@njit
def zero(Z, at, rows):
    for o in range(0, rows * LANES, LANES):
        store(Z, at + o, splat(f(0)))


@njit
def copy(source, start, to, at, floats):
    for o in range(0, floats, LANES):
        store(to, at + o, load(source, start + o))


@njit
def spill(Z, at, total, sums):
    """Add a vector to float64 sums, by way of the workspace; returns the new, empty vector."""
    store(Z, at, total)
    for lane in range(LANES):
        sums[lane] += np.float64(Z[at + lane])
    return splat(f(0))


@njit
def pack_batch(genomes, p, last, index, template, W, sums):
    """Member p's weights in the order of reading; the sums start at 0, at NaN if a weight is not finite."""
    bad = f(0)
    for m in range(genomes.shape[1]):
        bad += genomes[p, m] * f(0)
    sums[:] = bad
    for m in range(len(index)):
        W[m] = template[m] if index[m] < 0 else genomes[p, index[m]]


@njit
def pack_members(genomes, p, last, index, template, W, sums):
    """The same for 16 members, a lane each; the last one fills the lanes that are left."""
    for lane in range(LANES):
        member = min(p + lane, last - 1)
        bad = f(0)
        for m in range(genomes.shape[1]):
            bad += genomes[member, m] * f(0)
        sums[lane] = bad
        for m in range(len(index)):
            W[m * LANES + lane] = template[m] if index[m] < 0 else genomes[member, index[m]]


@njit
def report_batch(sums, count, result, p, last):
    total = 0.0
    for lane in range(LANES):
        total += sums[lane]
    result[p] = f(total / count)


@njit
def report_members(sums, count, result, p, last):
    for lane in range(min(LANES, last - p)):
        result[p + lane] = f(sums[lane] / count)


@njit
def unpack_batch(G, positions, sums, count, gradient, p, last):
    """The gradient in the genome's order, divided by the number of steps that count; NaN if the loss is."""
    bad = sums.sum() * 0.0
    for m in range(len(positions)):
        gradient[p, m] = f(G[positions[m]] / count + bad)


@njit
def unpack_members(G, positions, sums, count, gradient, p, last):
    for lane in range(min(LANES, last - p)):
        bad = sums[lane] * 0.0
        for m in range(len(positions)):
            gradient[p + lane, m] = f(G[positions[m] * LANES + lane] / count + bad)
