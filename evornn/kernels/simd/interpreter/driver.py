"""The loops around the interpreter: members, sequences and time steps; what they compute is in the program's tables.

A row's vectors hold further sequences of the same members, so that weights are read once for all, or further members.
Every round's loss and gradient is computed by itself and the rounds are added up in order, so it does not matter which
thread computes which round. For the short names see the package's docstring; here also: p is the first member of a
group.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.kernels.simd.interpreter import call_numbers as c
from evornn.kernels.simd.interpreter import instructions as i
from evornn.kernels.simd.interpreter.calling import call
from evornn.kernels.simd.interpreter.loss import EXTERNAL, NONE, add_loss, store_external, store_gradient
from evornn.kernels.simd.interpreter.vector import (  # fmt: skip
    LANES,
    broadcast,
    double,
    load,
    numba_function,
    number,
    put,
    put_double,
    put_word,
    short_word,
    store,
    word,
)
from evornn.kernels.simd.interpreter.vector import fma as fused

njit = nb.njit(error_model="numpy", nogil=True, _nrt=False)
f = np.float32
fma = numba_function(fused, 3)


@njit
def run(P, first, last, begin, end):
    """Compute members in rounds.

    Losses go to `sums` [groups, rounds, row], and on demand outputs to `kept` and end states to `carried`. If all
    rounds are computed here, losses also go to `result` [P] and gradients to `gradient` [P, n]; else (`split`) packed
    gradients go to `partial` [groups, rounds, floats].

    Args:
        P: address of the call's numbers.
        first: the first member; a whole number of groups from the beginning.
        last: behind the last member.
        begin: the first round.
        end: behind the last round.
    """
    prepare(P)
    step = LANES if word(P, c.WIDE) else 1
    together = step if word(P, c.SAME_MEMBERS) else step * word(P, c.ROW) // LANES
    # `step` members per vector; `together` per row, which are a group
    for p in range(first, last, together):
        put_word(word(P, c.SETTINGS), i.MEMBER, p)
        pack(P, p)
        check(P)
        run_table(P, c.STATICS)
        # the same packed weights and static values serve all rounds of a group
        for r in range(begin, end):
            run_round(P, r, p // together * word(P, c.ROUNDS) + r)
        if not word(P, c.SPLIT):
            conclude(P, p, last)


@njit
def run_table(P, which):
    """Execute a table of instructions; `which` is its number in `call_numbers.TABLES`."""
    code, count, B, Z = word(P, 2 * which), word(P, 2 * which + 1), word(P, c.BASES), word(P, c.WORKSPACE)
    call(word(P, c.EXECUTE), code, count, B, Z, word(P, c.PACKED), word(P, c.GRADIENTS), word(P, c.SETTINGS))


@njit
def prepare(P):
    """Set what is the same for all members of a call: the settings of the instructions, and rows of constants."""
    S, Z, row = word(P, c.SETTINGS), word(P, c.WORKSPACE), word(P, c.ROW)
    put_word(word(P, c.BASES), 0, 0)
    put_word(S, i.ROW, row)
    put_word(S, i.SPAN, row if word(P, c.SAME_MEMBERS) else LANES)
    put_word(S, i.WIDE, word(P, c.WIDE))
    put_word(S, i.WEIGHT_STRIDE, 0 if word(P, c.SAME_MEMBERS) else word(P, c.WEIGHT_STRIDE))
    put_word(S, i.GRADIENT_STRIDE, word(P, c.GRADIENT_STRIDE))
    put_word(S, i.FRAME, word(P, c.FRAME))
    put_word(S, i.GENOMES, word(P, c.GENOMES))
    put_word(S, i.N, word(P, c.N))
    put_word(S, i.LAST, word(P, c.MEMBERS))
    put_word(S, i.LOOKUP_FLOATS, word(P, c.LOOKUP_FLOATS))
    put_word(S, i.ONES, word(P, c.ONES))
    for k in range(word(P, c.CONSTANTS)):
        at = np.int64(number(word(P, c.FILLED), 2 * k + 1)) * row
        for v in range(0, row, LANES):
            store(Z, at + v, broadcast(number(word(P, c.FILLED), 2 * k)))


@njit
def pack(P, p):
    """Pack the weights of the members from p on, in the order of reading; the last member fills the lanes that are
    left."""
    n, W, index, template, genomes = (
        word(P, c.N),
        word(P, c.PACKED),
        word(P, c.INDEX),
        word(P, c.TEMPLATE),
        word(P, c.GENOMES),
    )
    last, count = word(P, c.MEMBERS) - 1, word(P, c.WEIGHTS)
    for v in range(0, LANES if word(P, c.SAME_MEMBERS) else word(P, c.ROW), LANES):
        at = v // LANES * word(P, c.WEIGHT_STRIDE)
        # wide: weight m is a vector, lane by lane another member's; else it is one number, broadcast when it is read
        if word(P, c.WIDE):
            for m in range(count):
                k = short_word(index, m)
                for lane in range(LANES):
                    value = number(template, m) if k < 0 else number(genomes, min(p + v + lane, last) * n + k)
                    put(W, (at + m) * LANES + lane, value)
        else:
            member = min(p + v // LANES, last) * n
            for m in range(count):
                k = short_word(index, m)
                put(W, at + m, number(template, m) if k < 0 else number(genomes, member + k))


@njit
def check(P):
    """Write 0 into the lanes of members whose weights are all finite, else NaN; a round's losses start from there."""
    Z, S, n, bad, before, value = word(P, c.WORKSPACE), word(P, c.SETTINGS), word(P, c.N), word(P, c.BAD), -1, f(0)
    for lane in range(word(P, c.ROW)):
        member = min(i.member_of(lane, S), word(P, c.MEMBERS) - 1)
        if member != before:
            before, value = member, zero_or_nan(Z, bad + word(P, c.ROW), word(P, c.GENOMES), member * n, n)
        put(Z, bad + lane, value)


