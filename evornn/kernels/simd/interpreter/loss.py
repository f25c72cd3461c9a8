"""Losses of one time step over O output rows, and their gradients. The loss is an argument, not a variant to compile.

`y` is a position in the workspace Z, whose rows are `row` floats apart. Targets are read in the caller's data: from
`at` in T, for each output a vector, `by` floats apart, or (`by` is 0) one number for all lanes. A class index is one
such target (`CLASSES`); `counts` in T is whether the step counts. Vectors are not passed between functions, since numba
passes them through memory.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.kernels.simd.interpreter import functions
from evornn.kernels.simd.interpreter.vector import LANES, absolute, broadcast, load, numba_function, number, put, store
from evornn.kernels.simd.interpreter.vector import fma as fused

MAE, POISSON, QUANTILE = 8, 9, 10  # above all numbers of losses with CLASSES
LOSS_NUMBERS = {
    "mse": 0,
    "cross_entropy": 1,
    "binary_cross_entropy": 2,
    "zero_one": 3,
    "mae": MAE,
    "poisson": POISSON,
    "quantile": QUANTILE,
}
CLASSES = 4  # added to a loss whose targets are class indices
NONE, EXTERNAL = -1, -2  # no loss; gradients at the outputs come from outside
f = np.float32
njit = nb.njit(error_model="numpy", _nrt=False)
exp, log, sigmoid, softplus, negative, magnitude = (
    numba_function(x, 1)
    for x in (functions.exp, functions.log, functions.sigmoid, functions.softplus, lambda x: -x, absolute)
)
largest, above, equal = (numba_function(x, 2) for x in (functions.largest, functions.greater, functions.equal))
fma, choose = numba_function(fused, 3), numba_function(functions.choose, 3)


@njit
def target(T, at, by, o):
    """The targets of output o.

    Args:
        T: address of the record.
        at: position of the targets.
        by: floats from one output to the next; 0: one number for all lanes.
        o: the output.
    """
    return load(T, at + o * by) if by else broadcast(number(T, at + o))


@njit
def add_loss(kind, Z, y, T, at, by, counts, outputs, row, scratch, levels, total):
    """Add the loss of a step in each lane to a vector of the workspace.

    Args:
        kind: number of the loss.
        Z: address of the workspace.
        y: position of the outputs.
        T: address of the record.
        at: position of the targets.
        by: floats from one target to the next; 0: one number for all lanes.
        counts: position of the mask.
        outputs: O.
        row: floats of a row.
        scratch: position of two scratch rows.
        levels: address of the level of each output, for the loss QUANTILE.
        total: position of the vector.
    """
    if kind == 0:
        part = broadcast(f(0))
        for o in range(outputs):
            e = load(Z, y + o * row) - target(T, at, by, o)
            part = fma(e, e, part)
        part = part * broadcast(f(1) / f(outputs))
    else:
        part = other_loss(kind, Z, y, T, at, by, outputs, row, scratch, levels)
    store(Z, total, load(Z, total) + choose(target(T, counts, by, 0), part, broadcast(f(0))))


@njit
def other_loss(kind, Z, y, T, at, by, outputs, row, scratch, levels):
    """The loss of a step in each lane, of all but mse.

    Args:
        kind: number of the loss.
        Z: address of the workspace.
        y: position of the outputs.
        T: address of the record.
        at: position of the targets.
        by: floats from one target to the next; 0: one number for all lanes.
        outputs: O.
        row: floats of a row.
        scratch: position of two scratch rows.
        levels: address of the level of each output, for the loss QUANTILE.
    """
    total = broadcast(f(0))
    # cross-entropy as Σ target·(log Σ eʸ − y); binary cross-entropy as softplus(y) − target·y
    if kind == 1:
        top = log_sum_exp(Z, y, outputs, row)
        for o in range(outputs):
            total = fma(target(T, at, by, o), top - load(Z, y + o * row), total)
        return total
    if kind == 2:
        for o in range(outputs):
            v = load(Z, y + o * row)
            total = total + fma(negative(target(T, at, by, o)), v, softplus(v))
        return total * broadcast(f(1) / f(outputs))
    if kind >= MAE:
        for o in range(outputs):
            v, t = load(Z, y + o * row), target(T, at, by, o)
            if kind == QUANTILE:  # of level q: |e|/2 + (1/2 − q) e
                total = fma(
                    broadcast(f(0.5) - number(levels, o)), v - t, fma(broadcast(f(0.5)), magnitude(v - t), total)
                )
            else:
                total = total + (magnitude(v - t) if kind == MAE else fma(negative(t), v, exp(v)))
        return total * broadcast(f(1) / f(outputs))
    if kind == 1 + CLASSES:
        return log_sum_exp(Z, y, outputs, row) - class_outputs(Z, y, target(T, at, by, 0), row, scratch)
    return zero_one_loss(kind, Z, y, T, at, by, outputs, row)


@njit
def store_gradient(kind, Z, y, T, at, by, counting, outputs, row, scratch, levels, to):
    """Store the gradient of a step's loss at `to`, which may be `y`; 0 where the step does not count.

    Args:
        kind: number of the loss.
        Z: address of the workspace.
        y: position of the outputs.
        T: address of the record.
        at: position of the targets.
        by: floats from one target to the next; 0: one number for all lanes.
        counting: position of the mask.
        outputs: O.
        row: floats of a row.
        scratch: position of two scratch rows.
        levels: address of the level of each output, for the loss QUANTILE.
        to: position of the result.
    """
    zero, counts = broadcast(f(0)), target(T, counting, by, 0)
    if kind == 0:
        scale = broadcast(f(2) / f(outputs))
        for o in range(outputs):
            store(Z, to + o * row, choose(counts, (load(Z, y + o * row) - target(T, at, by, o)) * scale, zero))
    elif kind == 1:
        top, mass = log_sum_exp(Z, y, outputs, row), zero
        for o in range(outputs):
            mass = mass + target(T, at, by, o)
        for o in range(outputs):
            part = fma(exp(load(Z, y + o * row) - top), mass, negative(target(T, at, by, o)))
            store(Z, to + o * row, choose(counts, part, zero))
    elif kind == 2:
        scale = broadcast(f(1) / f(outputs))
        for o in range(outputs):
            part = (sigmoid(load(Z, y + o * row)) - target(T, at, by, o)) * scale
            store(Z, to + o * row, choose(counts, part, zero))
    elif kind == MAE:
        scale = broadcast(f(1) / f(outputs))
        for o in range(outputs):
            e = load(Z, y + o * row) - target(T, at, by, o)
            store(Z, to + o * row, choose(counts, (above(e, zero) - above(zero, e)) * scale, zero))
    elif kind == QUANTILE:
        scale, half = broadcast(f(1) / f(outputs)), broadcast(f(0.5))
        for o in range(outputs):
            e = load(Z, y + o * row) - target(T, at, by, o)
            part = fma(half, above(e, zero) - above(zero, e), broadcast(f(0.5) - number(levels, o)))
            store(Z, to + o * row, choose(counts, part * scale, zero))
    elif kind == POISSON:
        scale = broadcast(f(1) / f(outputs))
        for o in range(outputs):
            part = (exp(load(Z, y + o * row)) - target(T, at, by, o)) * scale
            store(Z, to + o * row, choose(counts, part, zero))
    else:
        # softmax, then minus 1 at each lane's class
        top = log_sum_exp(Z, y, outputs, row)
        for o in range(0, outputs * row, row):
            store(Z, to + o, choose(counts, exp(load(Z, y + o) - top), zero))
        store(Z, scratch, target(T, at, by, 0))
        store(Z, scratch + LANES, counts)
        for lane in range(LANES):
            k = to + np.int64(number(Z, scratch + lane)) * row + lane
            put(Z, k, number(Z, k) - f(number(Z, scratch + LANES + lane) > f(0)))


@njit
def store_external(Z, outside, outputs, row, to):
    """Store gradients at the outputs that the caller gives.

    Args:
        Z: address of the workspace.
        outside: address of the gradients, a row for each output.
        outputs: O.
        row: floats of a row.
        to: position of the result.
    """
    for o in range(0, outputs * row, row):
        store(Z, to + o, load(outside, o))


@njit
def log_sum_exp(Z, y, outputs, row):
    """log Σ eʸ over the outputs, in each lane.

    Args:
        Z: address of the workspace.
        y: position of the outputs.
        outputs: O.
        row: floats of a row.
    """
    high = load(Z, y)
    for o in range(row, outputs * row, row):
        high = largest(high, load(Z, y + o))
    total = broadcast(f(0))
    for o in range(0, outputs * row, row):
        total = total + exp(load(Z, y + o) - high)
    return high + log(total)


@njit
def class_outputs(Z, y, classes, row, scratch):
    """Each lane's output at its class.

    Args:
        Z: address of the workspace.
        y: position of the outputs.
        classes: vector of class indices.
        row: floats of a row.
        scratch: position of a scratch row.
    """
    store(Z, scratch, classes)
    for lane in range(LANES):
        put(Z, scratch + lane, number(Z, y + np.int64(number(Z, scratch + lane)) * row + lane))
    return load(Z, scratch)


@njit
def zero_one_loss(kind, Z, y, T, at, by, outputs, row):
    """1 where the decision is wrong: the largest output, or the sign of the one output.

    Args:
        kind: number of the loss.
        Z: address of the workspace.
        y: position of the outputs.
        T: address of the record.
        at: position of the targets.
        by: floats from one target to the next; 0: one number for all lanes.
        outputs: O.
        row: floats of a row.
    """
    first, bad, zero = load(Z, y), broadcast(f(0)) * load(Z, y), broadcast(f(0))
    one, expected = broadcast(f(1)), target(T, at, by, 0)
    if outputs == 1:
        right = choose(broadcast(f(kind >= CLASSES)), equal(expected, expected), above(expected, broadcast(f(0.5))))
        return bad + (one - equal(above(first, zero), right))
    # argmax of the outputs, the first of equals; `bad` becomes NaN if an output is not finite
    chosen = zero
    for o in range(1, outputs):
        v = load(Z, y + o * row)
        chosen, first = choose(above(v, first), broadcast(f(o)), chosen), largest(v, first)
        bad = fma(zero, v, bad)
    if kind >= CLASSES:
        return bad + (one - equal(chosen, expected))
    right = zero
    for o in range(1, outputs):
        u = target(T, at, by, o)
        right, expected = choose(above(u, expected), broadcast(f(o)), right), largest(u, expected)
    return bad + (one - equal(chosen, right))
