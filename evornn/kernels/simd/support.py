"""What generated modules call besides arithmetic: weights into the kernel's order, sums out of it."""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.kernels.simd.vector import LANES, load, splat, store

# Without references to arrays being counted: those are atomic operations, at every call that is not inlined.
njit = nb.njit(error_model="numpy", _nrt=False)
MEMBERS_BATCH, MEMBERS_MEMBERS = 1, LANES
f = np.float32


@njit
def zero(Z, at, floats):
    for o in range(at, at + floats, LANES):
        store(Z, o, splat(f(0)))


@njit
def copy(source, start, to, at, floats):
    for o in range(0, floats, LANES):
        store(to, at + o, load(source, start + o))


@njit
def spill(Z, at, sums):
    """Add a row of the workspace to float64 sums and set it to 0."""
    for lane in range(len(sums)):
        sums[lane] += np.float64(Z[at + lane])
    zero(Z, at, len(sums))


@njit
def pack_batch(genomes, p, last, index, template, W, at, sums, first, end):
    """Member p's weights in the order of reading, from `at`; its sums, from `first` to `end`, start at 0, at NaN if a
    weight is not finite."""
    member = min(p, last - 1)
    bad = f(0)
    for m in range(genomes.shape[1]):
        bad += genomes[member, m] * f(0)
    for k in range(first, end):
        sums[k] = bad
    for m in range(len(index)):
        W[at + m] = template[m] if index[m] < 0 else genomes[member, index[m]]


@njit
def pack_members(genomes, p, last, index, template, W, at, sums, first, end):
    """The same for 16 members, a lane each; the last one fills the lanes that are left."""
    for lane in range(LANES):
        member = min(p + lane, last - 1)
        bad = f(0)
        for m in range(genomes.shape[1]):
            bad += genomes[member, m] * f(0)
        for k in range(first + lane, end, LANES):
            sums[k] = bad
        for m in range(len(index)):
            W[(at + m) * LANES + lane] = template[m] if index[m] < 0 else genomes[member, index[m]]


@njit
def total(sums, first, end, step):
    found = 0.0
    for k in range(first, end, step):
        found += sums[k]
    return found


@njit
def report_batch(sums, first, end, count, result, p, last):
    """The mean loss of member p, whose sums lie from `first` to `end`."""
    if p < last:
        result[p] = f(total(sums, first, end, 1) / count)


@njit
def report_members(sums, first, end, count, result, p, last):
    for lane in range(min(LANES, last - p)):
        result[p + lane] = f(total(sums, first + lane, end, LANES) / count)


@njit
def unpack_batch(G, at, positions, sums, first, end, count, gradient, p, last):
    """The gradient in the genome's order, divided by the number of steps that count; NaN if the loss is."""
    if p < last:
        bad = total(sums, first, end, 1) * 0.0
        for m in range(len(positions)):
            gradient[p, m] = f(G[at + positions[m]] / count + bad)


@njit
def unpack_members(G, at, positions, sums, first, end, count, gradient, p, last):
    for lane in range(min(LANES, last - p)):
        bad = total(sums, first + lane, end, LANES) * 0.0
        for m in range(len(positions)):
            gradient[p + lane, m] = f(G[(at + positions[m]) * LANES + lane] / count + bad)
