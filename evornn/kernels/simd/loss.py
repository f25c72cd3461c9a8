"""Losses of one time step over O output rows, and their gradients; the loss is an input, not a variant to compile.

`y` and `target` are positions in the workspace Z, rows are `step` floats apart. What is summed over is left to the
caller.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.kernels.simd.functions import exp, log, sigmoid, softplus
from evornn.kernels.simd.vector import above, choose, equal, fma, largest, load, splat, store

NUMBERS = {"mse": 0, "cross_entropy": 1, "binary_cross_entropy": 2, "zero_one": 3}
f = np.float32
njit = nb.njit(_nrt=False)


@njit
def step_loss(kind, Z, y, target, outputs, step):
    """The loss of this step in each lane."""
    total = splat(f(0))
    if kind == 0:
        for o in range(0, outputs * step, step):
            e = load(Z, y + o) - load(Z, target + o)
            total = fma(e, e, total)
        return total * splat(f(1) / f(outputs))
    if kind == 1:
        top = _log_sum_exp(Z, y, outputs, step)
        for o in range(0, outputs * step, step):
            total = fma(load(Z, target + o), top - load(Z, y + o), total)
        return total
    if kind == 2:
        for o in range(0, outputs * step, step):
            v = load(Z, y + o)
            total = total + fma(-load(Z, target + o), v, softplus(v))
        return total * splat(f(1) / f(outputs))
    return _wrong(Z, y, target, outputs, step)


@njit
def step_gradient(kind, Z, y, target, to, outputs, step, counts):
    """Store the gradient of `step_loss` at `to`: 0 where `counts` is 0."""
    zero = splat(f(0))
    if kind == 0:
        scale = splat(f(2) / f(outputs))
        for o in range(0, outputs * step, step):
            store(Z, to + o, choose(counts, (load(Z, y + o) - load(Z, target + o)) * scale, zero))
    elif kind == 1:
        top, mass = _log_sum_exp(Z, y, outputs, step), zero
        for o in range(0, outputs * step, step):
            mass = mass + load(Z, target + o)
        for o in range(0, outputs * step, step):
            part = fma(exp(load(Z, y + o) - top), mass, -load(Z, target + o))
            store(Z, to + o, choose(counts, part, zero))
    else:
        scale = splat(f(1) / f(outputs))
        for o in range(0, outputs * step, step):
            store(Z, to + o, choose(counts, (sigmoid(load(Z, y + o)) - load(Z, target + o)) * scale, zero))


@njit
def _log_sum_exp(Z, y, outputs, step):
    high = load(Z, y)
    for o in range(step, outputs * step, step):
        high = largest(high, load(Z, y + o))
    total = splat(f(0))
    for o in range(0, outputs * step, step):
        total = total + exp(load(Z, y + o) - high)
    return high + log(total)


@njit
def _wrong(Z, y, target, outputs, step):
    """1 where the decision is wrong: the largest output, or whether the one output is above 0."""
    first, wanted, bad = load(Z, y), load(Z, target), splat(f(0)) * load(Z, y)
    if outputs == 1:
        return bad + (splat(f(1)) - equal(above(first, splat(f(0))), above(wanted, splat(f(0.5)))))
    chosen = splat(f(0))
    right = splat(f(0))
    for o in range(1, outputs):
        v, u = load(Z, y + o * step), load(Z, target + o * step)
        number = splat(f(o))
        chosen, first = choose(above(v, first), number, chosen), largest(v, first)
        right, wanted = choose(above(u, wanted), number, right), largest(u, wanted)
        bad = fma(splat(f(0)), v, bad)
    return bad + (splat(f(1)) - equal(chosen, right))
