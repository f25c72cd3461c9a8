"""What a trace becomes before it becomes code: a schedule of affine groups and rows of elementwise work, without sizes.

Within a step, a value's level is the number of waits before it: an affine map waits for all rows of its sources, and so
does a value that reads another size (`spread`, `outer`, "one"). A level first computes its affine groups (maps with the
same sources are one product), then passes once over the rows of each size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from evornn.cell import Trace
from evornn.ops import Node, Size, Value, walk

CHEAP = frozenset(
    {"add", "sub", "mul", "neg", "where", "positive", "copy", "stop", "spread"}
)  # rather computed again than stored
KNOWN = CHEAP | {"div", "tanh", "sigmoid", "exp", "relu", "every", "outer", "affine"}
GIVEN = frozenset({"leaf", "parameter", "constant"})


class NotFusable(Exception):
    """A trace with something the generator does not know; its message says what."""


@dataclass(frozen=True, eq=False)
class Group:
    """Affine maps with the same sources, computed as one product."""

    name: str
    level: int
    maps: tuple[Node, ...]

    @property
    def sources(self) -> tuple[Node, ...]:
        return self.maps[0].nodes


@dataclass
class Section:
    """A part of an equation (static, step, output): its nodes in order, their levels and the passes over rows."""

    nodes: list[Node]
    roots: list[Node]
    level: dict[Node, int] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def passes(self, level: int) -> list[tuple[Size, list[Node]]]:
        """(size, nodes in order) of each pass over rows at a level, without the affine maps."""
        found: dict[Size, list[Node]] = {}
        for node in self.nodes:
            if self.level[node] == level:
                found.setdefault(node.size, []).append(node)
        return list(found.items())

    @property
    def levels(self) -> range:
        return range(max(self.level.values(), default=-1) + 1)

    def same_pass(self, a: Node, b: Node) -> bool:
        return a in self.level and b in self.level and self.level[a] == self.level[b] and a.size == b.size


class Program:
    """A cell's trace, scheduled. `step` computes `new` from the leaves, `after` computes `output` from the new states,
    `static` what is the same at every time step."""

    def __init__(self, trace: Trace) -> None:
        rewrite = Rewriter()
        self.states, self.readout = trace.states, trace.cell.readout
        self.leaves = {name: rewrite(leaf) for name, leaf in trace.leaves.items()}
        self.output = rewrite(trace.output)
        self.new = self._own([rewrite(n) for n in trace.new], [self.leaves[s].size for s in trace.states])
        ordered = list(walk(*self.new, self.output))
        if unknown := {n.op for n in ordered} - KNOWN - GIVEN:
            raise NotFusable(f"the operation {sorted(unknown)[0]}")
        self.fixed = _static(ordered)
        self.step = self._section(walk(*self.new), self.new)
        self.after = self._section(walk(self.output), [self.output])
        self.used_static = self._used_static()
        self.static = _schedule([n for n in ordered if n in self.fixed], self.used_static, frozenset())
        self.groups = self.step.groups

    def _own(self, new: list[Node], sizes: list[Size]) -> list[Node]:
        """New states that are each a node of their own, of the state's size."""
        own: list[Node] = []
        for node, size in zip(new, sizes, strict=True):
            plain = node.op in (*GIVEN, "affine", "stop", "outer", "spread") or node in own or node.size != size
            own.append(Node("copy", (node,), size) if plain or node in _static([*walk(node)]) else node)
        return own

    def _section(self, nodes: Iterable[Node], roots: list[Node]) -> Section:
        dynamic = [n for n in nodes if n.op != "leaf" and n not in self.fixed]
        return _schedule(dynamic, roots, self.fixed)

    def _used_static(self) -> list[Node]:
        used: dict[Node, None] = {}
        for node in (*self.step.nodes, *self.after.nodes):
            for argument in node.nodes:
                if argument in self.fixed:
                    if node.op == "affine":
                        raise NotFusable("an affine map of a value that is the same at every step")
                    used[argument] = None
        if self.output in self.fixed:
            raise NotFusable("an output that is the same at every step")
        return list(used)

    @property
    def carried(self) -> Node | None:
        """The output, where the next step begins by computing it again (CTRNN): it is kept from step to step."""
        return self.output if self.output in self.step.level else None

    @property
    def output_state(self) -> str | None:
        """The state that is the output, if it is one as it stands."""
        return self.output.name if self.output.op == "leaf" else None


class Rewriter:
    """Equal nodes become one node; division by what is the same at every step becomes multiplication."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Node] = {}

    def __call__(self, end: Node) -> Node:
        made: dict[Node, Node] = {}
        for node in walk(end):
            args = tuple(made[a] if isinstance(a, Node) else a for a in node.args)
            made[node] = self._make(node, args)
        return made[end]

    def _make(self, node: Node, args: tuple[Value, ...]) -> Node:
        if node.op == "div" and _is_static(args[1]) and not _is_static(args[0]):
            divisor = args[1]
            inverse = (
                self._one(Node("div", (1.0, divisor), divisor.size)) if isinstance(divisor, Node) else 1.0 / divisor
            )
            return self._one(Node("mul", (args[0], inverse), node.size))
        return self._one(Node(node.op, args, node.size, node.name, node.bias, node.values))

    def _one(self, node: Node) -> Node:
        key = (node.op, node.args, node.size, node.name, node.bias, node.values)
        return self.known.setdefault(key, node)


def strip(node: Node) -> Node:
    """The node whose value it is: `stop` only matters to gradients."""
    while node.op == "stop":
        node = node.args[0]  # type: ignore[assignment]
    return node


def _is_static(value: Value) -> bool:
    return not isinstance(value, Node) or all(n.op not in ("leaf", "affine") for n in walk(value))


def _static(nodes: list[Node]) -> frozenset[Node]:
    found: set[Node] = set()
    for node in nodes:
        if node.op not in ("leaf", "affine") and all(a in found for a in node.nodes):
            found.add(node)
    return frozenset(found)


def _schedule(nodes: list[Node], roots: list[Node], fixed: frozenset[Node]) -> Section:
    """Levels as early as possible; cheap values as late as their first use, so that they need not be stored."""
    section = Section(nodes, roots)
    for node in nodes:
        before = [strip(a) for a in node.nodes]
        section.level[node] = max([0, *(section.level[a] + _waits(node, a) for a in before if a in section.level)])
    users: dict[Node, list[Node]] = {n: [] for n in nodes}
    for node in nodes:
        for argument in map(strip, node.nodes):
            if argument in users and node.op != "stop":
                users[argument].append(node)
    for node in reversed(nodes):
        late = [section.level[u] for u in users[node]]
        near = all(u.size == node.size and u.op not in ("affine", "outer", "spread") for u in users[node])
        if node.op in CHEAP - {"spread", "stop"} and late and near and node not in roots:
            section.level[node] = max(section.level[node], min(late))
    affine: dict[tuple[int, ...], list[Node]] = {}
    for node in nodes:
        if node.op == "affine":
            affine.setdefault((section.level[node], *map(id, node.nodes)), []).append(node)
    section.groups = [Group(f"g{k}", section.level[m[0]], tuple(m)) for k, m in enumerate(affine.values())]
    return section


def _waits(node: Node, argument: Node) -> int:
    if node.op == "stop":
        return 0
    return int(node.op in ("affine", "outer", "spread") or argument.size != node.size)