@njit
def zero_or_nan(Z, at, genomes, start, n):
    """Σ 0·w over a genome: 0, or NaN where a weight is not finite.

    Args:
        Z: address of the workspace.
        at: position of a scratch vector.
        genomes: address of [P, n].
        start: position of the genome.
        n: its length.
    """
    some, rest = broadcast(f(0)), f(0)
    for m in range(start, start + n - n % LANES, LANES):
        some = fma(load(genomes, m), broadcast(f(0)), some)
    store(Z, at, some)
    for m in range(start + n - n % LANES, start + n):
        rest += number(genomes, m) * f(0)
    for k in range(LANES):
        rest += number(Z, at + k)
    return rest


@njit
def conclude(P, p, last):
    """Mean losses, and gradients in the genome's order, of a group of members; NaN where the loss is.

    Args:
        P: address of the call's numbers.
        p: the first member of the group.
        last: behind the last member.
    """
    row, rounds, step = word(P, c.ROW), word(P, c.ROUNDS), LANES if word(P, c.WIDE) else 1
    span = row if word(P, c.SAME_MEMBERS) else LANES
    scale, first = number(P, 2 * c.SCALE), p // (step * row // span) * rounds if word(P, c.SPLIT) else 0
    # Lane v + member (+ step, + 2 step, …) holds a sequence of member p + v // span · step + member. Sums are read for
    # this group alone; with `split` those of all groups lie behind one another, and `first` skips to this one's.
    for v in range(0, row, span):
        for member in range(step):
            target = p + v // span * step + member
            if target < last:
                loss = 0.0
                for lane in range(v + member, v + span, step):
                    for r in range(rounds):
                        loss += double(word(P, c.SUMS), (first + r) * row + lane)
                put(word(P, c.RESULT), target, f(loss * np.float64(scale)))
                if word(P, c.SEGMENT):
                    unpack(
                        P, v // LANES * word(P, c.GRADIENT_STRIDE), member, scale, f(loss * 0.0), target * word(P, c.N)
                    )
    if word(P, c.SEGMENT) and word(P, c.LOOKUPS):
        scatter_lookups(P, p, last, first)


@njit
def unpack(P, at, lane, scale, bad, to):
    """A member's gradient, from packed order to the genome's, scaled.

    Args:
        P: address of the call's numbers.
        at: where the packed gradient begins.
        lane: the member's lane, if wide.
        scale: factor, 1 / steps that count.
        bad: 0, or NaN for a member whose loss is NaN.
        to: where the gradient begins.
    """
    gradient, partial, wide = word(P, c.GRADIENT), word(P, c.PARTIAL), word(P, c.WIDE)
    for m in range(word(P, c.N)):
        k = short_word(word(P, c.POSITIONS), m)
        if k >= 0:
            put(gradient, to + m, number(partial, (at + k) * LANES + lane if wide else at + k) * scale + bad)
        elif bad != bad:
            put(gradient, to + m, bad)


