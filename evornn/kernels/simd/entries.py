"""The parts of a generated module that are the same for every cell: its imports and its entry functions.

`apart` is how many blocks of sequences lie between a row's two vectors; where it is 0, the second vector belongs to
another member, whose weights lie `twin` further and whose gradient `gtwin` further.
"""

HEAD = '''"""{title}"""
from numba import njit as compile_
from numpy import float32 as f
from evornn.kernels.simd.functions import every, exp, relu, sigmoid, tanh, where
from evornn.kernels.simd.lanes import {weight} as weight, {given} as given
from evornn.kernels.simd.lanes import {sum_1} as add_sum, {sum_8} as add_sums_of_8, {sum_16} as add_sums_of_16
from evornn.kernels.simd.loss import step_gradient, step_loss
from evornn.kernels.simd.support import MEMBERS_{ACROSS} as MEMBERS, copy, spill, zero
from evornn.kernels.simd.support import pack_{across} as pack, report_{across} as report, unpack_{across} as unpack
from evornn.kernels.simd.tiles import tile
from evornn.kernels.simd.vector import LANES, above, choose, fma, load, splat, store
njit = compile_(error_model="numpy", nogil=True, _nrt=False)
entry = compile_(error_model="numpy", nogil=True, _nrt=False, cache=True)
VECTORS = {vectors}
ROW = VECTORS * LANES
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
ENTRIES = {
    "losses": """
@entry
def losses(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, loss, count, Z, W, sums, result,
           keep, kept, resume, carry, carried):
    q = 0
    @GLOBAL
    own = ROW if apart > 0 else LANES  # floats of a row that belong to one member
    members, ahead = MEMBERS * ROW // own, own // LANES
    for p in range(first, last, members):
        for v in range(0, ROW, own):
            pack(genomes, p + v // own * MEMBERS, last, index, template, W, v // LANES * twin, sums, v, v + own)
        static(Z, W, T, layers)
        for b in range(0, blocks, ahead):
            start(Z, W, T, layers)
            number = p // members * (blocks // ahead) + b // ahead
            if resume:
                copy(carried, number * frame, Z, 0, frame)
            at = number * steps if keep else -1
            cur = forward(Z, W, T, layers, 0, False, X, Y, M, b, steps, 0, steps, loss, sums, at, kept)
            if carry:
                copy(Z, cur, carried, number * frame, frame)
        for v in range(0, ROW, own):
            report(sums, v, v + own, count, result, p + v // own * MEMBERS, last)
""".strip(),
    "gradients": """
@entry
def gradients(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, loss, count, Z, W, sums, result,
              resume, carry, carried, segment, checkpoints, d_here, d_there, d_floats, G, positions, gradient):
    q = 0
    @GLOBAL
    own = ROW if apart > 0 else LANES
    members, ahead = MEMBERS * ROW // own, own // LANES
    segments = (steps + segment - 1) // segment
    for p in range(first, last, members):
        for v in range(0, ROW, own):
            pack(genomes, p + v // own * MEMBERS, last, index, template, W, v // LANES * twin, sums, v, v + own)
        static(Z, W, T, layers)
        clear(Z, T, layers)
        for k in range(len(G)):
            G[k] = 0
        for b in range(0, blocks, ahead):
            start(Z, W, T, layers)
            number = p // members * (blocks // ahead) + b // ahead
            if resume:
                copy(carried, number * frame, Z, 0, frame)
            now, old = d_here, d_there
            zero(Z, now, d_floats)
            for k in range(2 * segments - 1):  # there, keeping the states at the borders of segments, and back
                there = k < segments - 1
                s = k if there else 2 * segments - 2 - k
                t0, t1 = s * segment, min((s + 1) * segment, steps)
                if there:
                    copy(Z, 0, checkpoints, s * frame, frame)
                elif s < segments - 1:
                    copy(checkpoints, s * frame, Z, 0, frame)
                wanted = -1 if there else loss
                cur = forward(Z, W, T, layers, 0, True, X, Y, M, b, steps, t0, t1, wanted, sums, -1, G)
                if carry and s == segments - 1:
                    copy(Z, cur, carried, number * frame, frame)
                if there:
                    copy(Z, cur, Z, 0, frame)
                else:
                    then = backward(Z, W, T, layers, cur, now, old, Y, M, b, steps, t0, t1, loss)
                    now, old = then, now + old - then
                    for t in range(0, t1 - t0, 32):  # so many that their frames stay in the cache
                        products(Z, T, layers, t * frame, min(32, t1 - t0 - t), own, G)
            if not resume:  # no gradient leaves through a state that was given
                start_back(Z, T, layers, now, G)
        static_back(Z, W, T, layers, G)
        for v in range(0, ROW, own):
            member = p + v // own * MEMBERS
            unpack(G, v // LANES * gtwin, positions, sums, v, v + own, count, gradient, member, last)
            report(sums, v, v + own, count, result, member, last)
""".strip(),
    "products": """
@entry
def products(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, Z, W, sums, G, size, found):
    q = 0
    @GLOBAL
    own = ROW if apart > 0 else LANES
    members, ahead = MEMBERS * ROW // own, own // LANES
    for p in range(first, last, members):
        for v in range(0, ROW, own):
            pack(genomes, p + v // own * MEMBERS, last, index, template, W, v // LANES * twin, sums, v, v + own)
        static(Z, W, T, layers)
        for b in range(0, blocks, ahead):
            start(Z, W, T, layers)
            for t0 in range(0, steps, 32):  # as many as single precision adds up well
                t1 = min(t0 + 32, steps)
                cur = forward(Z, W, T, layers, 0, True, X, Y, M, b, steps, t0, t1, -1, sums, -1, G)
                gather(Z, T, Y, M, b, steps, t0, t1)
                for v in range(0, ROW, own):
                    for k in range(size * MEMBERS):
                        G[k] = 0
                    product(Z, r_row + v, out_rows + 1 + outputs, c_row + v, out_rows + 1, frame, t1 - t0, own, G, 0)
                    to = (p // MEMBERS + v // own) * size * MEMBERS
                    for k in range(size * MEMBERS):
                        found[to + k] += G[k]
                copy(Z, cur, Z, 0, frame)
""".strip(),
}
