"""A SIMD vector type for numba: 16 float32 lanes that add, multiply and compare like a scalar.

There are 16 lanes on every CPU; LLVM splits them where the registers are narrower. Multiplication and addition fuse
only where `fma` is written and no fast-math flag is set, so the bits do not depend on what LLVM finds convenient.
Loads and stores take a flat float32 array and the position of the first lane; they check no bounds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 16
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)


class VectorType(types.Type):
    """The numba type of 16 float32 lanes."""

    def __init__(self) -> None:
        super().__init__(f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


def _element(context: Any, b: Any, kind: Any, array: Any, position: Any) -> Any:
    return b.gep(context.make_array(kind)(context, b, array).data, [position])


def ints(values: int | list[int]) -> Any:
    """A constant vector of 32-bit integers."""
    return ir.Constant(INTS, [values] * LANES if isinstance(values, int) else values)


def floats(value: float) -> Any:
    """A constant vector of floats."""
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def spread(b: Any, scalar: Any) -> Any:
    """A number in every lane."""
    first = b.insert_element(ir.Constant(FLOATS, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return b.shuffle_vector(first, first, ints(0))


# ---- memory ------------------------------------------------------------------------------------------------------


@intrinsic
def load(typing: Any, array: Any, position: Any) -> Any:
    """array[position : position + 16]."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        address = b.bitcast(_element(context, b, signature.args[0], *args), FLOATS.as_pointer())
        return b.load(address, align=4)

    return vector(array, types.intp), code


@intrinsic
def store(typing: Any, array: Any, position: Any, value: Any) -> Any:
    """array[position : position + 16] = value."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        address = b.bitcast(_element(context, b, signature.args[0], args[0], args[1]), FLOATS.as_pointer())
        b.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), code


@intrinsic
def splat_at(typing: Any, array: Any, position: Any) -> Any:
    """array[position] in every lane."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return spread(b, b.load(_element(context, b, signature.args[0], *args)))

    return vector(array, types.intp), code


@intrinsic
def splat(typing: Any, scalar: Any) -> Any:
    """A number in every lane."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return spread(b, context.cast(b, args[0], signature.args[0], types.float32))

    return vector(scalar), code


# ---- arithmetic --------------------------------------------------------------------------------------------------


def _instruction(arity: int, code: Callable[..., Any]) -> Any:
    """An intrinsic of `arity` vectors from a function (IR builder, *values) → value."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return code(b, *args)

    if arity == 1:
        return intrinsic(lambda typing, x: (vector(vector), generate))
    if arity == 2:
        return intrinsic(lambda typing, x, y: (vector(vector, vector), generate))
    return intrinsic(lambda typing, x, y, z: (vector(vector, vector, vector), generate))


def _llvm(name: str, arity: int) -> Callable[..., Any]:
    def code(b: Any, *args: Any) -> Any:
        kind = ir.FunctionType(FLOATS, [FLOATS] * arity)
        return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}.v{LANES}f32"), args)

    return code


def _mask(b: Any, condition: Any) -> Any:
    return b.select(condition, floats(1), floats(0))


fused = _llvm("fma", 3)
fma = _instruction(3, fused)  # x·y + z, rounded once
floor = _instruction(1, _llvm("floor", 1))
absolute = _instruction(1, _llvm("fabs", 1))
largest = _instruction(2, lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y))  # NaN in y stays
smallest = _instruction(2, lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y))  # NaN in y stays
above = _instruction(2, lambda b, x, y: _mask(b, b.fcmp_ordered(">", x, y)))  # 1 where x > y, else 0
equal = _instruction(2, lambda b, x, y: _mask(b, b.fcmp_ordered("==", x, y)))
choose = _instruction(3, lambda b, c, x, y: b.select(b.fcmp_ordered(">", c, floats(0)), x, y))  # x where c > 0, else y

_ADD = _instruction(2, lambda b, x, y: b.fadd(x, y))
_SUB = _instruction(2, lambda b, x, y: b.fsub(x, y))
_MUL = _instruction(2, lambda b, x, y: b.fmul(x, y))
_DIV = _instruction(2, lambda b, x, y: b.fdiv(x, y))
_NEG = _instruction(1, lambda b, x: b.fneg(x))


def _operator(op: Any, instruction: Any) -> None:
    @overload(op)
    def implementation(x, y):
        if x is vector and y is vector:
            return lambda x, y: instruction(x, y)
        if x is vector and isinstance(y, (types.Float, types.Integer)):
            return lambda x, y: instruction(x, splat(y))
        if y is vector and isinstance(x, (types.Float, types.Integer)):
            return lambda x, y: instruction(splat(x), y)
        return None


for _op, _code in ((operator.add, _ADD), (operator.sub, _SUB), (operator.mul, _MUL), (operator.truediv, _DIV)):
    _operator(_op, _code)


@overload(operator.neg)
def _negative(x):
    return (lambda x: _NEG(x)) if x is vector else None


# ---- bits, for exponents and first guesses -----------------------------------------------------------------------


def _bits(b: Any, x: Any) -> Any:
    return b.bitcast(x, INTS)


def _power_of_two(b: Any, n: Any) -> Any:
    shifted = b.fadd(n, floats(1.5 * 2**23 + 127))  # its last bits are n + 127; a conversion would be undefined for NaN
    return b.bitcast(b.shl(_bits(b, shifted), ints(23)), FLOATS)


def _exponent(b: Any, x: Any) -> Any:
    shifted = b.sub(_bits(b, x), ints(0x3F3504F3))  # so that the mantissa lies in √½ … √2
    return b.sitofp(b.ashr(shifted, ints(23)), FLOATS)


power_of_two = _instruction(1, _power_of_two)  # 2ⁿ for whole −126 ≤ n ≤ 127
exponent = _instruction(1, _exponent)  # whole e with x·2⁻ᵉ in √½ … √2, for x > 0
guess_reciprocal = _instruction(1, lambda b, x: b.bitcast(b.sub(ints(0x7EF311C7), _bits(b, x)), FLOATS))  # within 12 %


# ---- sums over lanes ---------------------------------------------------------------------------------------------


def _fold(b: Any, x: Any, y: Any, width: int) -> Any:
    """Halve the runs of `width` lanes that belong together: those of x, then those of y."""
    runs = [list(range(k, k + width)) for k in range(0, 2 * LANES, width)]
    low = [lane for run in runs for lane in run[: width // 2]]
    high = [lane for run in runs for lane in run[width // 2 :]]
    return b.fadd(b.shuffle_vector(x, y, ints(low)), b.shuffle_vector(x, y, ints(high)))


def _sum_each(b: Any, vectors: list[Any]) -> Any:
    width = LANES
    while width > 1:
        vectors = [_fold(b, x, y, width) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        width //= 2
    return vectors[0]


def _sums_of_16(context: Any, b: Any, signature: Any, args: Any) -> Any:
    return _sum_each(b, list(args))


@intrinsic
def sums_of_16(
    typing: Any,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    f: Any,
    g: Any,
    h: Any,
    i: Any,
    j: Any,
    k: Any,
    m: Any,
    n: Any,
    o: Any,
    p: Any,
    q: Any,
) -> Any:
    """One vector: lane k is the sum over the lanes of argument k."""
    return vector(*[vector] * 16), _sums_of_16