@njit
def lookup_address(P, which):
    """The address of a round's cotangents of looked-up weights."""
    return word(P, c.LOOKUP_COTANGENTS) + 4 * which * word(P, c.STEPS) * word(P, c.LOOKUP_FLOATS)


@njit
def scatter_lookups(P, p, last, first):
    """Add the cotangents of what a group has looked up to the gradients of its classes' weights, time step by time
    step. These weights are in no packed gradient, since most classes don't occur.

    Args:
        P: address of the call's numbers.
        p: the first member of the group.
        last: behind the last member.
        first: the group's first round among those of all groups.
    """
    row, wide, n, scale = word(P, c.ROW), word(P, c.WIDE), word(P, c.N), number(P, 2 * c.SCALE)
    same_members, record, steps = word(P, c.SAME_MEMBERS), record_bytes(P), word(P, c.STEPS)
    for r in range(word(P, c.ROUNDS)):
        for t in range(steps):
            cotangents = lookup_address(P, first + r) + 4 * t * word(P, c.LOOKUP_FLOATS)
            for lane in range(row):
                block, place = lane // LANES, lane % LANES
                target = p + (0 if same_members else block * LANES if wide else block) + (place if wide else 0)
                # the lane's class, from the data: the same for all members if wide, else the lane's own sequence
                if target < last:
                    data = first_record(P, r) + (t + (block * steps if same_members else 0)) * record
                    to = target * n + np.int64(number(data, 0 if wide else place))
                    scatter_lane(P, cotangents + 4 * lane, word(P, c.GRADIENT) + 4 * to, scale)


@njit
def scatter_lane(P, cotangents, gradient, scale):
    """`scatter_lookups` for one lane at one time step.

    Args:
        P: address of the call's numbers.
        cotangents: address of the lane's cotangents, a row apart.
        gradient: address of its member's gradient, at the column of its class.
        scale: factor, 1 / steps that count.
    """
    table, row, classes = word(P, c.LOOKUP_TABLE), word(P, c.ROW), word(P, c.CLASSES)
    for k in range(word(P, c.LOOKUPS)):
        at, rows, offset = word(table, 3 * k), word(table, 3 * k + 1), word(table, 3 * k + 2)
        for unit in range(rows):
            place = at + unit * classes
            put(gradient, place, number(gradient, place) + number(cotangents, (offset + unit) * row) * scale)


@njit
def zero(Z, at, floats):
    """Set floats to 0, a vector at a time.

    Args:
        Z: address.
        at: position of the first one.
        floats: how many.
    """
    for o in range(at, at + floats, LANES):
        store(Z, o, broadcast(f(0)))


@njit
def copy(source, start, to, at, floats):
    """Copy floats, a vector at a time.

    Args:
        source: address.
        start: position in the source.
        to: address.
        at: position there.
        floats: how many.
    """
    for o in range(0, floats, LANES):
        store(to, at + o, load(source, start + o))


@njit
def set_frame(P, place):
    """Set the bases of a step whose frame begins at a position."""
    put_word(word(P, c.BASES), 1, place)
    put_word(word(P, c.BASES), 2, place + word(P, c.FRAME))


# ---- a round of sequences -------------------------------------------------------------------------------------------


@njit
def run_round(P, r, which):
    """All time steps of a round, for one group of members.

    Args:
        P: address of the call's numbers.
        r: the round.
        which: its number among those of all groups.
    """
    Z, row, frame, first = word(P, c.WORKSPACE), word(P, c.ROW), word(P, c.FRAME), word(P, c.FIRST)
    set_frame(P, first)
    run_table(P, c.START)
    # initial states, then those of an earlier call; `begin` computes the output that belongs to them
    if word(P, c.RESUME):
        copy(word(P, c.CARRIED), which * frame, Z, first, frame)
    run_table(P, c.BEGIN)
    zero(Z, word(P, c.TOTAL), row)
    sums = sums_address(P, r, which)
    for lane in range(row):
        put_double(sums, lane, np.float64(number(Z, word(P, c.BAD) + lane)))
    # what the call asks for: sums for a read-out, gradients, or losses and outputs
    if word(P, c.COUNTED) >= 0:
        readout_sums(P, r, which)
    elif word(P, c.SEGMENT):
        gradients(P, r, which)
    else:
        end = forward(P, r, which, 0, word(P, c.STEPS), word(P, c.LOSS), False)
        if word(P, c.CARRY):
            copy(Z, end, word(P, c.CARRIED), which * frame, frame)


