"""How lanes are kept busy: jobs (an episode of a member) are taken from one queue, by whichever lane is free."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from evornn.kernels.simd.vector import LANES, choose, floats, load, splat, store, vector

f = np.float32


@intrinsic  # type: ignore[untyped-decorator]
def take(typing: Any, queue: Any) -> Any:
    """The next job's number; threads may share a queue, an int64 array [1]."""

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
def one_lane(typing: Any, lane: Any) -> Any:
    """1 in one lane, 0 in the others."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.insert_element(floats(0), ir.Constant(ir.FloatType(), 1.0), args[0])

    return vector(types.int64), code


@nb.njit  # type: ignore[untyped-decorator]
def replace(Z, at, here, value):  # type: ignore[no-untyped-def]
    """Change one lane in memory. The whole vector is written: a load of it could not be forwarded from one number."""
    store(Z, at, choose(here, value, load(Z, at)))


@nb.njit  # type: ignore[untyped-decorator]
def take_finite(genomes, queue, starts, steps, rewards, ends):  # type: ignore[no-untyped-def]
    """The next job whose member's weights are finite, −1 when there is none; others' results are written at once."""
    episodes = starts.shape[0]
    while True:
        job = take(queue)
        if job >= genomes.shape[0] * episodes:
            return -1
        p, e = job // episodes, job % episodes
        bad = f(0)
        for m in range(genomes.shape[1]):
            bad += genomes[p, m] * f(0)
        if bad == bad:
            return job
        steps[p, e], rewards[p, e] = 0, np.nan
        ends[p, e] = starts[e]


@nb.njit  # type: ignore[untyped-decorator]
def pack(genomes, p, lane, index, template, W):  # type: ignore[no-untyped-def]
    """Member p's weights into one lane, in the order of reading."""
    here = one_lane(lane)
    for m in range(len(index)):
        i = index[m]
        value = genomes[p, i] if i >= 0 else template[m]
        replace(W, m * LANES, here, splat(value))


@nb.njit  # type: ignore[untyped-decorator]
def begin(starts, e, lane, S):  # type: ignore[no-untyped-def]
    """Plant and sums of one lane at the start of an episode."""
    states, here = starts.shape[1], one_lane(lane)
    for k in range(states + 3):
        value = starts[e, k] if k < states else f(0)
        replace(S, k * LANES, here, splat(value))


@nb.njit  # type: ignore[untyped-decorator]
def report(S, lane, job, steps, rewards, ends):  # type: ignore[no-untyped-def]
    """The results of the job that a lane has ended."""
    episodes, states = steps.shape[1], ends.shape[2]
    p, e = job // episodes, job % episodes
    steps[p, e] = np.int64(S[states * LANES + lane])
    rewards[p, e] = S[(states + 1) * LANES + lane]
    for k in range(states):
        ends[p, e, k] = S[k * LANES + lane]
