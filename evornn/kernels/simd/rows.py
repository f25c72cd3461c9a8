"""Code for one pass over the rows of a value: the elementwise part of an equation, forward or backward.

Generated names: `Z` the workspace, `cur` and `nxt` the frames of this step and the next, `o` the position of the vector
at hand, `row` and `half` the number of its row and its place in the row (in a pass over an outer product also `oi` and
`ol`, the positions of its two factors). All positions are in floats.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from evornn.kernels.simd.program import CHEAP, GIVEN, Section, strip
from evornn.ops import RULES, Node, Size, Value, apply

CALLS = {"tanh", "sigmoid", "exp", "relu", "every", "where"}
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
BACKWARD = {**RULES, "copy": lambda d, r, a: (d,)}

Place = Callable[[Node], "str | None"]  # where a node's rows begin; None: nowhere


class Rows:
    """The lines of one pass. `place` says where values are, `keep` is told what should be stored but is not yet."""

    def __init__(
        self, section: Section, level: int, size: Size, place: Place, *, keep: Callable[[Node], None],
        position: Callable[[Node], str], rows: Callable[[Size], str], twin: Callable[[str], str],
        elsewhere: Node | None = None, recompute: bool = False,
    ) -> None:  # fmt: skip
        self.section, self.level, self.size, self.place = section, level, size, place
        self.keep, self.parameter, self.rows, self.twin, self.recompute = keep, position, rows, twin, recompute
        self.elsewhere = elsewhere  # a node of this section that is there before the pass
        self.lines: list[str] = []
        self.stores: list[str] = []
        self.added: dict[str, list[Value]] = {}  # place → what this pass adds there
        self.named: dict[Node, str] = {}
        self.uses: dict[Node, int] = {}
        for node in section.nodes:
            for argument in node.nodes:
                self.uses[argument] = self.uses.get(argument, 0) + 1

    # ---- values ----------------------------------------------------------------------------------------------------

    def value(self, value: Value) -> str:
        """A name for the vector of a value at this row."""
        if not isinstance(value, Node):
            return f"splat(f({float(value)!r}))"
        node = strip(value)
        if node not in self.named:
            expression = self._expression(node)
            self.named[node] = expression if re.fullmatch(r"v\d+", expression) else self.line(expression)
        return self.named[node]

    def line(self, expression: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name

    def index(self, size: Size) -> str:
        """The position of this pass's row in a value of another size."""
        if size == self.size:
            return " + o"
        if size == "one":
            return " + half"
        raise AssertionError(f"a value of size {size} in a pass over {self.size}")

    def _expression(self, node: Node) -> str:
        if node.op == "name":
            return node.name
        if not self._here(node):
            place = self.place(node)
            if place is not None:
                return f"load(Z, {place}{self.index(node.size)})"
            if node in self.section.level and not (self.recompute and node.op in CHEAP | GIVEN):
                self.keep(node)
                return f"load(Z, 0{self.index(node.size)})"
        return self._operation(node)

    def _block(self, size: Size) -> str:
        """The position of the block that this pass's row belongs to."""
        return f" + row // ({self.rows(self.size)} // {self.rows(size)}) * ROW + half"

    def _here(self, node: Node) -> bool:
        made = node.op not in ("affine", "leaf") and node is not self.elsewhere
        return not self.recompute and made and node in self.section.level and self.local(node)

    def local(self, node: Node) -> bool:
        """Whether the node belongs to this pass."""
        return node.size == self.size and self.section.level.get(node) == self.level

    def _operation(self, node: Node) -> str:
        args = node.args
        if node.op in ("parameter", "constant"):
            return f"weight(W, {self.parameter(node)} + row{self.twin('twin')})"
        if node.op == "spread":
            return f"load(Z, {self._needed(args[0])}{self._block(_size(args[0]))})"
        if node.op == "outer":
            return f"load(Z, {self._needed(args[0])} + oi + half) * load(Z, {self._needed(args[1])} + ol)"
        if node.op in ("add", "sub") and (fused := self._fused(node)):
            return fused
        names = [self.value(a) for a in args]
        if node.op in OPERATORS:
            return f"{names[0]} {OPERATORS[node.op]} {names[1]}"
        if node.op in CALLS:
            return f"{node.op}({', '.join(names)})"
        return {"neg": "-{0}", "copy": "{0}", "positive": "above({0}, splat(f(0)))"}[node.op].format(*names)

    def _fused(self, node: Node) -> str | None:
        """add or sub of a product that nobody else uses, as fma."""
        a, b = node.args
        if self._single(b):
            x, y = b.args  # type: ignore[union-attr]
            sign = "-" if node.op == "sub" else ""
            return f"fma({sign}{self.value(x)}, {self.value(y)}, {self.value(a)})"
        if self._single(a):
            x, y = a.args  # type: ignore[union-attr]
            sign = "-" if node.op == "sub" else ""
            return f"fma({self.value(x)}, {self.value(y)}, {sign}{self.value(b)})"
        return None

    def _single(self, value: Value) -> bool:
        if not isinstance(value, Node) or value.op != "mul" or value in self.named or self.uses.get(value, 0) > 1:
            return False
        return value not in self.section.level or self.recompute or (self.local(value) and self.place(value) is None)

    def _needed(self, value: Value) -> str:
        node = strip(value)  # type: ignore[arg-type]
        place = self.place(node)
        if place is None:
            self.keep(node)
        return place or "0"

    def store(self, place: str, name: str) -> None:
        """Stores come last: they may overwrite what this row has read."""
        self.stores.append(f"store(Z, {place} + o, {name})")

    # ---- cotangents ------------------------------------------------------------------------------------------------

    def backward(self, nodes: list[Node], incoming: Callable[[Node], list[str]], target: Place, final: Place) -> None:
        """Walk the pass's nodes backward. `incoming` gives the places of a node's cotangents from elsewhere, `target`
        where cotangents of nodes of other passes are added up (None: nobody wants them), `final` where an affine map's
        or a parameter's cotangent is stored."""
        cotangents: dict[Node, list[Value]] = {}
        for node in reversed(nodes):
            parts = [*(self._loaded(f"{place} + o") for place in incoming(node)), *cotangents.get(node, [])]
            if not parts:
                if node.op == "affine":
                    self.store(f"{final(node)}", "splat(f(0))")
                continue
            d = self._name(self.value(self._sum(parts)))
            if node.op in ("affine", "parameter"):
                self.store(f"{final(node)}", self.value(d))
            elif node.op != "constant":
                self._pass_on(node, d, cotangents, target)
        for place, parts in self.added.items():
            self.stores.append(f"store(Z, {place}, {self.value(self._sum([self._loaded(place), *parts]))})")

    def _sum(self, parts: list[Value]) -> Value:
        total = parts[0]
        for part in parts[1:]:
            total = apply("add", total, part)
        return total

    def _name(self, expression: str) -> Node:
        """An expression as a node."""
        return Node("name", (), self.size, expression)

    def _loaded(self, place: str) -> Node:
        return self._name(f"load(Z, {place})")

    def _pass_on(self, node: Node, d: Node, cotangents: dict[Node, list[Value]], target: Place) -> None:
        for number, (argument, part) in enumerate(zip(node.args, self._parts(node, d), strict=True)):
            if not isinstance(argument, Node) or part is None or argument.op == "stop":
                continue
            if self.local(argument):
                cotangents.setdefault(argument, []).append(part)
            elif (place := target(argument)) is not None:
                self.added.setdefault(place + self._back_index(node, argument, number), []).append(part)

    def _parts(self, node: Node, d: Node) -> tuple[Value | None, ...]:
        if node.op == "spread":
            return (d,)
        if node.op == "outer":
            a, b = (self._needed(n) for n in node.nodes)
            return apply("mul", d, self._loaded(f"{b} + ol")), apply("mul", d, self._loaded(f"{a} + oi + half"))
        return tuple(BACKWARD[node.op](d, node, *node.args))

    def _back_index(self, node: Node, argument: Node, number: int) -> str:
        if node.op == "spread":
            return self._block(argument.size)
        if node.op == "outer":
            return (" + oi + half", " + ol")[number]
        return self.index(argument.size)


def _size(value: Value) -> Size:
    return value.size if isinstance(value, Node) else "one"
