"""How lanes are kept busy: jobs (an episode of a member) are taken from one queue, by whichever lane is free."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from evornn.kernels.simd.vector import INTS, LANES, choose, equal, floats, fma, ints, load, splat, store, vector

# Without references to arrays being counted: those are atomic operations, and there are dozens in a refill.
njit = nb.njit(error_model="numpy", _nrt=False)
f = np.float32
EVERY_LANE, NOBODY = (1 << LANES) - 1, -1


@intrinsic  # type: ignore[untyped-decorator]
def take(typing: Any, queue: Any) -> Any:
    """How many have been taken before; threads may share a queue, an int64 array [1]."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        place = context.make_array(signature.args[0])(context, b, args[0]).data
        return b.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(queue), code


@intrinsic  # type: ignore[untyped-decorator]
def lanes_set(typing: Any, x: Any) -> Any:
    """A number whose bit k is set where lane k is above 0."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        bits = b.bitcast(b.fcmp_ordered(">", args[0], floats(0)), ir.IntType(LANES))
        return b.zext(bits, ir.IntType(64))

    return types.int64(vector), code


@intrinsic  # type: ignore[untyped-decorator]
def first_lane(typing: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set; one must be."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def one_lane(typing: Any, lane: Any) -> Any:
    """1 in one lane, 0 in the others."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        number = b.trunc(args[0], ir.IntType(32))
        first = b.insert_element(ir.Constant(INTS, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
        here = b.icmp_signed("==", b.shuffle_vector(first, first, ints(0)), ints(list(range(LANES))))
        return b.select(here, floats(1), floats(0))

    return vector(types.int64), code


@njit  # type: ignore[untyped-decorator]
def replace(Z, at, here, value):  # type: ignore[no-untyped-def]
    """Change one lane in memory. The whole vector is written: a load of it could not be forwarded from one number."""
    store(Z, at, choose(here, value, load(Z, at)))


@njit  # type: ignore[untyped-decorator]
def finite(genomes, p):  # type: ignore[no-untyped-def]
    """Whether member p has neither NaN nor infinity: each becomes NaN times 0, and stays in the sum."""
    n, some, rest = genomes.shape[1], splat(f(0)), f(0)
    for m in range(0, n - n % LANES, LANES):
        some = fma(load(genomes, p * n + m), splat(f(0)), some)
    for m in range(n - n % LANES, n):
        rest += genomes[p, m] * f(0)
    return lanes_set(equal(some + rest, splat(f(0)))) == EVERY_LANE


@njit  # type: ignore[untyped-decorator]
def take_finite(lane, jobs, genomes, queue, steps, rewards, ends, starts):  # type: ignore[no-untyped-def]
    """Put the next job whose member's weights are finite into `jobs` (`NOBODY`: there is none); write others' results.

    `jobs` holds the lanes' members, their episodes, and the range of jobs that this thread has taken: since an atomic
    operation waits for all stores, 16 are taken at a time."""
    episodes, at = starts.shape[0], 2 * LANES
    while True:
        if jobs[at] == jobs[at + 1]:
            jobs[at] = take(queue) * LANES
            jobs[at + 1] = jobs[at] + LANES
        p = jobs[at] // episodes
        e = jobs[at] - p * episodes
        if p >= genomes.shape[0]:
            jobs[lane] = NOBODY
            return
        jobs[at] += 1
        if finite(genomes, p):
            jobs[lane], jobs[LANES + lane] = p, e
            return
        steps[p, e], rewards[p, e] = 0, np.nan
        for k in range(starts.shape[1]):
            ends[p, e, k] = starts[e, k]


@njit  # type: ignore[untyped-decorator]
def pack(genomes, p, here, index, template, W):  # type: ignore[no-untyped-def]
    """Member p's weights into one lane, in the order of reading."""
    for m in range(len(index)):
        i = index[m]
        value = genomes[p, i] if i >= 0 else template[m]
        replace(W, m * LANES, here, splat(value))


@njit  # type: ignore[untyped-decorator]
def begin(starts, e, here, S, window):  # type: ignore[no-untyped-def]
    """Plant, sums and rewards of the last `window` steps of one lane at the start of an episode."""
    states = starts.shape[1]
    for k in range(states + 3 + window):
        value = starts[e, k] if k < states else f(0)
        replace(S, k * LANES, here, splat(value))


@njit  # type: ignore[untyped-decorator]
def report(S, lane, jobs, steps, rewards, ends):  # type: ignore[no-untyped-def]
    """The results of the job that a lane has ended."""
    states, p, e = ends.shape[2], jobs[lane], jobs[LANES + lane]
    steps[p, e] = np.int64(S[states * LANES + lane])
    rewards[p, e] = S[(states + 1) * LANES + lane]
    for k in range(states):
        ends[p, e, k] = S[k * LANES + lane]
