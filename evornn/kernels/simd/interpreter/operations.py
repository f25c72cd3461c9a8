"""What an elementwise instruction does to vectors: each operation of `ops`, and shapes that are computed together.

The table serves the interpreter (`instructions`, one loop for each line) and the plants (`runtime/plant`, straight-line
code). A fused operation is a shape of expression (`FUSED`) that `programs.steps` finds in an equation and its
derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from typing import TypeAlias

from evornn.kernels.simd.interpreter import functions as f
from evornn.kernels.simd.interpreter.vector import Function, absolute, fma
from evornn.ops import Node, Value, apply

OPERATIONS: dict[str, Function] = {
    "copy": lambda a: a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "tanh": f.tanh,
    "sigmoid": f.sigmoid,
    "exp": f.exp,
    "relu": f.relu,
    "sin": f.sin,
    "cos": f.cos,
    "sign": f.sign,
    "abs": lambda a: absolute(a),
    "minimum": f.minimum,
    "maximum": f.maximum,
    "positive": f.heaviside,
    "where": f.where,
    "every": f.every,
}

Shape: TypeAlias = Callable[..., Value]
Binding: TypeAlias = dict[Node, Value]  # symbol → what it stands for
Free: TypeAlias = Callable[[Node], bool]


def _unary(op: str) -> Callable[[Value], Value]:
    return lambda a: apply(op, a)


_tanh, _sigmoid, _positive = _unary("tanh"), _unary("sigmoid"), _unary("positive")

# name → (the shape of the expression, what computes it). The first shape that fits is taken, so larger ones come first.
FUSED: dict[str, tuple[Shape, Function]] = {
    "mix": (lambda a, b, c: (1.0 - a) * b + a * c, lambda a, b, c: fma(a, c - b, b)),  # a gated unit's new state
    "slope_tanh_mul_add": (
        lambda a, b, c, d: (a * b) * (1.0 - c * c) + d, lambda a, b, c, d: fma(a * b, fma(-c, c, 1), d),
    ),
    "slope_tanh_rest": (
        lambda a, b, c: (a * (1.0 - b)) * (1.0 - c * c), lambda a, b, c: fma(-a, b, a) * fma(-c, c, 1),
    ),
    "slope_tanh_mul": (lambda a, b, c: (a * b) * (1.0 - c * c), lambda a, b, c: a * b * fma(-c, c, 1)),
    "slope_tanh": (lambda a, b: a * (1.0 - b * b), lambda a, b: a * fma(-b, b, 1)),
    "slope_sigmoid_mul": (lambda a, b, c: ((a * b) * c) * (1.0 - c), lambda a, b, c: a * b * fma(-c, c, c)),
    "slope_sigmoid": (lambda a, b: (a * b) * (1.0 - b), lambda a, b: a * fma(-b, b, b)),
    "slope_relu": (lambda a, b: apply("where", _positive(a), b, 0.0), lambda a, b: f.choose(a, b, b.like(0))),
    "approach": (lambda a, b, c: c + a * (b - c), lambda a, b, c: fma(a, b - c, c)),
    "add_mul_sub": (lambda a, b, c, d: a + b * (c - d), lambda a, b, c, d: fma(b, c - d, a)),
    "rest_mul": (lambda a, b: (1.0 - a) * b, lambda a, b: fma(-a, b, b)),
    "mul_tanh": (lambda a, b: a * _tanh(b), lambda a, b: a * f.tanh(b)),
    "tanh_add": (lambda a, b: _tanh(a + b), lambda a, b: f.tanh(a + b)),
    "sigmoid_add": (lambda a, b: _sigmoid(a + b), lambda a, b: f.sigmoid(a + b)),
    "mul_add_mul": (lambda a, b, c, d: a * b + c * d, lambda a, b, c, d: fma(a, b, c * d)),
    "mul_sub_mul": (lambda a, b, c, d: a * b - c * d, lambda a, b, c, d: fma(a, b, -(c * d))),
    "mul_add": (lambda a, b, c: a * b + c, lambda a, b, c: fma(a, b, c)),
    "mul_sub": (lambda a, b, c: a * b - c, lambda a, b, c: fma(a, b, -c)),
    "sub_mul": (lambda a, b, c: c - a * b, lambda a, b, c: fma(-a, b, c)),
    "add_sub": (lambda a, b, c: a + b - c, lambda a, b, c: a + b - c),
    "add_add": (lambda a, b, c: a + b + c, lambda a, b, c: a + b + c),
    "rest": (lambda a: 1.0 - a, lambda a: 1 - a),
}  # fmt: skip


class Pattern:
    """A fused operation's shape, to be matched; its symbols are leaves, numbered in order."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.arity = name, len(signature(shape).parameters)
        self.symbols = [Node("symbol", (), "one", str(k)) for k in range(self.arity)]
        root = shape(*self.symbols)
        assert isinstance(root, Node)
        self.root = root

    def match(self, node: Node, free: Free) -> list[Value] | None:
        """What the symbols stand for in an expression, or None. `free` says whether an inner node may vanish, since
        nothing else reads it."""
        for bound in self._match(self.root, node, {}, free, top=True):
            return [bound[symbol] for symbol in self.symbols]
        return None

    def _match(self, shape: Value, value: Value, bound: Binding, free: Free, top: bool = False) -> Iterator[Binding]:
        """All bindings of the symbols under which a shape is a value."""
        if not isinstance(shape, Node):
            if not isinstance(value, Node) and value == shape:
                yield bound
        elif shape.op == "symbol":
            if shape not in bound or bound[shape] == value:
                yield {**bound, shape: value}
        elif isinstance(value, Node) and value.op == shape.op and (top or free(value)):
            # sums and products match in either order
            swapped = [value.args[::-1]] if value.op in ("add", "mul") else []
            for args in (value.args, *swapped):
                yield from self._match_all(list(zip(shape.args, args, strict=True)), bound, free)

    def _match_all(self, pairs: list[tuple[Value, Value]], bound: Binding, free: Free) -> Iterator[Binding]:
        """All bindings under which every shape is its value."""
        if not pairs:
            yield bound
            return
        for binding in self._match(*pairs[0], bound, free):
            yield from self._match_all(pairs[1:], binding, free)


PATTERNS = [Pattern(name, shape) for name, (shape, _) in FUSED.items()]
EMITTERS: dict[str, Function] = {**OPERATIONS, **{name: function for name, (_, function) in FUSED.items()}}
OPCODES = {name: number for number, name in enumerate(EMITTERS)}  # elementwise instructions
