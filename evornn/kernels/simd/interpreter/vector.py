"""16 float32 lanes, in two forms: as a numba type, and as `Vector`, a value in LLVM code that is being written.

There are 16 lanes on every CPU; LLVM splits them where registers are narrower. Multiplication and addition fuse only
where `fma` is written, and no fast-math flag is set, so bits don't depend on LLVM's choices. Functions of vectors (see
`functions`) are plain Python on `Vector` that writes their code when it is called once. So numba has nothing to infer,
which would take most of the compile time, and code for a plant's equations is written the same way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 16
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)
I64 = ir.IntType(64)


def ints(values: int | list[int]) -> Any:
    """A constant vector of 32-bit integers."""
    return ir.Constant(INTS, [values] * LANES if isinstance(values, int) else values)


def floats(value: float) -> Any:
    """A constant vector of floats."""
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


class Vector:
    """16 floats in code that is being written; operators append instructions to the builder `b`."""

    def __init__(self, b: Any, value: Any) -> None:
        self.b, self.value = b, value

    def like(self, value: Any) -> Vector:
        """Another value in the same code: an LLVM value, a number or a vector."""
        if isinstance(value, Vector):
            return value
        return Vector(self.b, floats(float(value)) if isinstance(value, int | float | np.floating) else value)

    def __add__(self, other: Operand) -> Vector:
        return self.like(self.b.fadd(self.value, self.like(other).value))

    def __radd__(self, other: Operand) -> Vector:
        return self.like(other) + self

    def __sub__(self, other: Operand) -> Vector:
        return self.like(self.b.fsub(self.value, self.like(other).value))

    def __rsub__(self, other: Operand) -> Vector:
        return self.like(other) - self

    def __mul__(self, other: Operand) -> Vector:
        return self.like(self.b.fmul(self.value, self.like(other).value))

    def __rmul__(self, other: Operand) -> Vector:
        return self.like(other) * self

    def __truediv__(self, other: Operand) -> Vector:
        return self.like(self.b.fdiv(self.value, self.like(other).value))

    def __rtruediv__(self, other: Operand) -> Vector:
        return self.like(other) / self

    def __neg__(self) -> Vector:
        return self.like(self.b.fneg(self.value))

    def compare(self, how: str, other: Operand) -> Any:
        """A vector of bits; all comparisons with NaN are false."""
        return self.b.fcmp_ordered(how, self.value, self.like(other).value)

    @property
    def bits(self) -> Any:
        """The bits of the floats, as integers."""
        return self.b.bitcast(self.value, INTS)


Operand: TypeAlias = "Vector | float | np.float32"
Function: TypeAlias = Callable[..., Vector]


def as_vectors(*operands: Operand) -> list[Vector]:
    """The same operands with numbers as vectors; at least one must be a vector."""
    some = next(x for x in operands if isinstance(x, Vector))
    return [some.like(x) for x in operands]


def select(condition: Any, x: Vector, y: Vector) -> Vector:
    """x where a bit is set, else y.

    Args:
        condition: a vector of bits.
        x: a vector.
        y: a vector.
    """
    return x.like(x.b.select(condition, x.value, y.value))


def llvm_function(name: str) -> Function:
    """An intrinsic function of LLVM."""

    def call(*operands: Operand) -> Vector:
        vectors = as_vectors(*operands)
        b, kind = vectors[0].b, ir.FunctionType(FLOATS, [FLOATS] * len(vectors))
        function = cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}.v{LANES}f32")
        return vectors[0].like(b.call(function, [x.value for x in vectors]))

    return call


fma = llvm_function("fma")  # x·y + z, rounded once
floor = llvm_function("floor")
absolute = llvm_function("fabs")
copysign = llvm_function("copysign")


def splat(b: Any, scalar: Any) -> Any:
    """A number in every lane."""
    first = b.insert_element(ir.Constant(FLOATS, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return b.shuffle_vector(first, first, ints(0))


def pointer(b: Any, base: Any, position: Any, kind: Any = FLOATS) -> Any:
    """A pointer to a position behind an address.

    Args:
        b: LLVM's builder.
        base: the address.
        position: in units of 4 bytes.
        kind: the type that it points to.
    """
    bytes_ = b.shl(position, ir.Constant(I64, 2))
    return b.inttoptr(b.add(base, bytes_), kind.as_pointer())


# ---- in numba -------------------------------------------------------------------------------------------------------


class VectorType(types.Type):
    """The numba type of 16 float32 lanes."""

    def __init__(self) -> None:
        super().__init__(f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


def _memory(kind: Any, content: Any, size: int) -> tuple[Any, Any]:
    """Instructions (base, position) → value and (base, position, value) for numbers that are `size` · 4 bytes apart.
    Bounds are not checked. `base` is an address, as all arrays of the kernels are: as numba's arrays they would be
    seven arguments each."""
    shift = ir.Constant(I64, size.bit_length() - 1)

    def read(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.load(pointer(b, args[0], b.shl(args[1], shift), content), align=4)

    def write(context: Any, b: Any, signature: Any, args: Any) -> Any:
        b.store(args[2], pointer(b, args[0], b.shl(args[1], shift), content), align=4)
        return context.get_dummy_value()

    return (
        intrinsic(lambda typing, base, position: (kind(types.intp, types.intp), read)),
        intrinsic(lambda typing, base, position, value: (types.void(types.intp, types.intp, kind), write)),
    )


load, store = _memory(vector, FLOATS, 1)  # 16 floats from a position on
number, put = _memory(types.float32, ir.FloatType(), 1)
word, put_word = _memory(types.int64, I64, 2)
double, put_double = _memory(types.float64, ir.DoubleType(), 2)
short_word, _ = _memory(types.int32, ir.IntType(32), 1)


@intrinsic
def broadcast(typing: Any, scalar: Any) -> Any:
    """A number in every lane."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return splat(b, context.cast(b, args[0], signature.args[0], types.float32))

    return vector(scalar), code


def numba_function(function: Function, arity: int) -> Any:
    """A function of vectors as a numba function."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return function(*(Vector(b, x) for x in args)).value

    if arity == 1:
        return intrinsic(lambda typing, x: (vector(vector), generate))
    if arity == 2:
        return intrinsic(lambda typing, x, y: (vector(vector, vector), generate))
    return intrinsic(lambda typing, x, y, z: (vector(vector, vector, vector), generate))


def _operator(op: Any) -> None:
    instruction = numba_function(op, 2)

    @overload(op)
    def implementation(x, y):
        if x is vector and y is vector:
            return lambda x, y: instruction(x, y)
        return None


for _op in (operator.add, operator.sub, operator.mul):
    _operator(_op)
