"""The backward pass of an equation as expressions: each value's cotangent in terms of what the forward pass keeps.

A cotangent is an expression of the same kind as an equation (`ops.VJP_RULES`), with further operations: `gate` is the
cotangent of an affine map, which is stored, since the gradient of the weights is made of it; `back` adds what comes
through the transposed weights of the groups that read the value; `fold` and `dot` are sums over rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evornn.kernels.simd.programs.equation import Equation, Group, strip
from evornn.ops import VJP_RULES, Node, Value, apply, walk

CHEAP = frozenset({"add", "sub", "mul", "neg", "where", "positive", "copy", "spread"})  # recomputed, not stored


class Derivatives:
    """What a backward step computes from the cotangents of the new states (`now`) and of the output (`out`)."""

    def __init__(self, equation: Equation) -> None:
        self.equation = equation
        self.backs: dict[Node, tuple[Node, list[Group]]] = {}  # back node → its source, and the groups that read it
        self.gates: dict[Node, Node] = {}  # map → its `gate`
        self.now = {s: Node("given", (), equation.leaves[s].size, f"now {s}") for s in equation.states}
        self.out = Node("given", (), equation.output.size, "out")
        begin: dict[Node, list[Value]] = {}
        for state, node in zip(equation.states, equation.new_states, strict=True):
            begin.setdefault(node, []).append(self.now[state])
        if equation.state_of(equation.output) is None:
            begin.setdefault(equation.output, []).append(self.out)
        # An output that is a state has no cotangent of its own: the read-out adds to the state's.
        cotangents = differentiate(equation.order, begin, self._complete)
        self.states = {s: cotangents.get(equation.leaves[s], 0.0) for s in equation.states}
        self.x, self.y = (cotangents.get(equation.leaves[name]) if name in equation.leaves else None for name in "xy")
        self.static_cotangents = {
            n: cotangents[n] for n in equation.static_inputs if n in cotangents and is_trainable(n)
        }
        self.parameters = self._parameters()

    def _complete(self, node: Node, cotangent: Value | None) -> Value | None:
        """The complete cotangent of a value, from its elementwise part. None for a map: its gate ends the recursion
        here, and its sources continue it by their `back`."""
        groups = [g for g in self.equation.groups if node in g.sources]
        if groups and node not in self.equation.static_nodes:
            gates = [self.gates[m] for g in groups for m in g.maps]
            back = Node("back", (0.0 if cotangent is None else cotangent, *gates), node.size)
            self.backs[back] = (node, groups)
            cotangent = back
        if node.op == "affine":
            self.gates[node] = Node("gate", (0.0 if cotangent is None else cotangent,), node.size, node.name)
            return None
        return cotangent

    def _parameters(self) -> dict[str, Value]:
        """Cotangents of parameters per unit, in terms of the sums over time of the cotangents of static values
        (`sums`)."""
        self.sums = {n: Node("given", (), n.size, "sum") for n in self.static_cotangents}
        order = [n for n in walk(*self.equation.static_inputs) if n.op not in ("parameter", "constant")]
        cotangents = differentiate(order, {n: [s] for n, s in self.sums.items()}, lambda node, cotangent: cotangent)
        return {n.name: d for n, d in cotangents.items() if n.op == "parameter"}

    @property
    def ends(self) -> list[Value]:
        """All that a backward step computes."""
        return [
            *self.gates.values(),
            *self.states.values(),
            *self.static_cotangents.values(),
            self.x or 0.0,
            self.y or 0.0,
        ]

    @property
    def kept_nodes(self) -> list[Node]:
        """Values that the forward pass must keep: all that the expressions here read, except what is cheaply
        recomputed."""
        forward_nodes, nodes = set(self.equation.order), dict[Node, None]()
        # start from the forward values that a cotangent reads directly; replace each cheap one by its operands
        waiting = [strip(a) for n in walk(*self.ends) if n not in forward_nodes for a in n.nodes]
        while waiting:
            node = waiting.pop()
            if node in forward_nodes and node not in nodes:
                if node.op in CHEAP and node not in self.equation.new_states:
                    waiting += map(strip, node.nodes)
                else:
                    nodes[node] = None
        return list(nodes)


def differentiate(
    order: Sequence[Node],
    begin: Mapping[Node, list[Value]],
    complete: Callable[[Node, Value | None], Value | None],
) -> dict[Node, Value]:
    """Reverse-mode differentiation of a graph.

    Args:
        order: its nodes in the order of their computation.
        begin: node → the cotangents that enter from outside.
        complete: (node, sum of its cotangents or None) → its complete cotangent; None: nothing flows further.

    Returns:
        Cotangents of all values, leaves and static ones included.
    """
    parts: dict[Node, list[Value]] = {node: list(values) for node, values in begin.items()}
    done: dict[Node, Value] = {}
    inner = set(order)
    leaves = [a for n in order for a in n.nodes if a not in inner]
    # from the last node to the first: all readers of a node come before it, so its cotangent is complete
    for node in dict.fromkeys([*reversed(order), *leaves, *(n for n in begin if n not in inner)]):
        cotangent = complete(node, _sum(parts.get(node, [])))
        if cotangent is None:
            continue
        done[node] = cotangent
        if node in inner:
            for argument, part in zip(node.args, _argument_cotangents(node, cotangent), strict=True):
                if isinstance(argument, Node) and part is not None and argument.op != "stop":
                    parts.setdefault(argument, []).append(part)
    return done


def _sum(parts: Sequence[Value]) -> Value | None:
    """The sum of cotangents; negated ones come last and are subtracted."""
    if not parts:
        return None
    total, *others = sorted(parts, key=_is_negative)  # a stable sort: the order of the others stays
    for part in others:
        if _is_negative(part) and isinstance(part, Node):
            total = apply("sub", total, part.args[0])
        else:
            total = apply("add", total, part)
    return total


def _is_negative(value: Value) -> bool:
    return isinstance(value, Node) and value.op == "neg"


def _argument_cotangents(node: Node, d: Value) -> tuple[Value | None, ...]:
    """Cotangents of a node's operands, each of its operand's size."""
    if node.op == "spread":
        return (Node("fold", (d,), node.nodes[0].size),)
    if node.op == "outer":
        a, b = node.nodes
        return Node("dot", (d, b), a.size, "fast"), Node("dot", (d, a), b.size, "slow")
    parts = (d,) if node.op == "copy" else VJP_RULES[node.op](d, node, *node.args)
    return tuple(_fold(part, a) for part, a in zip(parts, node.args, strict=True))


def _fold(part: Value | None, argument: Value) -> Value | None:
    """The cotangent of a value of size "one" that was broadcast: the sum over rows."""
    if not isinstance(part, Node) or not isinstance(argument, Node) or part.size == argument.size:
        return part
    return Node("fold", (part,), argument.size) if argument.size == "one" else part


def is_trainable(node: Node) -> bool:
    """Whether a static value depends on a genome."""
    return any(n.op == "parameter" for n in walk(node))
