"""The interpreter: one compiled function that executes any program on rows of vectors.

An instruction is WORDS integers: the operation, how many rows it computes, where (`to`), a position of weights, and
four operands of two numbers each. An address is a position in the workspace, times 8, plus the number of the base that
it counts from. The second number of an elementwise operand is a mask: −1 for a value with a row for each row of the
result, else that of one row's positions, so that one row serves all. An instruction works on all rows of a value, so
decoding it is paid once for some dozens of vectors.

For the short names see the package's docstring; here also: w and g are positions in packed weights and gradient, n is
the number of an affine map's sources.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evornn.kernels.simd.interpreter.operations import EMITTERS, OPCODES
from evornn.kernels.simd.interpreter.tiles import add_lanes, outer, tile
from evornn.kernels.simd.interpreter.vector import (
    I64,
    LANES,
    Vector,
    broadcast,
    load,
    numba_function,
    number,
    pointer,
    put,
    store,
    word,
)
from evornn.kernels.simd.interpreter.vector import fma as fused

njit = nb.njit(error_model="numpy", _nrt=False)
f = np.float32
WORDS = 12
ELEMENTWISE = OPCODES
AFFINE = -(-len(ELEMENTWISE) // 2) * 2  # one source; then: one source, accumulating; two sources; …
NAMES = ("weight", "outer", "dot", "product", "total", "vector", "lookup", "lookup_back")
OTHERS = {name: AFFINE + 8 + k for k, name in enumerate(NAMES)}
WEIGHT, OUTER, DOT, PRODUCT, TOTAL, VECTOR, LOOKUP, LOOKUP_BACK = OTHERS.values()
# the settings, S:
(
    ROW,  # floats of a row
    SPAN,  # those of it that belong to the same member (or 16, if wide)
    WIDE,  # 1: lanes run across members
    WEIGHT_STRIDE,  # distance to the weights of the next vector's member; 0 where all vectors have the same members
    GRADIENT_STRIDE,  # distance to its gradient
    STEPS,  # time steps of a product
    FRAME,  # floats from one time step to the next
    GENOMES,  # address of [P, n]
    N,  # n
    MEMBER,  # the first member of the row
    LAST,  # behind the last member
    ONES,  # position of a row of ones
    LOOKUP_COTANGENTS,  # address of a round's cotangents of looked-up weights
    LOOKUP_FLOATS,  # of one time step of these
    FIRST_STEP,  # time step at which a product begins
) = range(15)
SETTINGS = 16
fma = numba_function(fused, 3)


@njit
def zero_vector():
    """0 in every lane."""
    return broadcast(f(0))


def _emit_elementwise(b: Any, function: Any, Z: Any, count: Any, to: Any, k: Any, B: Any) -> None:
    """Write code that applies a function to `count` floats; k is the instruction's address."""

    def number_at(base: Any, position: Any) -> Any:
        return b.load(pointer(b, base, position, I64))

    # decode the operands: position (base + offset) and mask of each
    places, masks = [], []
    for j in range(function.__code__.co_argcount):
        where, mask = (number_at(k, ir.Constant(I64, 2 * (4 + 2 * j + part))) for part in (0, 1))
        base = number_at(B, b.shl(b.and_(where, ir.Constant(I64, 7)), ir.Constant(I64, 1)))
        places.append(b.add(base, b.ashr(where, ir.Constant(I64, 3))))
        masks.append(mask)

    # some vectors from offset o on; an operand's offset is masked, so that a single row repeats
    def compute(o: Any, vectors: int) -> None:
        shifted = [b.add(o, ir.Constant(I64, v * LANES)) for v in range(vectors)]
        at = [[b.add(place, b.and_(s, mask)) for place, mask in zip(places, masks, strict=True)] for s in shifted]
        values = [[Vector(b, b.load(pointer(b, Z, place), align=4)) for place in row] for row in at]
        results = [function(*row).value for row in values]
        for s, result in zip(shifted, results, strict=True):
            b.store(result, pointer(b, Z, b.add(to, s)), align=4)

    # four vectors at a time, then one: independent chains hide the latency of an operation
    unrolled = b.and_(count, ir.Constant(I64, -4 * LANES))
    with cgutils.for_range_slice(b, ir.Constant(I64, 0), unrolled, ir.Constant(I64, 4 * LANES)) as (o, _):
        compute(o, 4)
    with cgutils.for_range_slice(b, unrolled, count, ir.Constant(I64, LANES)) as (o, _):
        compute(o, 1)


