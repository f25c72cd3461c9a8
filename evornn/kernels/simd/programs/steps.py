"""From expressions to steps: each computes all rows of one value by one instruction.

`Lowering` turns expressions into steps; shapes that have an instruction of their own (`operations.FUSED`) become one
step. `schedule` orders them so that products come as late as possible, when what they overwrite has been read.
`allocate` gives temporary values rows of the workspace, which are reused after their last reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evornn.kernels.simd.interpreter.operations import EMITTERS, PATTERNS
from evornn.kernels.simd.programs.equation import strip
from evornn.ops import Node, Value

Place: TypeAlias = tuple[int, int]  # (base: see `instructions`, row)
TILE = 8  # a product writes complete tiles, so its results have room for them
SOURCES = 4  # of an instruction, at most
ABSOLUTE, CURRENT, NEXT, NOW, OLD = range(5)  # bases: the workspace, frames of this step and the next, cotangents


@dataclass(eq=False)
class Slot:
    """The rows of a value. `parent`: the block that it is a part of, from row `start` on; `tiled`: the result of a
    product. A slot without a place is temporary."""

    rows: int
    place: Place | None = None
    parent: Slot | None = None
    start: int = 0
    tiled: bool = False

    def parts(self, heights: Iterable[int]) -> list[Slot]:
        """Slots one behind the other within this one."""
        slots, start = [], 0
        for rows in heights:
            slots.append(Slot(rows, None, self, start))
            start += rows
        return slots

    @property
    def location(self) -> Place:
        """Where the slot begins; that of a part follows from its block."""
        if self.parent is not None and self.place is None:
            base, row = self.parent.location
            return base, row + self.start
        assert self.place is not None
        return self.place


@dataclass(eq=False)
class ProgramStep:
    """One instruction. `operands` are (slot, whether it has a row for each of the result's; else its one row serves
    all)."""

    op: str
    target: Slot
    operands: list[tuple[Slot, bool]]
    weights: int = 0  # a position in the packed weights, the packed gradient, or the genome
    counts: tuple[int, ...] = ()  # further numbers, at the end of the encoded instruction
    accumulate: bool = False  # add to the target's content

    @property
    def is_elementwise(self) -> bool:
        """Whether it computes each row from the same row of its operands."""
        return self.op in EMITTERS

    @property
    def reads(self) -> list[Slot]:
        """The slots whose content it needs."""
        return [slot for slot, _ in self.operands] + ([self.target] if self.accumulate else [])


class Lowering:
    """Makes the steps that compute expressions.

    `placed` are the slots of values that exist already; `rows` gives the rows of a node, `constant` the slot of a
    number. `special` makes the steps of operations that depend on weights or sizes (`affine`, `back`, `gate`, `outer`,
    …).
    """

    def __init__(
        self,
        placed: Mapping[Node, Slot],
        rows: Callable[[Node], int],
        constant: Callable[[float], Slot],
        special: Callable[[Lowering, Node], list[ProgramStep]],
    ) -> None:
        self.slots: dict[Node, Slot] = dict(placed)
        self.rows, self.constant, self.special = rows, constant, special
        self.steps: list[ProgramStep] = []

    def compute(self, targets: Mapping[Node, Slot | None]) -> None:
        """Append the steps that compute all targets that don't exist yet. None as a slot: into a temporary one."""
        order = [n for n in self._walk(targets) if n.op != "stop"]
        uses = Counter(strip(argument) for node in order for argument in node.nodes)
        # Backward through the order, choose an instruction for each value that is needed. A fused instruction takes
        # inner values into itself, so these are not needed as values of their own.
        needed = set(targets)
        chosen: dict[Node, tuple[str, list[Value]]] = {}
        for node in reversed(order):
            if node not in needed:
                continue
            if node.op in EMITTERS:
                chosen[node] = self._choose(node, uses, needed)
                needed |= {strip(a) for a in chosen[node][1] if isinstance(a, Node)}
            else:
                needed |= set(map(strip, node.nodes))
        # Then forward: a step for every value that is left.
        for node in order:
            if node in needed and node not in self.slots:
                self._step(node, chosen.get(node), targets.get(node))

    def _walk(self, targets: Iterable[Node]) -> list[Node]:
        """All nodes to compute, operands first; values with slots are not entered."""
        seen: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if node not in seen and node not in self.slots:
                for argument in map(strip, node.nodes):
                    visit(argument)
                seen[node] = None

        for node in targets:
            visit(node)
        return list(seen)

    def _choose(self, node: Node, uses: Mapping[Node, int], needed: set[Node]) -> tuple[str, list[Value]]:
        """The instruction that computes an elementwise value with as much of its expression as possible, and its
        operands."""

        def free(inner: Node) -> bool:
            return uses[inner] == 1 and inner not in needed and inner not in self.slots

        for pattern in PATTERNS:
            if pattern.root.op == node.op and (operands := pattern.match(node, free)) is not None:
                return pattern.name, operands
        return node.op, list(node.args)

    def _step(self, node: Node, chosen: tuple[str, list[Value]] | None, to: Slot | None) -> None:
        """Append the step of one node; `to` is its slot, None: a temporary one."""
        if chosen is None:
            self.steps += self.special(self, node)
            if to is not None and self.slots[node] is not to:
                self.steps.append(ProgramStep("copy", to, [(self.slots[node], True)]))
                self.slots[node] = to
            return
        rows = self.rows(node)
        op, args = chosen
        slot = to or Slot(rows)
        self.steps.append(ProgramStep(op, slot, [self.operand(a, rows) for a in args]))
        self.slots[node] = slot

    def operand(self, value: Value, rows: int) -> tuple[Slot, bool]:
        """A value's slot, and whether it has as many rows as the result."""
        if not isinstance(value, Node):
            return self.constant(float(value)), False
        node = strip(value)
        return self.slots[node], self.rows(node) == rows and not (node.size == "one" and rows > 1)


