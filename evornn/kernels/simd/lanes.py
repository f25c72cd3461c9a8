"""The two ways to use lanes. Across the batch: 16 sequences of one member, its weights in every lane. Across the members:
one sequence of 16 members, each lane its own weights. Generated modules import one of the two sets of functions."""

from __future__ import annotations

import numba as nb

from evornn.kernels.simd.vector import LANES, load, splat, splat_at, store, sums_of_16

njit = nb.njit


@njit  # type: ignore[untyped-decorator]
def weight_of_lanes(W, m):  # type: ignore[no-untyped-def]
    return load(W, m * LANES)


@njit  # type: ignore[untyped-decorator]
def given_to_lanes(X, m):  # type: ignore[no-untyped-def]
    return load(X, m * LANES)


weight_of_one = splat_at
given_to_all = splat_at


@njit  # type: ignore[untyped-decorator]
def sum_16_over_lanes(G, g, v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, va, vb, vc, vd, ve, vf):  # type: ignore[no-untyped-def]
    store(G, g, load(G, g) + sums_of_16(v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, va, vb, vc, vd, ve, vf))


@njit  # type: ignore[untyped-decorator]
def sum_8_over_lanes(G, g, v0, v1, v2, v3, v4, v5, v6, v7):  # type: ignore[no-untyped-def]
    o = splat(0.0)  # adds nothing to the 8 positions behind
    store(G, g, load(G, g) + sums_of_16(v0, v1, v2, v3, v4, v5, v6, v7, o, o, o, o, o, o, o, o))


@njit  # type: ignore[untyped-decorator]
def sum_1_over_lanes(G, g, v):  # type: ignore[no-untyped-def]
    o = splat(0.0)
    sum_8_over_lanes(G, g, v, o, o, o, o, o, o, o)


@njit  # type: ignore[untyped-decorator]
def keep_1(G, g, v):  # type: ignore[no-untyped-def]
    store(G, g * LANES, load(G, g * LANES) + v)


@njit  # type: ignore[untyped-decorator]
def keep_8(G, g, v0, v1, v2, v3, v4, v5, v6, v7):  # type: ignore[no-untyped-def]
    for v in (v0, v1, v2, v3, v4, v5, v6, v7):
        keep_1(G, g, v)
        g += 1


@njit  # type: ignore[untyped-decorator]
def keep_16(G, g, v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, va, vb, vc, vd, ve, vf):  # type: ignore[no-untyped-def]
    keep_8(G, g, v0, v1, v2, v3, v4, v5, v6, v7)
    keep_8(G, g + 8, v8, v9, va, vb, vc, vd, ve, vf)
