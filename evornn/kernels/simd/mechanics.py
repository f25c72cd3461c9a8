"""Functions of SIMD vectors that equations of motion need. NaN gives NaN.

Errors against the exact value (tests/test_control.py): sine and cosine 2e-7 for |x| < 10,000. They are reduced by
multiples of π and not of π/2: the sign is then one bit, nothing is exchanged, and both cost 17 instructions together.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from evornn.kernels.simd.vector import (
    FLOATS,
    INTS,
    LANES,
    choose,
    equal,
    floats,
    fma,
    ints,
    largest,
    smallest,
    splat,
    vector,
)

f = np.float32
INVERSE_PI, PI_HIGH, PI_LOW = f(0.31830988618), f(3.14159274101), f(-8.74227800e-8)
ROUNDING = f(1.5 * 2**23)  # added to a small number, it leaves the nearest whole one in the last bits
# minimax on |x| ≤ π/2: sin x = x + x³·S(x²), relative error 6e-9; cos x = 1 + x²·C(x²), error 5e-8
S0, S1, S2, S3 = f(-1.666665952e-01), f(8.333065430e-03), f(-1.980953895e-04), f(2.605631097e-06)
C0, C1, C2, C3 = f(-4.999993203e-01), f(4.166398154e-02), f(-1.385586257e-03), f(2.319282787e-05)


@intrinsic  # type: ignore[untyped-decorator]
def turned(typing: Any, x: Any, n: Any) -> Any:
    """−x where the last bit of n is set, else x."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        sign = b.shl(b.bitcast(args[1], INTS), ints(31))
        return b.bitcast(b.xor(b.bitcast(args[0], INTS), sign), FLOATS)

    return vector(vector, vector), code


@intrinsic  # type: ignore[untyped-decorator]
def sign(typing: Any, x: Any) -> Any:
    """−1, 0 or 1."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(FLOATS, [FLOATS] * 2)
        copysign = cgutils.get_or_insert_function(b.module, kind, f"llvm.copysign.v{LANES}f32")
        nonzero = b.fcmp_ordered("!=", args[0], floats(0))  # false for NaN, which is handed on
        return b.select(nonzero, b.call(copysign, [floats(1), args[0]]), args[0])

    return vector(vector), code


@nb.njit  # type: ignore[untyped-decorator]
def sincos(x):  # type: ignore[no-untyped-def]
    n = fma(x, splat(INVERSE_PI), splat(ROUNDING))
    k = n - splat(ROUNDING)
    r = fma(-k, splat(PI_LOW), fma(-k, splat(PI_HIGH), x))
    s = r * r
    sine = fma(fma(fma(fma(splat(S3), s, splat(S2)), s, splat(S1)), s, splat(S0)), s * r, r)
    cosine = fma(fma(fma(fma(splat(C3), s, splat(C2)), s, splat(C1)), s, splat(C0)), s, splat(f(1)))
    return turned(sine, n), turned(cosine, n)


@nb.njit  # type: ignore[untyped-decorator]
def minimum(x, y):  # type: ignore[no-untyped-def]
    return choose(equal(x, x), smallest(x, y), x)


@nb.njit  # type: ignore[untyped-decorator]
def maximum(x, y):  # type: ignore[no-untyped-def]
    return choose(equal(x, x), largest(x, y), x)