def schedule(steps: Sequence[ProgramStep], late: Iterable[Slot] = ()) -> list[ProgramStep]:
    """The same steps, each after those that it needs. A product comes only when nothing else can be done. A step that
    fills a slot of `late`, which overwrites what others read, comes only when nothing but products is left."""
    late_slots = set(late)
    writers: dict[Slot, list[int]] = {}
    needs: list[set[int]] = []
    for k, step in enumerate(steps):
        needs.append({w for slot in step.reads for alias in _with_parent(slot) for w in writers.get(alias, ())})
        for alias in _with_parent(step.target):
            writers.setdefault(alias, []).append(k)
    # `needs[k]`: the steps that write what step k reads; a part's writer counts for its block, and the reverse
    done: set[int] = set()
    ordered: list[ProgramStep] = []
    waiting = list(range(len(steps)))
    while waiting:
        ready = [k for k in waiting if needs[k] <= done]
        k = min(ready, key=lambda k: (not steps[k].is_elementwise, steps[k].target in late_slots))
        waiting.remove(k)
        done.add(k)
        ordered.append(steps[k])
    return ordered


def _with_parent(slot: Slot) -> list[Slot]:
    """The slot and the block that it is a part of."""
    return [slot] if slot.parent is None else [slot, slot.parent]


def last_reads(steps: Sequence[ProgramStep]) -> dict[Slot, int]:
    """Slot → the number of the last step that reads it."""
    last: dict[Slot, int] = {}
    for k, step in enumerate(steps):
        for slot in step.reads:
            for alias in _with_parent(slot):
                last[alias] = k
    return last


def allocate(steps: Sequence[ProgramStep], pool: RowPool) -> None:
    """Give every temporary slot a place. A step writes over an operand that no later step reads, where it can."""
    last = last_reads(steps)
    parts: dict[Slot, list[Slot]] = {}
    for step in steps:
        for slot in [step.target, *step.reads]:
            if slot.parent is not None and slot not in parts.setdefault(slot.parent, []):
                parts[slot.parent].append(slot)
    live: dict[Slot, tuple[int, int]] = {}  # temporary slot → the rows that it holds
    for k, step in enumerate(steps):
        to = step.target
        if to.place is None and to.parent is None:
            reused = _reusable_operand(step, k, last, live)
            size = align_to_tile(to.rows) if to.tiled else to.rows
            # the rows of an operand that ends here, or free ones
            rows = live.pop(reused) if reused is not None else (pool.take(size), size)
            to.place, live[to] = (ABSOLUTE, rows[0]), rows
            for part in parts.get(to, []):
                live[part] = (rows[0] + part.start, part.rows)
            # a block is held by its parts, each until its own last reader; rows behind the last part are free
            if to in parts:
                end = max(part.start + part.rows for part in parts[to])
                pool.release(rows[0] + end, rows[1] - end)
                del live[to]
        # release what no later step reads
        for slot in {*step.reads, to}:
            if slot in live and last.get(slot, k) <= k:
                pool.release(*live.pop(slot))


def _reusable_operand(
    step: ProgramStep, k: int, last: Mapping[Slot, int], live: Mapping[Slot, tuple[int, int]]
) -> Slot | None:
    """A temporary operand that ends here and has a row for each of the result's, so that the result may overwrite
    it."""
    if not step.is_elementwise or step.target.tiled:
        return None
    for slot, full in step.operands:
        if full and slot in live and last[slot] == k and slot.rows == step.target.rows:
            others = [s for s, f in step.operands if s is not slot and not f and s.place == slot.place]
            if not others:
                return slot
    return None


def align_to_tile(rows: int) -> int:
    """The rows that a product of so many rows may write."""
    return -(-rows // TILE) * TILE


class RowPool:
    """Rows of the workspace for temporary values, from `start` on; `end` is the highest row ever used."""

    def __init__(self, start: int) -> None:
        self.end = start
        self.free: list[tuple[int, int]] = []  # (start, rows), in order, not adjacent

    def take(self, rows: int) -> int:
        """The first of so many adjacent rows: the first free range that is large enough, else new ones."""
        for k, (start, free) in enumerate(self.free):
            if free >= rows:
                self.free[k : k + 1] = [(start + rows, free - rows)] if free > rows else []
                return start
        start = self.end
        if self.free and sum(self.free[-1]) == self.end:
            start = self.free.pop()[0]
        self.end = start + rows
        return start

    def release(self, start: int, rows: int) -> None:
        """Free rows, merged with adjacent ranges."""
        if rows <= 0:
            return
        self.free = sorted([*self.free, (start, rows)])
        merged: list[tuple[int, int]] = []
        for begin, count in self.free:
            if merged and sum(merged[-1]) == begin:
                merged[-1] = (merged[-1][0], merged[-1][1] + count)
            else:
                merged.append((begin, count))
        self.free = merged
