"""Functions of SIMD vectors, without branches and (but for `every`) without division. NaN gives NaN.

Errors against the exact value, over the arguments that the tests try: tanh 3 ulp, sigmoid 1.3e-7, exp 2 ulp (0 below
−104, ∞ above 88.8), log 2 ulp (of 1 near 1; positive normal arguments), log1p 3 ulp (0 ≤ x ≤ 1), reciprocal 1 ulp
(positive normal arguments up to 2¹²⁰), sine and cosine 2e-7 for |x| < 10,000.
"""

from __future__ import annotations

import numpy as np

from evornn.kernels.simd.interpreter.vector import (
    FLOATS,
    Operand,
    Vector,
    absolute,
    as_vectors,
    copysign,
    floor,
    fma,
    ints,
    select,
)

f = np.float32
# tanh x = x·P(x²)/Q(x²), minimax of relative error 2.1e-8 on |x| ≤ 9.01, where tanh x rounds to 1
P = f(1.33398188e-08), f(2.05984197e-05), f(3.49494169e-03), f(1.33804817e-01), f(9.99999979e-01)
Q = f(7.77049908e-07), f(3.28457667e-04), f(2.58745241e-02), f(4.67137971e-01), f(1)
LIMIT = f(9.01)
# the same for ½ tanh(½ x): powers of ¼ are exact
HALF_P = P[0] / f(1024), P[1] / f(256), P[2] / f(64), P[3] / f(16), P[4] / f(4)
HALF_Q = Q[0] / f(256), Q[1] / f(64), Q[2] / f(16), Q[3] / f(4), f(1)
# exp and log: Cephes (Moshier), ln 2 in two parts
LOG2E, LN2_HIGH, LN2_LOW = f(1.44269504), f(0.693359375), f(-2.12194440e-4)
EXP = (
    f(1.9875691500e-4), f(1.3981999507e-3), f(8.3334519073e-3), f(4.1665795894e-2), f(1.6666665459e-1), f(0.5),
)  # fmt: skip
LOG = (
    f(7.0376836292e-2), f(-1.1514610310e-1), f(1.1676998740e-1), f(-1.2420140846e-1), f(1.4249322787e-1),
    f(-1.6668057665e-1), f(2.0000714765e-1), f(-2.4999993993e-1), f(3.3333331174e-1),
)  # fmt: skip
INVERSE_PI, PI_HIGH, PI_LOW = f(0.31830988618), f(3.14159274101), f(-8.74227800e-8)
ROUNDING = f(1.5 * 2**23)  # added to a small number, it leaves the nearest whole one in the last bits
# minimax on |x| ≤ π/2: sin x = x + x³·S(x²), relative error 6e-9; cos x = 1 + x²·C(x²), error 5e-8
SINE = f(2.605631097e-06), f(-1.980953895e-04), f(8.333065430e-03), f(-1.666665952e-01)
COSINE = f(2.319282787e-05), f(-1.385586257e-03), f(4.166398154e-02), f(-4.999993203e-01), f(1)


def polynomial(x: Vector, coefficients: tuple[np.float32, ...]) -> Vector:
    """Horner's rule, the highest power's coefficient first."""
    total = x.like(coefficients[0])
    for coefficient in coefficients[1:]:
        total = fma(total, x, coefficient)
    return total


# ---- comparisons: 1 where they hold, else 0 -------------------------------------------------------------------------


def greater(x: Operand, y: Operand) -> Vector:
    """1 where x > y, else 0."""
    x, y = as_vectors(x, y)
    return select(x.compare(">", y), x.like(1), x.like(0))


def equal(x: Operand, y: Operand) -> Vector:
    """1 where x = y, else 0."""
    x, y = as_vectors(x, y)
    return select(x.compare("==", y), x.like(1), x.like(0))


def choose(condition: Vector, x: Vector, y: Vector) -> Vector:
    """Select without arithmetic: what is not chosen may be NaN.

    Args:
        condition: a vector.
        x: the value where the condition is above 0.
        y: the value elsewhere.
    """
    return select(condition.compare(">", 0), x, y)


def largest(x: Operand, y: Operand) -> Vector:
    """The larger of two values; NaN in y stays."""
    x, y = as_vectors(x, y)
    return select(x.compare(">", y), x, y)


def smallest(x: Operand, y: Operand) -> Vector:
    """The smaller of two values; NaN in y stays."""
    x, y = as_vectors(x, y)
    return select(x.compare("<", y), x, y)


def minimum(x: Operand, y: Operand) -> Vector:
    """The smaller of two values; NaN where either is."""
    if not isinstance(x, Vector):
        return smallest(x, y)
    return smallest(y, x) if not isinstance(y, Vector) else select(x.compare("==", x), smallest(x, y), x)


def maximum(x: Operand, y: Operand) -> Vector:
    """The larger of two values; NaN where either is."""
    if not isinstance(x, Vector):
        return largest(x, y)
    return largest(y, x) if not isinstance(y, Vector) else select(x.compare("==", x), largest(x, y), x)


def heaviside(x: Vector) -> Vector:
    """1 where x > 0, else 0."""
    return greater(x, 0)


