"""The two ways to use lanes. Across the batch: 16 sequences of one member, its weights in every lane. Across the
members: one sequence of 16 members, each lane its own weights. Generated modules import one of the two sets."""

from __future__ import annotations

import numba as nb

from evornn.kernels.simd.vector import LANES, load, splat, splat_at, store, sums_of_16

njit = nb.njit(_nrt=False)


@njit
def weight_of_lanes(W, m):
    return load(W, m * LANES)


@njit
def given_to_lanes(X, m):
    return load(X, m * LANES)


weight_of_one = splat_at
given_to_all = splat_at


@njit
def sum_16_over_lanes(G, g, v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, va, vb, vc, vd, ve, vf):
    store(G, g, load(G, g) + sums_of_16(v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, va, vb, vc, vd, ve, vf))


@njit
def sum_8_over_lanes(G, g, v0, v1, v2, v3, v4, v5, v6, v7):
    o = splat(0.0)  # adds nothing to the 8 positions behind
    store(G, g, load(G, g) + sums_of_16(v0, v1, v2, v3, v4, v5, v6, v7, o, o, o, o, o, o, o, o))


@njit
def sum_1_over_lanes(G, g, v):
    o = splat(0.0)
    sum_8_over_lanes(G, g, v, o, o, o, o, o, o, o)


@njit
def keep_1(G, g, v):
    store(G, g * LANES, load(G, g * LANES) + v)


@njit
def keep_8(G, g, v0, v1, v2, v3, v4, v5, v6, v7):
    for v in (v0, v1, v2, v3, v4, v5, v6, v7):
        keep_1(G, g, v)
        g += 1


@njit
def keep_16(G, g, v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, va, vb, vc, vd, ve, vf):
    keep_8(G, g, v0, v1, v2, v3, v4, v5, v6, v7)
    keep_8(G, g + 8, v8, v9, va, vb, vc, vd, ve, vf)
