"""Standard normal numbers, several times as fast as numpy's: they are most of the cost of a search's generation.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns key and counter into four words,
and the transform of Box & Muller (1958) two words u, v into two numbers: √(−2 ln u) cos 2πv and √(−2 ln u) sin 2πv. No
number depends on another, so LLVM computes many at once; only IEEE arithmetic is used, so all CPUs give the same bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.arrays import Floats
from evornn.kernels.simd.interpreter.functions import LN2_HIGH, LN2_LOW, LOG
from evornn.kernels.simd.runtime.machine_code import function

L0, L1, L2, L3, L4, L5, L6, L7, L8 = LOG
njit = nb.njit(error_model="numpy", _nrt=False, inline="always")  # called, they would not be vectorized
f, u32, u64, i32 = np.float32, np.uint32, np.uint64, np.int32
M0, M1 = u64(0xD2511F53), u64(0xCD9E8D57)  # Salmon et al., table 2
W0, W1 = u32(0x9E3779B9), u32(0xBB67AE85)  # golden ratio, √3 − 1
HIGH, EXPONENT, MANTISSA, HALVES = u64(32), u32(23), u32(0x7FFFFF), u32(0x3F000000)
LEAST = f(2.0**-32)
EIGHTH = f(np.pi / 2**25)  # 2²⁴ places between −π/4 and π/4
ROOT = f(0.70710678)  # √½
# sine and cosine: Cephes (Moshier)
S0, S1, S2 = f(-1.6666654611e-1), f(8.3321608736e-3), f(-1.9515295891e-4)
C0, C1, C2 = f(4.166664568298827e-2), f(-1.388731625493765e-3), f(2.443315711809948e-5)


def standard_normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Standard normal numbers.

    Args:
        rng: gives the key, 64 bits.
        rows: of the array.
        columns: of the array.

    Returns:
        [rows, columns].
    """
    count = -(-rows * columns // 4) * 4
    out = np.empty(count, np.float32)
    array = 0, 0, count, 4, out.ctypes.data, count, 4  # as numba's functions take one
    function("fill")(*array, *map(int, rng.integers(0, 2**32, 2, np.uint32)))
    return out[: rows * columns].reshape(rows, columns)


@nb.njit(error_model="numpy", nogil=True, _nrt=False)
def fill(out, first, second):
    """Fill an array with the numbers of a key.

    Args:
        out: the array, a multiple of four numbers.
        first: first word of the key.
        second: second word of the key.
    """
    quarter = len(out) // 4
    for k in range(quarter):
        numbers = four(k, u32(first), u32(second))
        out[k], out[quarter + k], out[2 * quarter + k], out[3 * quarter + k] = numbers


@njit
def four(k, first, second):
    """The four numbers of a counter.

    Args:
        k: the counter.
        first: first word of the key.
        second: second word of the key.
    """
    a, b, c, d = philox(u32(k), u32(0), u32(0), u32(0), first, second)
    x, y = normal_pair(a, b)
    z, w = normal_pair(c, d)
    return x, y, z, w


@njit
def philox(a, b, c, d, first, second):
    """Four random words of 32 bits.

    Args:
        a: first word of the counter.
        b: second word.
        c: third word.
        d: fourth word.
        first: first word of the key.
        second: second word of the key.
    """
    for _ in range(10):
        p, q = M0 * u64(a), M1 * u64(c)
        a, b, c, d = u32((q >> HIGH) ^ u64(b) ^ u64(first)), u32(q), u32((p >> HIGH) ^ u64(d) ^ u64(second)), u32(p)
        first, second = u32(first + W0), u32(second + W1)
    return a, b, c, d


@njit
def normal_pair(a, b):
    """Two independent normal numbers, at most 6.7, from two words: a gives the length, b the direction."""
    length = np.sqrt(f(-2) * log((f(a) + f(1)) * LEAST))
    cosine, sine = direction(b)
    return length * cosine, length * sine


@njit
def direction(b):
    """Cosine and sine of a uniform angle: two bits give its quadrant, clockwise, 24 the position in it."""
    quarter = i32(b >> u32(30))
    t = (f(i32((b >> u32(6)) & u32(0xFFFFFF))) - f(2**23) + f(0.5)) * EIGHTH
    s = t * t
    sine = t + t * s * (S0 + s * (S1 + s * S2))
    cosine = f(1) - f(0.5) * s + s * s * (C0 + s * (C1 + s * C2))
    x, y = (sine, cosine) if quarter & 1 else (cosine, sine)
    return (-x if quarter >= 2 else x), (-y if quarter == 1 or quarter == 2 else y)


@njit
def log(x):
    """ln x for 0 < x ≤ 1: x = m 2ᵉ with ½√2 ≤ m < √2."""
    bits = f(x).view(np.uint32)
    m = u32((bits & MANTISSA) | HALVES).view(np.float32)
    small = m < ROOT
    e = f(i32(bits >> EXPONENT) - i32(126)) - (f(1) if small else f(0))
    m = m + (m if small else f(0)) - f(1)
    s = m * m
    y = ((((((((L0 * m + L1) * m + L2) * m + L3) * m + L4) * m + L5) * m + L6) * m + L7) * m + L8) * m * s
    return m + (y + e * LN2_LOW - f(0.5) * s) + e * LN2_HIGH