@njit
def sums_address(P, r, which):
    """The address of a round's losses, a number for each lane. Without `split` groups reuse the same place, since
    `conclude` has read it before the next group starts.

    Args:
        P: address of the call's numbers.
        r: the round.
        which: its number among those of all groups.
    """
    return word(P, c.SUMS) + 8 * word(P, c.ROW) * (which if word(P, c.SPLIT) else r)


@njit
def gradients(P, r, which):
    """Losses and gradients of a round, segment by segment.

    A segment's frames are stored for its backward sweep. Segments before the last one run forward twice: first to find
    the states at their borders, which are kept in `checkpoints`, then again for their frames. So the frames of one
    segment are stored, and one frame per border.

    Args:
        P: address of the call's numbers.
        r: the round.
        which: its number among those of all groups.
    """
    Z, frame, first, checkpoints = word(P, c.WORKSPACE), word(P, c.FRAME), word(P, c.FIRST), word(P, c.CHECKPOINTS)
    steps, segment = word(P, c.STEPS), word(P, c.SEGMENT)
    zero(word(P, c.GRADIENTS), 0, gradient_floats(P))
    put_word(word(P, c.SETTINGS), i.LOOKUP_COTANGENTS, lookup_address(P, which if word(P, c.SPLIT) else r))
    put_word(word(P, c.BASES), 3, word(P, c.NOW))
    put_word(word(P, c.BASES), 4, word(P, c.OLD))
    zero(Z, word(P, c.NOW), word(P, c.COTANGENTS))
    run_table(P, c.CLEAR)
    # k counts the passes: 0 … segments − 2 are the first forward passes (no loss), then all segments from the last to
    # the first run forward with loss and backward.
    segments = (steps + segment - 1) // segment
    for k in range(2 * segments - 1):
        is_replay = k < segments - 1
        s = k if is_replay else 2 * segments - 2 - k
        t0, t1 = s * segment, min((s + 1) * segment, steps)
        # save the state at the segment's beginning, or return to it
        if is_replay:
            copy(Z, first, checkpoints, s * frame, frame)
        elif s < segments - 1:
            copy(checkpoints, s * frame, Z, first, frame)
        end = forward(P, r, which, t0, t1, NONE if is_replay else word(P, c.LOSS), True)
        if word(P, c.CARRY) and s == segments - 1:
            copy(Z, end, word(P, c.CARRIED), which * frame, frame)
        if is_replay:
            copy(Z, end, Z, first, frame)
        else:
            backward(P, t0, t1 - t0)
    if not word(P, c.RESUME):  # no gradient leaves through a state that was given
        run_table(P, c.FINISH_START)
    run_table(P, c.FINISH)
    keep_gradient(P, r, which)