def where(condition: Operand, a: Operand, b: Operand) -> Vector:
    """Select by arithmetic, as in the reference: NaN from either value stays.

    Args:
        condition: 1 or 0.
        a: the value where the condition is 1.
        b: the value where the condition is 0.
    """
    condition, a, b = as_vectors(condition, a, b)
    return fma(condition, a, (1 - condition) * b)


def every(period: Operand, t: Operand) -> Vector:
    """1 where t is a multiple of the period, else 0."""
    period, t = as_vectors(period, t)
    return equal(t, period * floor(t / period))


def sign(x: Vector) -> Vector:
    """−1, 0 or 1."""
    return select(x.compare("!=", 0), copysign(1.0, x), x)  # the comparison is false for NaN, which is returned


# ---- elementary functions -------------------------------------------------------------------------------------------


def reciprocal(x: Vector) -> Vector:
    """1/x, by one cubic and one quadratic Newton step from an integer guess: a division would block the CPU for
    longer."""
    r = x.like(x.b.bitcast(x.b.sub(ints(0x7EF311C7), x.bits), FLOATS))  # within 12 %
    e = fma(-x, r, 1)
    r = fma(r, fma(e, e, e), r)
    return fma(r, fma(-x, r, 1), r)


def tanh(x: Vector) -> Vector:
    """tanh x by a rational function; ±1 beyond ±9.01."""
    x = smallest(LIMIT, largest(-LIMIT, x))
    s = x * x
    return x * polynomial(s, P) * reciprocal(polynomial(s, Q))


def sigmoid(x: Vector) -> Vector:
    """1 / (1 + exp(−x)) = ½ + ½ tanh(½ x), with the factors included in the constants."""
    x = smallest(2 * LIMIT, largest(-2 * LIMIT, x))
    s = x * x
    return fma(x * polynomial(s, HALF_P), reciprocal(polynomial(s, HALF_Q)), 0.5)


def power_of_two(n: Vector) -> Vector:
    """2ⁿ for whole −126 ≤ n ≤ 127."""
    shifted = n + (1.5 * 2**23 + 127)  # its last bits are n + 127; a conversion would be undefined for NaN
    return n.like(n.b.bitcast(n.b.shl(shifted.bits, ints(23)), FLOATS))


def exp(x: Vector) -> Vector:
    """eˣ = 2ⁿ·eʳ with |r| ≤ ½ ln 2."""
    x = smallest(89, largest(-105, x))
    n = floor(fma(x, LOG2E, 0.5))
    r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, x))
    p = fma(polynomial(r, EXP), r * r, r) + 1
    half = floor(n * 0.5)  # 2ⁿ in two factors, so that overflow and underflow come out right
    return p * power_of_two(half) * power_of_two(n - half)


def log(x: Vector) -> Vector:
    """ln x, for positive normal x = m·2ᵉ with √½ ≤ m < √2."""
    shifted = x.b.sub(x.bits, ints(0x3F3504F3))  # so that the mantissa lies in √½ … √2
    e = x.like(x.b.sitofp(x.b.ashr(shifted, ints(23)), FLOATS))
    r = fma(x, power_of_two(-e), -1)
    s = r * r
    return fma(e, LN2_HIGH, fma(e, LN2_LOW, fma(polynomial(r, LOG), s * r, s * -0.5)) + r)


def log1p(x: Vector) -> Vector:
    """log(1 + x) = 2 artanh(x / (2 + x)), for 0 ≤ x ≤ 1."""
    z = x * reciprocal(x + 2)
    s = z * z
    p = polynomial(s, (f(2 / 13), f(2 / 11), f(2 / 9), f(2 / 7), f(2 / 5), f(2 / 3)))
    return fma(p * s, z, z + z)


def relu(x: Vector) -> Vector:
    """max(x, 0)."""
    return largest(0, x)


def softplus(x: Vector) -> Vector:
    """log(1 + exp x)."""
    return relu(x) + log1p(exp(-absolute(x)))


def sin(x: Vector) -> Vector:
    """sin x, x in radians."""
    n, r = _reduce_range(x)
    s = r * r
    return _flip_sign(fma(polynomial(s, SINE), s * r, r), n)


def cos(x: Vector) -> Vector:
    """cos x, x in radians."""
    n, r = _reduce_range(x)
    return _flip_sign(polynomial(r * r, COSINE), n)


def _reduce_range(x: Vector) -> tuple[Vector, Vector]:
    """n, whose last bits count half turns, and x without them. Multiples of π instead of π/2: the sign is then one bit,
    and sine and cosine are never exchanged. Where both are computed, LLVM writes this once."""
    n = fma(x, INVERSE_PI, ROUNDING)
    k = n - ROUNDING
    return n, fma(-k, PI_LOW, fma(-k, PI_HIGH, x))


def _flip_sign(x: Vector, n: Vector) -> Vector:
    """−x where the last bit of n is set, else x."""
    turn = x.b.shl(n.bits, ints(31))
    return x.like(x.b.bitcast(x.b.xor(x.bits, turn), FLOATS))
