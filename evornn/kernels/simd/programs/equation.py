"""A cell's trace prepared for a program: equal values merged, affine maps grouped by their sources, and the network's
output in terms of the new states. Sizes don't matter yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evornn.cell import Trace
from evornn.kernels.simd.interpreter.operations import OPERATIONS
from evornn.ops import Node, Value, walk

STRUCTURAL = frozenset({"affine", "outer", "spread", "stop"})
LEAF_OPS = frozenset({"leaf", "parameter", "constant"})


class UnsupportedEquation(Exception):
    """A trace with something that the interpreter does not know; the message says what."""


@dataclass(frozen=True, eq=False)
class Group:
    """Affine maps with the same sources, computed as one product."""

    maps: tuple[Node, ...]

    @property
    def sources(self) -> tuple[Node, ...]:
        """The values that all of its maps read."""
        return self.maps[0].nodes


class Equation:
    """The new states (each a node of its own) and the output, in terms of leaves and static values."""

    def __init__(self, trace: Trace) -> None:
        rewrite = Rewriter()
        self.states = trace.states
        self.leaves = {name: rewrite(leaf) for name, leaf in trace.leaves.items()}
        self.new_states = self._distinct_nodes([rewrite(node) for node in trace.new_states])
        last_output = rewrite(trace.output)  # the output of the previous step, in terms of the states
        output = rewrite(last_output, {self.leaves[s]: n for s, n in zip(self.states, self.new_states, strict=True)})
        self.output = Node("copy", (output,), output.size) if output.op == "stop" else output
        self.last_output = last_output
        nodes = list(walk(*self.new_states, self.output))
        if unknown := {n.op for n in nodes} - OPERATIONS.keys() - STRUCTURAL - LEAF_OPS:
            raise UnsupportedEquation(f"the operation {sorted(unknown)[0]}")
        self.static_nodes = static_nodes(nodes) - set(self.new_states)
        self.order = [n for n in nodes if n.op != "leaf" and n not in self.static_nodes]
        # where a step would begin by recomputing the previous output (CTRNN), that is kept instead
        is_carried = (
            last_output in self.order and last_output not in self.new_states and last_output.op not in ("leaf", "stop")
        )
        self.carried_output = last_output if is_carried else None
        self.groups = self._groups()
        self.static_inputs = self._find_static_inputs()

    def _distinct_nodes(self, new: list[Node]) -> list[Node]:
        """The new states, each as a node of its own and of the state's size; a copy where the equation has none."""
        nodes: list[Node] = []
        for state, node in zip(self.states, new, strict=True):
            size = self.leaves[state].size
            shared = node in nodes or node.size != size or node in static_nodes([*walk(node)])
            nodes.append(Node("copy", (node,), size) if shared or node.op in (*LEAF_OPS, "affine", "stop") else node)
        return nodes

    def _groups(self) -> list[Group]:
        groups: dict[tuple[int, ...], list[Node]] = {}
        for node in self.order:
            if node.op == "affine":
                groups.setdefault(tuple(map(id, node.nodes)), []).append(node)
        return [Group(tuple(maps)) for maps in groups.values()]

    def _find_static_inputs(self) -> list[Node]:
        """Static values that other nodes read: they are computed once for a member."""
        used: dict[Node, None] = {}
        for node in self.order:
            for argument in map(strip, node.nodes):
                if argument in self.static_nodes:
                    if node.op == "affine":
                        raise UnsupportedEquation("an affine map of a value that is the same at every step")
                    used[argument] = None
        if self.output in self.static_nodes:
            raise UnsupportedEquation("an output that is the same at every step")
        return list(used)

    def state_of(self, node: Node) -> str | None:
        """The state whose new value a node is; None: of none."""
        return self.states[self.new_states.index(node)] if node in self.new_states else None


class Rewriter:
    """Merges equal nodes. Division by a static value becomes multiplication by its inverse, multiplication by 1
    vanishes."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Node] = {}

    def __call__(self, end: Node, replacements: Mapping[Node, Node] | None = None) -> Node:
        """The same expression of merged nodes, in which `replacements` stand for their keys."""
        nodes: dict[Node, Node] = dict(replacements or {})
        for node in walk(end):
            if node not in nodes:
                nodes[node] = self._make(node, tuple(nodes[a] if isinstance(a, Node) else a for a in node.args))
        return nodes[end]

    def _make(self, node: Node, args: tuple[Value, ...]) -> Node:
        if node.op == "div" and _is_static(args[1]) and not _is_static(args[0]):
            divisor = args[1]
            if isinstance(divisor, Node):
                inverse: Value = self._intern(Node("div", (1.0, divisor), divisor.size))
            else:
                inverse = 1.0 / divisor
            return self._intern(Node("mul", (args[0], inverse), node.size))
        if (
            node.op == "mul"
            and 1.0 in args
            and isinstance(same := args[args[0] == 1.0], Node)
            and same.size == node.size
        ):
            return same
        return self._intern(Node(node.op, args, node.size, node.name, node.bias, node.values))

    def _intern(self, node: Node) -> Node:
        # operands are merged already, so equal nodes have the same operands
        key = (node.op, node.args, node.size, node.name, node.bias, node.values)
        return self.known.setdefault(key, node)


def strip(node: Node) -> Node:
    """The node behind `stop`, which only matters to gradients."""
    while node.op == "stop":
        node = node.nodes[0]
    return node


def static_nodes(nodes: list[Node]) -> frozenset[Node]:
    """Nodes that no leaf leads to: the same at every time step. `nodes` has operands before the nodes that read
    them."""
    result: set[Node] = set()
    for node in nodes:
        if node.op not in ("leaf", "affine") and all(a in result for a in node.nodes):
            result.add(node)
    return frozenset(result)


def _is_static(value: Value) -> bool:
    return not isinstance(value, Node) or all(n.op not in ("leaf", "affine") for n in walk(value))
