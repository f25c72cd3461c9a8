"""A cell's trace made ready to become a program: equal values once, affine maps grouped by their sources, and the
network's output in terms of the new states. Sizes don't matter yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evornn.cell import Trace
from evornn.kernels.simd.interpreter.operations import OPERATIONS
from evornn.ops import Node, Value, walk

STRUCTURAL = frozenset({"affine", "outer", "spread", "stop"})
GIVEN = frozenset({"leaf", "parameter", "constant"})


class NotFusable(Exception):
    """A trace with something that the interpreter does not know; its message says what."""


@dataclass(frozen=True, eq=False)
class Group:
    """Affine maps with the same sources, computed as one product."""

    maps: tuple[Node, ...]

    @property
    def sources(self) -> tuple[Node, ...]:
        return self.maps[0].nodes


class Equation:
    """`new` (a node of its own for each state) and `output` (of those) in terms of `leaves` and static values."""

    def __init__(self, trace: Trace) -> None:
        rewrite = Rewriter()
        self.states = trace.states
        self.leaves = {name: rewrite(leaf) for name, leaf in trace.leaves.items()}
        self.new = self._own([rewrite(node) for node in trace.new])
        of_last = rewrite(trace.output)  # the output that the step before has left, in terms of the states
        output = rewrite(of_last, {self.leaves[s]: n for s, n in zip(self.states, self.new, strict=True)})
        self.output = Node("copy", (output,), output.size) if output.op == "stop" else output
        self.of_last = of_last
        everything = list(walk(*self.new, self.output))
        if unknown := {n.op for n in everything} - OPERATIONS.keys() - STRUCTURAL - GIVEN:
            raise NotFusable(f"the operation {sorted(unknown)[0]}")
        self.static = static(everything) - set(self.new)
        self.order = [n for n in everything if n.op != "leaf" and n not in self.static]
        # where a step would begin by computing that output again (CTRNN), it is kept instead
        kept = of_last in self.order and of_last not in self.new and of_last.op not in ("leaf", "stop")
        self.carried = of_last if kept else None
        self.groups = self._groups()
        self.used_static = self._used_static()

    def _own(self, new: list[Node]) -> list[Node]:
        """New states that are each a node of their own, of the state's size."""
        own: list[Node] = []
        for state, node in zip(self.states, new, strict=True):
            size = self.leaves[state].size
            shared = node in own or node.size != size or node in static([*walk(node)])
            own.append(Node("copy", (node,), size) if shared or node.op in (*GIVEN, "affine", "stop") else node)
        return own

    def _groups(self) -> list[Group]:
        found: dict[tuple[int, ...], list[Node]] = {}
        for node in self.order:
            if node.op == "affine":
                found.setdefault(tuple(map(id, node.nodes)), []).append(node)
        return [Group(tuple(maps)) for maps in found.values()]

    def _used_static(self) -> list[Node]:
        """Static values that something else reads: they are computed once for a member."""
        used: dict[Node, None] = {}
        for node in self.order:
            for argument in map(strip, node.nodes):
                if argument in self.static:
                    if node.op == "affine":
                        raise NotFusable("an affine map of a value that is the same at every step")
                    used[argument] = None
        if self.output in self.static:
            raise NotFusable("an output that is the same at every step")
        return list(used)

    def state_of(self, node: Node) -> str | None:
        """The state that a node is the new value of."""
        return self.states[self.new.index(node)] if node in self.new else None


class Rewriter:
    """Equal nodes become one node; division by what is the same at every step becomes multiplication, and that by 1
    vanishes."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Node] = {}

    def __call__(self, end: Node, replaced: Mapping[Node, Node] | None = None) -> Node:
        """The same expression; what is `replaced` stands for other nodes."""
        made: dict[Node, Node] = dict(replaced or {})
        for node in walk(end):
            if node not in made:
                made[node] = self._make(node, tuple(made[a] if isinstance(a, Node) else a for a in node.args))
        return made[end]

    def _make(self, node: Node, args: tuple[Value, ...]) -> Node:
        if node.op == "div" and _is_static(args[1]) and not _is_static(args[0]):
            divisor = args[1]
            if isinstance(divisor, Node):
                inverse: Value = self._one(Node("div", (1.0, divisor), divisor.size))
            else:
                inverse = 1.0 / divisor
            return self._one(Node("mul", (args[0], inverse), node.size))
        if (
            node.op == "mul"
            and 1.0 in args
            and isinstance(same := args[args[0] == 1.0], Node)
            and same.size == node.size
        ):
            return same
        return self._one(Node(node.op, args, node.size, node.name, node.bias, node.values))

    def _one(self, node: Node) -> Node:
        key = (node.op, node.args, node.size, node.name, node.bias, node.values)
        return self.known.setdefault(key, node)


def strip(node: Node) -> Node:
    """The node whose value it is: `stop` only matters to gradients."""
    while node.op == "stop":
        node = node.nodes[0]
    return node


def static(nodes: list[Node]) -> frozenset[Node]:
    """Those that no leaf leads to: the same at every time step. Arguments come first."""
    found: set[Node] = set()
    for node in nodes:
        if node.op not in ("leaf", "affine") and all(a in found for a in node.nodes):
            found.add(node)
    return frozenset(found)


def _is_static(value: Value) -> bool:
    return not isinstance(value, Node) or all(n.op not in ("leaf", "affine") for n in walk(value))
