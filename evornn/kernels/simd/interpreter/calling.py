"""Calls of compiled functions by address: one that numba knows it would optimise again with each of its callers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evornn.kernels.simd.interpreter.vector import I64

BYTES = ir.IntType(8).as_pointer()


def call_by_address(b: Any, where: Any, arguments: list[Any]) -> None:
    """By numba's convention: first where a result and an exception would go."""
    kind = ir.FunctionType(ir.IntType(32), [BYTES.as_pointer(), BYTES.as_pointer(), *[I64] * len(arguments)])
    nothing = [cgutils.alloca_once(b, BYTES) for _ in range(2)]
    b.call(b.inttoptr(where, kind.as_pointer()), [*nothing, *arguments])


@intrinsic  # type: ignore[untyped-decorator]
def call(typing: Any, where: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
    """The function at an address, with seven whole numbers."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        call_by_address(builder, args[0], list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), code


@intrinsic  # type: ignore[untyped-decorator]
def call_plain(typing: Any, where: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """A function of LLVM's own convention, with four whole numbers."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64] * 4)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), code
