"""Calls of compiled functions by address: numba would optimise a function that it knows again for each of its
callers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evornn.kernels.simd.interpreter.vector import I64

BYTES = ir.IntType(8).as_pointer()


def call_by_address(b: Any, where: Any, arguments: list[Any]) -> None:
    """Write a call by numba's convention: two pointers come first, for a result and an exception.

    Args:
        b: LLVM's builder.
        where: address of the function.
        arguments: 64-bit integers.
    """
    kind = ir.FunctionType(ir.IntType(32), [BYTES.as_pointer(), BYTES.as_pointer(), *[I64] * len(arguments)])
    nothing = [cgutils.alloca_once(b, BYTES) for _ in range(2)]
    b.call(b.inttoptr(where, kind.as_pointer()), [*nothing, *arguments])


@intrinsic  # type: ignore[untyped-decorator]
def call(typing: Any, where: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
    """Call the function at an address with seven integers.

    Args:
        typing: numba's typing context.
        where: address of the function.
        a: first argument.
        b: second.
        c: third.
        d: fourth.
        e: fifth.
        f: sixth.
        g: seventh.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        call_by_address(builder, args[0], list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), code


@intrinsic  # type: ignore[untyped-decorator]
def call_plain(typing: Any, where: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call a function of LLVM's own convention with four integers.

    Args:
        typing: numba's typing context.
        where: address of the function.
        a: first argument.
        b: second.
        c: third.
        d: fourth.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64] * 4)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), code
