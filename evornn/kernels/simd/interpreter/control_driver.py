"""The closed loop around the interpreter: networks and plants in lanes, each lane a member of its own.

A lane whose episode ends takes the next job (an episode of a member) from a queue that all threads share, so lanes stay
busy however long episodes are. No lane's arithmetic depends on another lane. For the short names see the package's
docstring.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from evornn.kernels.simd.interpreter import call_numbers as c
from evornn.kernels.simd.interpreter.calling import call_plain
from evornn.kernels.simd.interpreter.driver import prepare, run_table, set_frame, zero_or_nan
from evornn.kernels.simd.interpreter.vector import I64, LANES, number, pointer, put, put_word, short_word, splat, word

njit = nb.njit(error_model="numpy", nogil=True, _nrt=False)
f = np.float32
MAX_LANES = 2 * LANES
TAKEN = 2 * MAX_LANES  # a thread's jobs are: the lanes' members, their episodes, and (from here) the range taken
COUNT, REWARD, LOST, FAILED, RECENT = range(5)  # rows behind the states, as in `plant`


@intrinsic  # type: ignore[untyped-decorator]
def fetch_add(typing: Any, queue: Any) -> Any:
    """Add 1 to a number that threads share; returns the number before."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        place = pointer(b, args[0], ir.Constant(I64, 0), I64)
        return b.atomic_rmw("add", place, ir.Constant(I64, 1), "monotonic")

    return types.int64(types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def lanes_above(typing: Any, base: Any, position: Any, least: Any) -> Any:
    """The lanes of a vector in memory that are above a number, as bits: bit k for lane k.

    Args:
        typing: numba's typing context.
        base: address.
        position: of the vector.
        least: the number.
    """

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        values = b.load(pointer(b, args[0], args[1]), align=4)
        bits = b.fcmp_ordered(">", values, splat(b, args[2]))
        return b.zext(b.bitcast(bits, ir.IntType(LANES)), I64)

    return types.int64(types.int64, types.int64, types.float32), code


@intrinsic  # type: ignore[untyped-decorator]
def first_lane(typing: Any, bits: Any) -> Any:
    """The position of the lowest set bit; at least one must be set."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), code


@njit
def steps(P):
    """Run episodes until the queue is empty. Sets of lanes (`running`, `over`) are the bits of a number."""
    prepare(P)
    S, Z, B, row, frame = word(P, c.PLANT), word(P, c.WORKSPACE), word(P, c.BASES), word(P, c.ROW), word(P, c.FRAME)
    n, jobs, window, recent = word(P, c.STATES) * row, word(P, c.JOBS), word(P, c.WINDOW), 0
    y, x, advance = Z + 4 * word(P, c.Y_ROW), Z + 4 * word(P, c.X_ROW), word(P, c.ADVANCE)
    # steps are counted in floats: an episode is over when its count is above most_steps − ½
    last = f(word(P, c.MOST_STEPS)) - f(0.5)
    put_word(jobs, TAKEN, 0)
    put_word(jobs, TAKEN + 1, 0)
    cur, nxt = word(P, c.FIRST), word(P, c.FIRST) + frame
    running = refill(P, (1 << row) - 1, cur, nxt)
    while running != 0:
        put_word(B, 1, cur)
        put_word(B, 2, nxt)
        run_table(P, c.STEP_READOUT)
        # the network acts, then the plant moves; its observations become the inputs in the next frame
        recent = recent + 1 if recent + 1 < window else 0
        call_plain(advance, S, y + 4 * nxt, x + 4 * nxt, recent)
        cur, nxt = nxt, cur
        # episodes that are over: out of steps, or failed
        over = 0
        for v in range(0, row, LANES):
            ended = lanes_above(S, n + COUNT * row + v, last) | lanes_above(S, n + FAILED * row + v, f(0))
            over |= ended << v
        over &= running
        # write their results and give their lanes new jobs
        if over != 0:
            ended = over
            while ended != 0:
                report(P, first_lane(ended), recent)
                ended &= ended - 1
            running = (running & ~over) | refill(P, over, cur, nxt)


@njit
def refill(P, lanes, cur, nxt):
    """Give lanes new jobs and initialise them.

    Args:
        P: address of the call's numbers.
        lanes: the lanes to fill, as bits.
        cur: position of the frame that the next step reads.
        nxt: position of the other frame, used as scratch.

    Returns:
        The lanes that got a job, as bits.
    """
    S, Z, row, frame, filled = word(P, c.PLANT), word(P, c.WORKSPACE), word(P, c.ROW), word(P, c.FRAME), 0
    while lanes != 0:
        lane = first_lane(lanes)
        lanes &= lanes - 1
        if next_job(P, lane):
            filled |= 1 << lane
            pack_lane(P, lane)
            begin(P, lane)
    if filled != 0:
        # The tables run on all lanes, so initial states are computed in the other frame and only the new lanes are
        # copied. Static values are recomputed for all lanes: those of running lanes come out the same.
        run_table(P, c.STATICS)
        set_frame(P, nxt)
        run_table(P, c.START)
        run_table(P, c.BEGIN)
        lanes = filled
        while lanes != 0:
            lane = first_lane(lanes)
            lanes &= lanes - 1
            for k in range(lane, frame, row):
                put(Z, cur + k, number(Z, nxt + k))
        call_plain(word(P, c.OBSERVE), S, 0, Z + 4 * (cur + word(P, c.X_ROW)), 0)
    return filled


@njit
def next_job(P, lane):
    """Give a lane the next job whose member's weights are finite. False: no job is left. Results of members that are
    not finite are written at once.

    An atomic operation waits for all stores, so a thread takes 16 jobs at a time from the queue; the range that it has
    taken lies behind the lanes' members and episodes.
    """
    jobs, episodes, n, states = word(P, c.JOBS), word(P, c.EPISODES), word(P, c.N), word(P, c.STATES)
    while True:
        if word(jobs, TAKEN) == word(jobs, TAKEN + 1):
            put_word(jobs, TAKEN, fetch_add(word(P, c.QUEUE)) * LANES)
            put_word(jobs, TAKEN + 1, word(jobs, TAKEN) + LANES)
        job = word(jobs, TAKEN)
        p = job // episodes
        if p >= word(P, c.MEMBERS):
            return False
        put_word(jobs, TAKEN, job + 1)
        if zero_or_nan(word(P, c.WORKSPACE), word(P, c.BAD), word(P, c.GENOMES), p * n, n) == f(0):
            put_word(jobs, lane, p)
            put_word(jobs, MAX_LANES + lane, job - p * episodes)
            return True
        put_word(word(P, c.SURVIVED), job, 0)
        put(word(P, c.REWARDS), job, f(np.nan))
        for k in range(states):
            put(word(P, c.ENDS), job * states + k, number(word(P, c.STARTS), (job - p * episodes) * states + k))


@njit
def pack_lane(P, lane):
    """Pack a member's weights into one lane, in the order of reading."""
    W, index, template, genomes = word(P, c.PACKED), word(P, c.INDEX), word(P, c.TEMPLATE), word(P, c.GENOMES)
    start, at = (
        word(word(P, c.JOBS), lane) * word(P, c.N),
        lane // LANES * word(P, c.WEIGHT_STRIDE) * LANES + lane % LANES,
    )
    for m in range(word(P, c.WEIGHTS)):
        k = short_word(index, m)
        put(W, at + m * LANES, number(template, m) if k < 0 else number(genomes, start + k))


@njit
def begin(P, lane):
    """Set plant, sums and recent rewards of one lane to the start of an episode."""
    S, row, states = word(P, c.PLANT), word(P, c.ROW), word(P, c.STATES)
    episode = word(word(P, c.JOBS), MAX_LANES + lane)
    for k in range(states + RECENT + word(P, c.WINDOW)):
        value = number(word(P, c.STARTS), episode * states + k) if k < states else f(0)
        put(S, k * row + lane, value)


@njit
def report(P, lane, recent):
    """Write the results of a lane's job.

    Args:
        P: address of the call's numbers.
        lane: the lane.
        recent: the row of this step's reward in the ring of the last ones.
    """
    S, row, states, window = word(P, c.PLANT), word(P, c.ROW), word(P, c.STATES), word(P, c.WINDOW)
    job = word(word(P, c.JOBS), lane) * word(P, c.EPISODES) + word(word(P, c.JOBS), MAX_LANES + lane)
    at = states * row + lane
    reward = number(S, at + REWARD * row)
    # from the row of this step on, which a failed step leaves as it is: the order depends on the lane's own steps alone
    for k in range(window):
        reward += number(S, at + (RECENT + (recent + k) % window) * row)
    put_word(word(P, c.SURVIVED), job, np.int64(number(S, at + COUNT * row)))
    put(word(P, c.REWARDS), job, reward)
    for k in range(states):
        put(word(P, c.ENDS), job * states + k, number(S, k * row + lane))
