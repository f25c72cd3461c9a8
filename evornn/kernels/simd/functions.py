"""Elementary functions of SIMD vectors, without division or branches. NaN gives NaN.

Errors against the exact value, over the arguments that tests/test_simd.py tries: tanh 3 ulp, sigmoid 1.3e-7, exp 2 ulp
(0 below −104, ∞ above 88.8), log 2 ulp (of 1 near 1; positive normal arguments), log1p 3 ulp (0 ≤ x ≤ 1), reciprocal
1 ulp (positive normal arguments up to 2¹²⁰).
"""

from __future__ import annotations

import numba as nb
import numpy as np

from evornn.kernels.simd.vector import (
    absolute,
    equal,
    exponent,
    floor,
    fma,
    guess_reciprocal,
    largest,
    power_of_two,
    smallest,
    splat,
)

f = np.float32
ZERO, HALF, ONE, TWO = f(0), f(0.5), f(1), f(2)
# tanh x = x·P(x²)/Q(x²), minimax of relative error 2.1e-8 on |x| ≤ 9.01, where tanh x rounds to 1
P0, P1, P2, P3, P4 = f(9.99999979e-01), f(1.33804817e-01), f(3.49494169e-03), f(2.05984197e-05), f(1.33398188e-08)
Q1, Q2, Q3, Q4 = f(4.67137971e-01), f(2.58745241e-02), f(3.28457667e-04), f(7.77049908e-07)
LIMIT = f(9.01)
# the same for ½ tanh(½ x): powers of ¼ are exact
S0, S1, S2, S3, S4 = P0 / f(4), P1 / f(16), P2 / f(64), P3 / f(256), P4 / f(1024)
R1, R2, R3, R4 = Q1 / f(4), Q2 / f(16), Q3 / f(64), Q4 / f(256)
# exp: Cephes (Moshier), ln 2 in two parts
LOG2E, LN2_HIGH, LN2_LOW = f(1.44269504), f(0.693359375), f(-2.12194440e-4)
E0, E1, E2, E3, E4, E5 = (
    f(1.9875691500e-4),
    f(1.3981999507e-3),
    f(8.3334519073e-3),
    f(4.1665795894e-2),
    f(1.6666665459e-1),
    f(0.5),
)
L0, L1, L2, L3, L4 = (
    f(7.0376836292e-2),
    f(-1.1514610310e-1),
    f(1.1676998740e-1),
    f(-1.2420140846e-1),
    f(1.4249322787e-1),
)
L5, L6, L7, L8 = f(-1.6668057665e-1), f(2.0000714765e-1), f(-2.4999993993e-1), f(3.3333331174e-1)


@nb.njit
def reciprocal(x):
    """1/x from a guess by one cubic and one quadratic Newton step: a division would block the CPU for longer."""
    one = splat(ONE)
    r = guess_reciprocal(x)
    e = fma(-x, r, one)
    r = fma(r, fma(e, e, e), r)
    return fma(r, fma(-x, r, one), r)


@nb.njit
def tanh(x):
    x = smallest(splat(LIMIT), largest(splat(-LIMIT), x))
    s = x * x
    p = fma(fma(fma(fma(splat(P4), s, splat(P3)), s, splat(P2)), s, splat(P1)), s, splat(P0))
    q = fma(fma(fma(fma(splat(Q4), s, splat(Q3)), s, splat(Q2)), s, splat(Q1)), s, splat(ONE))
    return x * p * reciprocal(q)


@nb.njit
def sigmoid(x):
    """1 / (1 + exp(−x)) = ½ + ½ tanh(½ x), the factors drawn into the constants."""
    x = smallest(splat(TWO * LIMIT), largest(splat(-TWO * LIMIT), x))
    s = x * x
    p = fma(fma(fma(fma(splat(S4), s, splat(S3)), s, splat(S2)), s, splat(S1)), s, splat(S0))
    q = fma(fma(fma(fma(splat(R4), s, splat(R3)), s, splat(R2)), s, splat(R1)), s, splat(ONE))
    return fma(x * p, reciprocal(q), splat(HALF))


@nb.njit
def exp(x):
    x = smallest(splat(f(89)), largest(splat(f(-105)), x))
    n = floor(fma(x, splat(LOG2E), splat(HALF)))
    r = fma(-n, splat(LN2_LOW), fma(-n, splat(LN2_HIGH), x))
    p = fma(fma(fma(fma(fma(splat(E0), r, splat(E1)), r, splat(E2)), r, splat(E3)), r, splat(E4)), r, splat(E5))
    p = fma(p, r * r, r) + ONE
    half = floor(n * HALF)  # 2ⁿ in two factors, so that overflow and underflow come out right
    return p * power_of_two(half) * power_of_two(n - half)


@nb.njit
def log(x):
    e = exponent(x)
    r = fma(x, power_of_two(-e), splat(-ONE))
    p = fma(fma(fma(fma(splat(L0), r, splat(L1)), r, splat(L2)), r, splat(L3)), r, splat(L4))
    p = fma(fma(fma(fma(p, r, splat(L5)), r, splat(L6)), r, splat(L7)), r, splat(L8))
    s = r * r
    return fma(e, splat(LN2_HIGH), fma(e, splat(LN2_LOW), fma(p, s * r, splat(-HALF) * s)) + r)


@nb.njit
def log1p(x):
    """log(1 + x) = 2 artanh(x / (2 + x)), for 0 ≤ x ≤ 1."""
    z = x * reciprocal(x + TWO)
    s = z * z
    p = fma(fma(splat(f(2 / 13)), s, splat(f(2 / 11))), s, splat(f(2 / 9)))
    p = fma(fma(fma(p, s, splat(f(2 / 7))), s, splat(f(2 / 5))), s, splat(f(2 / 3)))
    return fma(p * s, z, z + z)


@nb.njit
def relu(x):
    return largest(splat(ZERO), x)


@nb.njit
def softplus(x):
    """log(1 + exp x)."""
    return relu(x) + log1p(exp(-absolute(x)))


@nb.njit
def every(period, t):
    """1 where t is a multiple of the period, else 0."""
    return equal(t, period * floor(t / period))


@nb.njit
def where(condition, a, b):
    """a where the condition is 1, b where it is 0; NaN from either, as in the reference."""
    return fma(condition, a, (ONE - condition) * b)