@intrinsic  # type: ignore[untyped-decorator]
def elementwise(typing: Any, op: Any, Z: Any, count: Any, to: Any, k: Any, B: Any) -> Any:
    """One of `operations.EMITTERS`, chosen by a switch.

    Args:
        typing: numba's typing context.
        op: its number.
        Z: address of the workspace.
        count: floats to compute.
        to: position of the result.
        k: address of the instruction, which has the operands.
        B: address of the bases.
    """

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        op, Z, count, to, k, B = args
        end = b.append_basic_block("end")
        choice = b.switch(op, end)
        for name, function in EMITTERS.items():
            block = b.append_basic_block(name)
            choice.add_case(ir.Constant(I64, OPCODES[name]), block)
            b.position_at_end(block)
            _emit_elementwise(b, function, Z, count, to, k, B)
            b.branch(end)
        b.position_at_end(end)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), code


@njit
def execute(code, count, B, Z, W, G, S):
    """Execute a table.

    Args:
        code: address of the first instruction.
        count: how many.
        B: address of the bases.
        Z: address of the workspace.
        W: address of the packed weights.
        G: address of the packed gradient.
        S: address of the settings.
    """
    row = word(S, ROW)
    for k in range(code, code + count * (8 * WORDS), 8 * WORDS):
        op, rows = word(k, 0), word(k, 1)
        to = resolve(B, word(k, 2))
        # elementwise operations, then affine maps (by sources and accumulation), then all others
        if op < AFFINE:
            elementwise(op, Z, rows * row, to, k, B)
        elif op < WEIGHT:
            affine(Z, W, word(k, 3), to, rows, k + 32, op // 2 - AFFINE // 2 + 1, B, S, op & 1)
        else:
            execute_other(op, k, rows, to, B, Z, W, G, S)


@njit
def resolve(B, address):
    """An address as a position in the workspace."""
    return word(B, address & 7) + (address >> 3)


@njit
def execute_other(op, k, rows, to, B, Z, W, G, S):
    """Operations that are rare or long.

    Args:
        op: the operation.
        k: address of the instruction.
        rows: rows of the result.
        to: position of the result.
        B: address of the bases.
        Z: address of the workspace.
        W: address of the packed weights.
        G: address of the packed gradient.
        S: address of the settings.
    """
    at, a, m, b, n = word(k, 3), resolve(B, word(k, 4)), word(k, 5), resolve(B, word(k, 6)), word(k, 7)
    row = word(S, ROW)
    if op == PRODUCT:
        product(Z, a, m, b, n, G, at, S)
    elif op == TOTAL:
        total(Z, a, m, G, at, S)
    elif op == WEIGHT:
        load_weights(Z, W, at, to, rows, S)
    elif op == OUTER:
        # all products of a row of `a` and a row of `b`
        p, count, stride = to, word(k, 10), word(k, 11)
        for i in range(a, a + rows // count * row, row):
            for j in range(count):
                for v in range(0, row, LANES):
                    store(Z, p + v, load(Z, i + v) * load(Z, b + j * stride + v))
                p += row
    elif op == DOT:
        # to[i] = Σⱼ a[i·first + j·second]·b[j·other], strides in floats
        first, other, count, second = word(k, 8), word(k, 9), word(k, 10), word(k, 11)
        for i in range(rows):
            for v in range(0, row, LANES):
                s = zero_vector()
                for j in range(count):
                    s = fma(load(Z, a + i * first + j * second + v), load(Z, b + j * other + v), s)
                store(Z, to + i * row + v, s)
    elif op == VECTOR:
        vector_gradient(Z, a, rows, G, at, S)
    elif op == LOOKUP:
        lookup(Z, to, rows, a, at, word(k, 11), S)
    else:
        lookup_back(Z, to, rows, word(k, 11), S)


# ---- products -------------------------------------------------------------------------------------------------------

TILES_OF_ONE = tile(16, 1), tile(8, 1), tile(1, 1)  # for rows of one and of two vectors, as in `tiles.HEIGHTS`
TILES_OF_TWO = tile(8, 2), tile(1, 2)
ONE_16, ONE_8, ONE_1, TWO_8, TWO_1 = *TILES_OF_ONE, *TILES_OF_TWO
OUTER_4X4, OUTER_8X1 = outer(4, 4), outer(8, 1)


@njit
def affine(Z, W, w, to, rows, sources, n, B, S, add):
    """The rows of a product, tile by tile. Two vectors of a row are computed together: further sequences of one member,
    or those of another one with weights of its own.

    Args:
        Z: address of the workspace.
        W: address of the packed weights.
        w: position of the product's weights.
        to: position of the result.
        rows: its rows.
        sources: address of the operands in the instruction.
        n: how many sources.
        B: address of the bases.
        S: address of the settings.
        add: whether to add to the result's content, without bias.
    """
    wide, weight_stride, end = word(S, WIDE), word(S, WEIGHT_STRIDE), to + rows * word(S, ROW)
    # Tiles as in `tiles.heights`, in the order in which the weights are packed: as high as possible, where the last one
    # may be up to four rows higher than what is left (results have room for that).
    if word(S, ROW) == LANES:
        while end - to >= 12 * LANES:
            w = ONE_16(Z, W, w, 0, wide, to, sources, n, B, add)
            to += 16 * LANES
        while end - to >= 4 * LANES:
            w = ONE_8(Z, W, w, 0, wide, to, sources, n, B, add)
            to += 8 * LANES
        while to < end:
            w = ONE_1(Z, W, w, 0, wide, to, sources, n, B, add)
            to += LANES
    else:
        while end - to >= 8 * LANES:
            w = TWO_8(Z, W, w, weight_stride, wide, to, sources, n, B, add)
            to += 16 * LANES
        while to < end:
            w = TWO_1(Z, W, w, weight_stride, wide, to, sources, n, B, add)
            to += 2 * LANES


@njit
def product(Z, d, rows, z, columns, G, g, S):
    """Σₜ D[t, row]·Z[t, column] to a gradient, in the order of `weights.product_positions`, for each member of the row.

    Args:
        Z: address of the workspace.
        d: position of the first rows D.
        rows: how many.
        z: position of the second rows, the columns of the result.
        columns: how many.
        G: address of the packed gradient.
        g: position of the result there.
        S: address of the settings.
    """
    row, span, wide, step, steps = word(S, ROW), word(S, SPAN), word(S, WIDE), word(S, FRAME), word(S, STEPS)
    tiled = columns - columns % 4
    # tiles of four by four, then the columns that are left, eight rows at a time
    for v in range(0, row, span):
        at = g + v // LANES * word(S, GRADIENT_STRIDE)
        for p in range(d + v, d + v + rows * row, 4 * row):
            for q in range(z + v, z + v + tiled * row, 4 * row):
                OUTER_4X4(Z, p, q, step, step, steps, span, row, wide, G, at)
                at += 16
        for q in range(z + v + tiled * row, z + v + columns * row, row):
            for p in range(d + v, d + v + rows * row, 8 * row):
                OUTER_8X1(Z, p, q, step, step, steps, span, row, wide, G, at)
                at += 8


@njit
def total(Z, d, rows, G, g, S):
    """Σₜ D[t, row], for biases; its positions are those of one column of `product`.

    Args:
        Z: address of the workspace.
        d: position of the rows D.
        rows: how many.
        G: address of the packed gradient.
        g: position of the result there.
        S: address of the settings.
    """
    row, span, wide, step, steps = word(S, ROW), word(S, SPAN), word(S, WIDE), word(S, FRAME), word(S, STEPS)
    for v in range(0, row, span):
        at = g + v // LANES * word(S, GRADIENT_STRIDE)
        for p in range(d + v, d + v + rows * row, 8 * row):
            OUTER_8X1(Z, p, word(S, ONES), step, 0, steps, span, row, wide, G, at)
            at += 8


@njit
def vector_gradient(Z, a, rows, G, g, S):
    """Add the cotangent of a vector of parameters to its gradient: the sum over the lanes of each member.

    Args:
        Z: address of the workspace.
        a: position of the cotangent.
        rows: how many.
        G: address of the packed gradient.
        g: position of the result there.
        S: address of the settings.
    """
    row, span, wide = word(S, ROW), word(S, SPAN), word(S, WIDE)
    for v in range(0, row, span):
        at = g + v // LANES * word(S, GRADIENT_STRIDE)
        for p in range(a + v, a + v + rows * row, row):
            s = zero_vector()
            for u in range(p, p + span, LANES):
                s = s + load(Z, u)
            if wide:
                store(G, at * LANES, load(G, at * LANES) + s)
            else:
                add_lanes(G, at, s)
            at += 1


@njit
def load_weights(Z, W, w, to, rows, S):
    """A vector of parameters into rows.

    Args:
        Z: address of the workspace.
        W: address of the packed weights.
        w: position of the vector.
        to: position of the result.
        rows: how many.
        S: address of the settings.
    """
    row, wide, weight_stride = word(S, ROW), word(S, WIDE), word(S, WEIGHT_STRIDE)
    for r in range(rows):
        for v in range(0, row, LANES):
            m = w + r + v // LANES * weight_stride
            store(Z, to + r * row + v, load(W, m * LANES) if wide else broadcast(number(W, m)))


# ---- class indices as inputs ----------------------------------------------------------------------------------------


@njit
def member_of(lane, S):
    """The member that a lane belongs to."""
    block = lane // LANES if word(S, SPAN) < word(S, ROW) else 0
    return word(S, MEMBER) + (block * LANES + lane % LANES if word(S, WIDE) else block)


@njit
def lookup(Z, to, rows, x, at, classes, S):
    """Add to each lane the weights [rows, classes] of its class, read from the genome: most classes don't occur, so
    these weights are not packed.

    Args:
        Z: address of the workspace.
        to: position of the result.
        rows: how many.
        x: position of the row of class indices.
        at: position of the weights in a genome.
        classes: columns of the weights.
        S: address of the settings.
    """
    row, genomes, n, last = word(S, ROW), word(S, GENOMES), word(S, N), word(S, LAST)
    for lane in range(row):
        place = min(member_of(lane, S), last - 1) * n + at + np.int64(number(Z, x + lane))
        for r in range(rows):
            k = to + r * row + lane
            put(Z, k, number(Z, k) + number(genomes, place + r * classes))


@njit
def lookup_back(Z, d, rows, offset, S):
    """Keep the cotangents of looked-up weights, of all time steps; `driver.scatter_lookups` adds them to the gradients.

    Args:
        Z: address of the workspace.
        d: position of the cotangents in the first frame.
        rows: how many.
        offset: rows of the maps before, which look up too.
        S: address of the settings.
    """
    row, step, steps, floats = word(S, ROW), word(S, FRAME), word(S, STEPS), word(S, LOOKUP_FLOATS)
    for t in range(steps):
        to = (word(S, FIRST_STEP) + t) * floats + offset * row
        for k in range(0, rows * row, LANES):
            store(word(S, LOOKUP_COTANGENTS), to + k, load(Z, d + t * step + k))