@njit
def gradient_floats(P):
    """The floats of a group's packed gradient."""
    return (
        word(P, c.GRADIENT_STRIDE)
        * (LANES if word(P, c.WIDE) else 1)
        * (1 if word(P, c.SAME_MEMBERS) else word(P, c.ROW) // LANES)
    )


@njit
def keep_gradient(P, r, which):
    """Add a round's gradient to those of earlier rounds, or store it by itself (`split`).

    Args:
        P: address of the call's numbers.
        r: the round.
        which: its number among those of all groups.
    """
    G, partial, size = word(P, c.GRADIENTS), word(P, c.PARTIAL), gradient_floats(P)
    if word(P, c.SPLIT) or r == 0:
        copy(G, 0, partial, which * size if word(P, c.SPLIT) else 0, size)
    else:
        for k in range(0, size, LANES):
            store(partial, k, load(partial, k) + load(G, k))


@njit
def forward(P, r, which, t0, t1, loss, storing):
    """Time steps of a round.

    Args:
        P: address of the call's numbers.
        r: the round.
        which: its number among those of all groups.
        t0: the first time step.
        t1: behind the last one.
        loss: its number, or NONE.
        storing: leave a frame for each step, with the loss's gradient at its outputs; else two frames alternate.

    Returns:
        The position of the frame after the last step.
    """
    Z, B, row, frame = word(P, c.WORKSPACE), word(P, c.BASES), word(P, c.ROW), word(P, c.FRAME)
    keep, x_row, inputs, record, wide = (
        word(P, c.KEEP),
        word(P, c.X_ROW),
        word(P, c.INPUTS),
        record_bytes(P),
        word(P, c.WIDE),
    )
    data, stride = first_record(P, r), word(P, c.SAME_MEMBERS) * word(P, c.STEPS) * record
    # outputs are only computed where a loss, the caller or the next step reads them
    which_table = c.STEP_READOUT if loss != NONE or keep != 0 or word(P, c.FEEDBACK) != 0 else c.STEP
    code, count, settings = word(P, 2 * which_table), word(P, 2 * which_table + 1), word(P, c.SETTINGS)
    execute, weights, gradient = word(P, c.EXECUTE), word(P, c.PACKED), word(P, c.GRADIENTS)
    sums, cur, nxt = sums_address(P, r, which), word(P, c.FIRST), word(P, c.FIRST) + frame
    for t in range(t0, t1):
        put_word(B, 1, cur)
        put_word(B, 2, nxt)
        load_record(Z, data + t * record, inputs, cur + x_row, stride, row, wide)
        call(execute, code, count, B, Z, weights, gradient, settings)
        if keep:
            size = word(P, c.OUTPUTS) * row
            copy(Z, nxt + word(P, c.Y_ROW), word(P, c.KEPT), (which * word(P, c.STEPS) + t) * size, size)
        if loss != NONE:
            step_losses(P, cur, nxt, data + t * record, stride, which * word(P, c.STEPS) + t, loss, storing)
            if t % c.SPILL == c.SPILL - 1:
                spill(P, sums)
        # the next frame becomes this one; with `storing` frames follow each other, else the old one is overwritten
        cur, nxt = nxt, nxt + frame if storing else cur
    spill(P, sums)
    return cur


@njit
def record_bytes(P):
    """The bytes of a time step's inputs, targets and mask, in one vector of sequences."""
    return 4 * word(P, c.RECORD) * (1 if word(P, c.WIDE) else LANES)


@njit
def first_record(P, r):
    """The address of the first time step of a round's first vector."""
    return word(P, c.DATA) + (r * (word(P, c.ROW) // LANES) if word(P, c.SAME_MEMBERS) else r) * word(
        P, c.STEPS
    ) * record_bytes(P)


@njit
def load_record(Z, data, size, to, stride, row, wide):
    """A step's numbers (inputs, or targets) into rows: of each sequence a lane, or of one sequence for 16 members.

    Args:
        Z: address of the workspace.
        data: address of the numbers in the first vector's record.
        size: how many.
        to: position of the first row.
        stride: bytes to the next vector's record; 0 if all vectors read the same.
        row: floats of a row.
        wide: whether lanes are members.
    """
    for v in range(0, row, LANES):
        for k in range(size):
            store(Z, to + k * row + v, broadcast(number(data, k)) if wide else load(data, k * LANES))
        data += stride


@njit
def step_losses(P, cur, nxt, data, stride, which, loss, storing):
    """Add a step's loss to the row `total`; with `storing` its gradient at the outputs is stored too.

    Args:
        P: address of the call's numbers.
        cur: position of this step's frame.
        nxt: position of the next step's frame, which holds the outputs.
        data: address of the step's record.
        stride: bytes to the next vector's record; 0 if all vectors read the same.
        which: number of the time step among those of all rounds and groups.
        loss: its number.
        storing: whether to store the gradient.
    """
    Z, row, outputs, total, scratch = (
        word(P, c.WORKSPACE),
        word(P, c.ROW),
        word(P, c.OUTPUTS),
        word(P, c.TOTAL),
        word(P, c.TARGET),
    )
    y, e = nxt + word(P, c.Y_ROW), (nxt if word(P, c.E_BASE) else cur) + word(P, c.E_ROW)
    by = 0 if word(P, c.WIDE) else LANES
    at, counts = word(P, c.INPUTS) * (by or 1), (word(P, c.RECORD) - 1) * (by or 1)
    levels = word(P, c.OUTSIDE)
    for v in range(0, row, LANES):
        if loss == EXTERNAL:
            outside = word(P, c.OUTSIDE) + 4 * (which * outputs * row + v)
            store_external(Z, outside, outputs, row, e + v)
        else:
            add_loss(loss, Z, y + v, data, at, by, counts, outputs, row, scratch, levels, total + v)
            if storing:
                store_gradient(loss, Z, y + v, data, at, by, counts, outputs, row, scratch, levels, e + v)
        data += stride


@njit
def spill(P, sums):
    """Add the row `total` to the sums in double precision and set it to 0: single precision adds up only `SPILL`
    steps."""
    Z, row, total = word(P, c.WORKSPACE), word(P, c.ROW), word(P, c.TOTAL)
    for lane in range(row):
        put_double(sums, lane, double(sums, lane) + np.float64(number(Z, total + lane)))
    zero(Z, total, row)


@njit
def backward(P, t0, steps):
    """The backward sweep over a segment's frames. Every `MAX_PRODUCT_STEPS` steps, while their frames are in the cache,
    it adds the weights' gradients from the gates that the sweep has left there.

    Args:
        P: address of the call's numbers.
        t0: the segment's first time step.
        steps: its length.
    """
    frame, first, B = word(P, c.FRAME), word(P, c.FIRST), word(P, c.BASES)
    for end in range(steps, 0, -c.MAX_PRODUCT_STEPS):
        begin = max(0, end - c.MAX_PRODUCT_STEPS)
        for t in range(end - 1, begin - 1, -1):
            set_frame(P, first + t * frame)
            run_table(P, c.BACK)
            # what was the cotangent of the previous states is that of the new ones, one step earlier
            now = word(B, 3)
            put_word(B, 3, word(B, 4))
            put_word(B, 4, now)
        set_frame(P, first + begin * frame)
        put_word(word(P, c.SETTINGS), i.STEPS, end - begin)
        put_word(word(P, c.SETTINGS), i.FIRST_STEP, t0 + begin)
        run_table(P, c.PRODUCTS)


# ---- sums for a read-out --------------------------------------------------------------------------------------------


@njit
def readout_sums(P, r, which):
    """Σ [h, 1, y][h, 1]ᵀ over the steps that count, in double precision.

    Args:
        P: address of the call's numbers.
        r: the round.
        which: its number among those of all groups.
    """
    Z, S, G, partial = word(P, c.WORKSPACE), word(P, c.SETTINGS), word(P, c.GRADIENTS), word(P, c.PARTIAL)
    steps, first, frame = word(P, c.STEPS), word(P, c.FIRST), word(P, c.FRAME)
    size = gradient_floats(P)
    for k in range(which * size, (which + 1) * size):
        put_double(partial, k, 0.0)
    for t0 in range(0, steps, c.MAX_PRODUCT_STEPS):
        t1 = min(t0 + c.MAX_PRODUCT_STEPS, steps)
        end = teacher_forcing(P, r, t0, t1)
        set_frame(P, first)
        put_word(S, i.STEPS, t1 - t0)
        zero(G, 0, size)
        run_table(P, c.PRODUCTS)
        for k in range(size):
            put_double(partial, which * size + k, double(partial, which * size + k) + np.float64(number(G, k)))
        copy(Z, end, Z, first, frame)


@njit
def teacher_forcing(P, r, t0, t1):
    """Time steps that leave a frame each and feed back the targets: a read-out that is not solved yet has no outputs.

    Args:
        P: address of the call's numbers.
        r: the round.
        t0: the first time step.
        t1: behind the last one.

    Returns:
        The position of the frame after the last step.
    """
    Z, row, wide, frame, cur = word(P, c.WORKSPACE), word(P, c.ROW), word(P, c.WIDE), word(P, c.FRAME), word(P, c.FIRST)
    record, last = record_bytes(P), 4 * (1 if wide else LANES)
    targets = word(P, c.INPUTS) * last
    data, stride = first_record(P, r), word(P, c.SAME_MEMBERS) * word(P, c.STEPS) * record
    for t in range(t0, t1):
        set_frame(P, cur)
        load_record(Z, data + t * record, word(P, c.INPUTS), cur + word(P, c.X_ROW), stride, row, wide)
        run_table(P, c.STEP)
        load_record(
            Z, data + t * record + targets, word(P, c.OUTPUTS), cur + frame + word(P, c.Y_ROW), stride, row, wide
        )
        load_record(Z, data + (t + 1) * record - last, 1, cur + word(P, c.COUNTED), stride, row, wide)
        run_table(P, c.READOUT)
        cur += frame
    return cur
