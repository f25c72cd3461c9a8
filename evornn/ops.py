"""The vocabulary of equations: each operation is a name with one meaning everywhere and one derivative rule.

Operations on symbols (`Node`) build a graph. Each kernel gives the names their meaning on its own values (torch
tensors, SIMD lanes, …). `VJP_RULES` use the same operations, so the backward pass of an equation is a graph too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Size: TypeAlias = "str | tuple[str, str]"  # "units", "inputs", "outputs", "one", …; a pair for an outer product
Sizes: TypeAlias = Mapping[str, int]  # size name → number, in a given network
Value: TypeAlias = "Node | float"
FloatArray: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Node:
    """One value of an equation: a leaf (input, state, time), a parameter, an affine map, or an operation on values.

    `+ - * /` on nodes build further nodes; `op` is the operation's name, `args` its operands.
    """

    op: str
    args: tuple[Value, ...] = ()
    size: Size = "units"
    name: str = ""  # of a leaf, a parameter or an affine map
    bias: bool = False  # whether an affine map has a bias
    values: Callable[[Sizes], FloatArray] | None = None  # of a constant

    def __add__(self, other: Value) -> Node:
        return apply("add", self, other)

    def __radd__(self, other: Value) -> Node:
        return apply("add", other, self)

    def __sub__(self, other: Value) -> Node:
        return apply("sub", self, other)

    def __rsub__(self, other: Value) -> Node:
        return apply("sub", other, self)

    def __mul__(self, other: Value) -> Node:
        return apply("mul", self, other)

    def __rmul__(self, other: Value) -> Node:
        return apply("mul", other, self)

    def __truediv__(self, other: Value) -> Node:
        return apply("div", self, other)

    def __rtruediv__(self, other: Value) -> Node:
        return apply("div", other, self)

    def __neg__(self) -> Node:
        return apply("neg", self)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The operands that are nodes, not numbers."""
        return tuple(a for a in self.args if isinstance(a, Node))


def apply(op: str, *args: Value) -> Node:
    """An elementwise operation; a value of size "one" is broadcast. Raises TypeError where sizes differ otherwise."""
    # distinct sizes in order, without those that are broadcast
    sizes = {a.size: None for a in args if isinstance(a, Node) and a.size != "one"}
    if len(sizes) > 1:
        names = " and ".join(map(str, sizes))
        raise TypeError(f"{op} of values of different sizes, {names}: use an affine map to make them equal")
    return Node(op, args, next(iter(sizes), "one"))


def walk(*ends: Value) -> Iterator[Node]:
    """All nodes that lead to `ends`, each once, operands before the nodes that read them."""
    seen: set[int] = set()

    def visit(node: Value) -> Iterator[Node]:
        if isinstance(node, Node) and id(node) not in seen:
            seen.add(id(node))
            for argument in node.args:
                yield from visit(argument)
            yield node

    for end in ends:
        yield from visit(end)


# ---- the operations ----------------------------------------------------------------------------------------------


def tanh(x: Node) -> Node:
    """tanh x."""
    return apply("tanh", x)


def sigmoid(x: Node) -> Node:
    """1 / (1 + exp(−x))."""
    return apply("sigmoid", x)


def exp(x: Node) -> Node:
    """eˣ."""
    return apply("exp", x)


def relu(x: Node) -> Node:
    """max(x, 0)."""
    return apply("relu", x)


def heaviside(x: Node) -> Node:
    """1 where x > 0, else 0."""
    return apply("positive", x)


def stop_gradient(x: Node) -> Node:
    """x, through which no gradient flows."""
    return apply("stop", x)


def where(condition: Value, a: Value, b: Value) -> Node:
    """Select between two values. No gradient flows into the condition.

    Args:
        condition: 1 or 0, elementwise.
        a: the value where the condition is 1.
        b: the value where the condition is 0; NaN in the value that is not selected stays NaN.
    """
    return apply("where", condition, a, b)


def sin(x: Node) -> Node:
    """sin x, x in radians."""
    return apply("sin", x)


def cos(x: Node) -> Node:
    """cos x, x in radians."""
    return apply("cos", x)


def sign(x: Node) -> Node:
    """−1, 0 or 1."""
    return apply("sign", x)


def absolute(x: Node) -> Node:
    """|x|."""
    return apply("abs", x)


def minimum(a: Value, b: Value) -> Node:
    """The smaller of two values; NaN if either is."""
    return apply("minimum", a, b)


def maximum(a: Value, b: Value) -> Node:
    """The larger of two values; NaN if either is."""
    return apply("maximum", a, b)


def clip(x: Value, low: Value, high: Value) -> Node:
    """Limit a value to low … high.

    Args:
        x: the value.
        low: the lower limit.
        high: the upper limit.
    """
    return minimum(maximum(x, low), high)


def greater(a: Node, b: Value) -> Node:
    """1 where a > b, else 0."""
    return heaviside(a - b)


def less(a: Node, b: Value) -> Node:
    """1 where a < b, else 0."""
    return heaviside(b - a)


def logical_or(a: Node, b: Node) -> Node:
    """1 where either condition is 1, else 0."""
    return maximum(a, b)


def logical_and(a: Node, b: Node) -> Node:
    """1 where both conditions are 1, else 0."""
    return a * b


def outer(a: Node, b: Node) -> Node:
    """All products aᵢbⱼ, i slow, j fast: a second-order term. Raises TypeError for operands that are outer products."""
    if not isinstance(a.size, str) or not isinstance(b.size, str):
        raise TypeError("outer takes two vectors, not the result of another outer")
    return Node("outer", (a, b), (a.size, b.size))


def repeat(a: Node) -> Node:
    """The value of each block for all units of the block: [blocks] → [units]."""
    return Node("spread", (a,), "units")


def every(period: Value, t: Node) -> Node:
    """1 at the times t (whole numbers) that are multiples of the period, else 0."""
    return apply("every", period, t)


def constant(values: Callable[[Sizes], FloatArray], size: str = "units") -> Node:
    """A vector that the architecture fixes, as a function of the network's sizes."""
    return Node("constant", (), size, values=values)


# ---- vector–Jacobian products: op → f(d, r, *args) for result r with cotangent d; None where nothing flows --------

VJP_RULES: dict[str, Callable[..., tuple[Node | None, ...]]] = {
    "add": lambda d, r, a, b: (d, d),
    "sub": lambda d, r, a, b: (d, -d),
    "mul": lambda d, r, a, b: (d * b, d * a),
    "div": lambda d, r, a, b: (d / b, -d * r / b),
    "neg": lambda d, r, a: (-d,),
    "tanh": lambda d, r, a: (d * (1.0 - r * r),),
    "sigmoid": lambda d, r, a: (d * r * (1.0 - r),),
    "exp": lambda d, r, a: (d * r,),
    "relu": lambda d, r, a: (where(heaviside(r), d, 0.0),),
    "stop": lambda d, r, a: (None,),
    "where": lambda d, r, c, a, b: (None, d * c, d * (1.0 - c)),
    "every": lambda d, r, p, t: (None, None),
    "positive": lambda d, r, a: (None,),
    "sin": lambda d, r, a: (d * cos(a),),
    "cos": lambda d, r, a: (-d * sin(a),),
    "sign": lambda d, r, a: (None,),
    "abs": lambda d, r, a: (d * sign(a),),
    "minimum": lambda d, r, a, b: (where(heaviside(a - b), 0.0, d), where(heaviside(a - b), d, 0.0)),
    "maximum": lambda d, r, a, b: (where(heaviside(b - a), 0.0, d), where(heaviside(b - a), d, 0.0)),
}
