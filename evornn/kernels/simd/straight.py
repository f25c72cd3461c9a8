"""A plant's equations as straight lines of Python on SIMD vectors: equal expressions once, products and sums fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from evornn.kernels.simd.program import NotFusable
from evornn.ops import Node, Value, walk

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
CALLS = {"tanh", "sigmoid", "exp", "relu", "sign", "where", "minimum", "maximum"}
OTHERS = {"neg": "-{0}", "abs": "absolute({0})", "positive": "above({0}, splat(ZERO))", "stop": "{0}"}


class Straight:
    """The lines that compute `wanted`; `names` says what the leaves are called, `prefix` how new names begin.

    Numbers become names of `constants`, which a module defines once: numba compiles fewer calls that way."""

    def __init__(
        self, wanted: Sequence[Value], names: Mapping[Node, str], prefix: str, constants: dict[float, str]
    ) -> None:
        self.prefix, self.constants, self.names, self.lines = prefix, constants, dict(names), list[str]()
        self.uses = Counter(a for node in walk(*wanted) for a in node.nodes)
        self.uses.update(v for v in wanted if isinstance(v, Node))
        self.results = [self.value(v) for v in wanted]

    def value(self, value: Value) -> str:
        """What a value is called."""
        if not isinstance(value, Node):
            return f"splat({self.constants.setdefault(float(value), f'K{len(self.constants)}')})"
        if value not in self.names:
            self.names[value] = self._line(value)
        return self.names[value]

    def _line(self, node: Node) -> str:
        if node.op in ("sin", "cos"):
            return self._sincos(node)
        expression = self._expression(node)
        name = f"{self.prefix}{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name

    def _sincos(self, node: Node) -> str:
        """Both at once: whoever wants the other one finds it."""
        argument = self.value(node.args[0])
        line = f"sine_{argument}, cosine_{argument} = sincos({argument})"
        if line not in self.lines:
            self.lines.append(line)
        return f"sine_{argument}" if node.op == "sin" else f"cosine_{argument}"

    def _expression(self, node: Node) -> str:
        if node.op in ("add", "sub") and (fused := self._fused(node)):
            return fused
        if node.op in ("minimum", "maximum") and (fast := self._with_number(node)):
            return fast
        if node.op == "positive" and (compared := self._compared(node.args[0])):
            return compared
        names = [self.value(a) for a in node.args]
        if node.op in OPERATORS:
            return f"{names[0]} {OPERATORS[node.op]} {names[1]}"
        if node.op in CALLS:
            return f"{node.op}({', '.join(names)})"
        if node.op not in OTHERS:
            raise NotFusable(f"the operation {node.op}")
        return OTHERS[node.op].format(*names)

    def _fused(self, node: Node) -> str | None:
        """A sum with a product that nobody else uses."""
        a, b = node.args
        minus = "-" if node.op == "sub" else ""
        forms = (b, a, f"fma({minus}{{0}}, {{1}}, {{2}})"), (a, b, f"fma({{0}}, {{1}}, {minus}{{2}})")
        for product, other, form in forms:
            if isinstance(product, Node) and product.op == "mul" and self._alone(product):
                return form.format(*map(self.value, (*product.args, other)))
        return None

    def _with_number(self, node: Node) -> str | None:
        """The smaller or larger one of a value and a number: the number first, so that NaN stays."""
        numbers = [a for a in node.args if not isinstance(a, Node)]
        others = [a for a in node.args if isinstance(a, Node)]
        if len(others) != 1:
            return None
        return f"{'smallest' if node.op == 'minimum' else 'largest'}({self.value(numbers[0])}, {self.value(others[0])})"

    def _compared(self, difference: Value) -> str | None:
        if isinstance(difference, Node) and difference.op == "sub" and self._alone(difference):
            return f"above({self.value(difference.args[0])}, {self.value(difference.args[1])})"
        return None

    def _alone(self, node: Node) -> bool:
        return node not in self.names and self.uses[node] == 1


def renamed(values: Sequence[Value], rewrite: Callable[[Node], Node]) -> list[Value]:
    """Values rewritten so that equal expressions are one node."""
    return [rewrite(v) if isinstance(v, Node) else v for v in values]
