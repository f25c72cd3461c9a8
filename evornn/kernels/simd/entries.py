"""The parts of a generated module that are the same for every cell: its imports and its entry functions."""

HEAD = '''"""{title}"""
from numba import njit as compile_
from numpy import empty
from numpy import float32 as f
from evornn.kernels.simd.functions import every, exp, relu, sigmoid, tanh, where
from evornn.kernels.simd.lanes import {weight} as weight, {given} as given
from evornn.kernels.simd.lanes import {sum_1} as add_sum, {sum_8} as add_sums_of_8, {sum_16} as add_sums_of_16
from evornn.kernels.simd.loss import step_gradient, step_loss
from evornn.kernels.simd.support import MEMBERS_{ACROSS} as MEMBERS, copy, spill, zero
from evornn.kernels.simd.support import pack_{across} as pack, report_{across} as report, unpack_{across} as unpack
from evornn.kernels.simd.vector import LANES, above, choose, fma, load, splat, store
njit = compile_(error_model="numpy", nogil=True)
entry = compile_(error_model="numpy", nogil=True, cache=True)
'''
ACROSS = {
    "batch": {
        "weight": "weight_of_one", "given": "given_to_lanes",
        "sum_1": "sum_1_over_lanes", "sum_8": "sum_8_over_lanes", "sum_16": "sum_16_over_lanes",
    },
    "members": {
        "weight": "weight_of_lanes", "given": "given_to_all", "sum_1": "keep_1", "sum_8": "keep_8", "sum_16": "keep_16",
    },
}  # fmt: skip
ENTRIES = (
    """
@entry
def losses(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, loss, count, Z, W, result,
           keep, kept, frame, resume, carried):
    sums = empty(LANES)
    for p in range(first, last, MEMBERS):
        pack(genomes, p, last, index, template, W, sums)
        static(Z, W, T, layers)
        for b in range(blocks):
            start(Z, W, T, layers)
            number = p // MEMBERS * blocks + b
            if resume:
                copy(carried, number * frame, Z, 0, frame)
            at = number * steps if keep else -1
            cur = forward(Z, W, T, layers, 0, False, X, Y, M, b, steps, 0, steps, loss, sums, at, kept)
            if keep:
                copy(Z, cur, carried, number * frame, frame)
        report(sums, count, result, p, last)
""".strip(),
    """
@entry
def gradients(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, loss, count, Z, W, result,
              segment, checkpoints, frame, d_here, d_there, d_floats, G, positions, gradient):
    sums = empty(LANES)
    segments = (steps + segment - 1) // segment
    for p in range(first, last, MEMBERS):
        pack(genomes, p, last, index, template, W, sums)
        static(Z, W, T, layers)
        clear(Z, T, layers)
        G[:] = 0
        for b in range(blocks):
            start(Z, W, T, layers)
            now, old = d_here, d_there
            zero(Z, now, d_floats // LANES)
            for k in range(2 * segments - 1):  # there, keeping the states at the borders of segments, and back
                ahead = k < segments - 1
                s = k if ahead else 2 * segments - 2 - k
                t0, t1 = s * segment, min((s + 1) * segment, steps)
                if ahead:
                    copy(Z, 0, checkpoints, s * frame, frame)
                elif s < segments - 1:
                    copy(checkpoints, s * frame, Z, 0, frame)
                wanted = -1 if ahead else loss
                cur = forward(Z, W, T, layers, 0, True, X, Y, M, b, steps, t0, t1, wanted, sums, -1, G)
                if ahead:
                    copy(Z, cur, Z, 0, frame)
                else:
                    then = backward(Z, W, T, layers, cur, now, old, Y, M, b, steps, t0, t1, loss)
                    now, old = then, now + old - then
                    products(Z, T, layers, 0, t1 - t0, G)
            start_back(Z, T, layers, now, G)
        static_back(Z, W, T, layers, G)
        unpack(G, positions, sums, count, gradient, p, last)
        report(sums, count, result, p, last)
""".strip(),
)
