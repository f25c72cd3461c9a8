"""One layer's part of a program: its steps forward and backward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evornn.cell import width
from evornn.kernels.simd.programs.derivatives import Derivatives
from evornn.kernels.simd.programs.equation import Group, NotFusable, strip
from evornn.kernels.simd.programs.steps import (
    ABSOLUTE,
    CURRENT,
    NEXT,
    NOW,
    OLD,
    SOURCES,
    Lowering,
    Place,
    Slot,
    Step,
    last_reads,
    room,
    schedule,
)
from evornn.ops import Node, Value, walk

if TYPE_CHECKING:
    from evornn.kernels.simd.programs.program import Program


class LayerProgram:
    """One layer's part of each table. Slots of what it keeps are laid out when its forward part is made."""

    def __init__(self, program: Program, index: int) -> None:
        self.program, self.index = program, index
        self.equation, self.weights = program.equation, program.weights
        self.sizes = program.layout.sizes(index)
        self.states = {
            s: Slot(self.rows(self.equation.leaves[s]), (CURRENT, row)) for s, row in program.state_rows[index].items()
        }
        self.new = {s: Slot(slot.rows, (NEXT, slot.where[1])) for s, slot in self.states.items()}
        state = self.equation.state_of(self.equation.output)
        self.shared_out = state is not None  # the output is a state
        rows = program.frame_rows.take(self.rows(self.equation.output)) if state is None else 0
        self.out = self.new[state] if state else Slot(self.rows(self.equation.output), (NEXT, rows))
        self.static: dict[Node, Slot] = {n: self._absolute(self.rows(n)) for n in self.equation.used_static}
        self.kept: dict[Node, Slot] = {}
        self._cotangents(state)

    def _absolute(self, rows: int) -> Slot:
        return Slot(rows, (ABSOLUTE, self.program.absolute.take(room(rows))), tiled=True)

    def _cotangents(self, state: str | None) -> None:
        if self.program.derivatives is None:
            return
        rows = self.program.state_cotangents[self.index]
        self.now = {s: Slot(slot.rows, (NOW, rows[s]), tiled=True) for s, slot in self.states.items()}
        self.old = {s: Slot(slot.rows, (OLD, rows[s]), tiled=True) for s, slot in self.states.items()}
        self.out_cotangent = self.now[state] if state else self._absolute(self.out.rows)
        self.sums = {n: self._absolute(self.rows(n)) for n in self.program.derivatives.static}

    def rows(self, node: Node) -> int:
        return width(node.size, self.sizes)

    def _lowering(self, placed: Mapping[Node, Slot]) -> Lowering:
        return Lowering(placed, self.rows, self.program.constant, self._special)

    # ---- forward ----------------------------------------------------------------------------------------------------

    def leaves(self) -> dict[Node, Slot]:
        """Slots of what a step begins with."""
        program, found = self.program, dict[Node, Slot]()
        given = {
            "x": self._x(),
            "y": Slot(program.layout.outputs, (CURRENT, program.y)),
            "t": Slot(1, (CURRENT, program.t)),
        }
        for name, leaf in self.equation.leaves.items():
            found[leaf] = self.states.get(name) or given[name]
        if program.carried is not None:
            found[program.carried] = Slot(self.out.rows, (CURRENT, self.out.where[1]))
        return found

    def _x(self) -> Slot:
        if self.index:
            return self.program.layers[self.index - 1].out
        return Slot(self.program.layout.inputs, (CURRENT, self.program.x))

    @property
    def is_looked_up(self) -> bool:
        return self.program.lookup and self.index == 0

    def statics(self) -> list[Step]:
        lowering = self._lowering({})
        lowering.compute(dict(self.static))
        return lowering.steps

    def start(self) -> list[Step]:
        """States before the first step."""
        steps = []
        for state, slot in self.states.items():
            name = f"{self.index}.{state}.initial"
            if name in self.program.layout.blocks:
                steps.append(Step("weight", slot, [], self.weights.vector(self.weights.block(name))))
            else:
                steps.append(self.program.fill(slot, 0.0))
        return steps

    def begin(self) -> list[Step]:
        """The output of the states at hand, where steps go on from it."""
        if self.program.carried is None:
            return []
        lowering = self._lowering(
            {k: v for k, v in {**self.leaves(), **self.static}.items() if k is not self.program.carried}
        )
        lowering.compute({self.program.carried: Slot(self.out.rows, (CURRENT, self.out.where[1]))})
        return lowering.steps

    def forward(self) -> list[Step]:
        derivatives, equation = self.program.derivatives, self.equation
        self.blocks = {g: self._block(g) for g in equation.groups}
        self.maps = self._parts(self.blocks)
        placed = {**self.leaves(), **self.static}
        wanted: dict[Node, Slot | None] = {equation.new[k]: self.new[s] for k, s in enumerate(equation.states)}
        wanted[equation.output] = self.out
        keeps: list[Node] = []
        if derivatives is not None:
            sources = [strip(s) for g in equation.groups for s in g.sources]
            keeps = [n for n in dict.fromkeys([*derivatives.kept, *sources]) if n not in wanted and n not in placed]
            self.kept = {n: Slot(self.rows(n)) for n in keeps if n.op != "affine"}
            wanted |= self.kept
            wanted |= {n: None for n in keeps if n.op == "affine"}
        lowering = self._lowering(placed)
        lowering.compute(wanted)
        steps = schedule(lowering.steps)
        self._place_kept(steps, {n for n in keeps if n.op == "affine"}, keeps and sources)
        return steps

    def _block(self, group: Group) -> Slot:
        """A group's rows; gradients leave the maps' cotangents there, in each step's frame."""
        rows = sum(map(self.rows, group.maps))
        if self.program.derivatives is None:
            return Slot(rows, tiled=True)
        return Slot(rows, (CURRENT, self.program.frame_rows.take(room(rows))), tiled=True)

    def _place_kept(self, steps: Sequence[Step], maps_kept: set[Node], sources: Sequence[Node]) -> None:
        """Kept values in the frame: in the place of an affine map that they are the last to read, or in their own."""
        last, mine = last_reads(steps), {slot: n for n, slot in self.kept.items()}
        taken = {self.maps[n] for n in maps_kept}
        for k, step in enumerate(steps):
            if step.to not in mine or step.to.place is not None:
                continue
            slot = step.to
            for operand, full in step.operands:
                own = operand.whole is not None and operand not in taken and mine[slot] not in sources
                if own and full and operand.rows == slot.rows and last[operand] == k and step.is_elementwise:
                    taken.add(operand)
                    slot.place = operand.where
                    break
            else:
                slot.place = (CURRENT, self.program.frame_rows.take(slot.rows))

    # ---- what has instructions of its own ---------------------------------------------------------------------------

    def _special(self, lowering: Lowering, node: Node) -> list[Step]:
        return getattr(self, f"_{node.op}")(lowering, node)  # type: ignore[no-any-return]

    def _parameter(self, lowering: Lowering, node: Node) -> list[Step]:
        slot = lowering.slots[node] = self._target(node)
        return [Step("weight", slot, [], self.weights.vector(self.weights.block(f"{self.index}.{node.name}")))]

    def _constant(self, lowering: Lowering, node: Node) -> list[Step]:
        slot = lowering.slots[node] = self._target(node)
        assert node.values is not None
        values = np.broadcast_to(np.asarray(node.values(self.sizes), np.float32), (slot.rows,))
        return [Step("weight", slot, [], self.weights.constant(values))]

    def _target(self, node: Node) -> Slot:
        return self.static.get(node) or self.kept.get(node) or Slot(self.rows(node))

    def _affine(self, lowering: Lowering, node: Node) -> list[Step]:
        """The whole group, by its first map."""
        group = next(g for g in self.equation.groups if node in g.maps)
        block = self.blocks[group]
        lowering.slots |= {m: self.maps[m] for m in group.maps}
        sources = [(k, s) for k, s in enumerate(group.sources) if not self._is_looked_up(s)]
        biases = self.weights.biases(self.index, group, [self.rows(m) for m in group.maps])
        steps = []
        for first in range(0, max(1, len(sources)), SOURCES):
            chunk = sources[first : first + SOURCES]
            matrices = [self.weights.matrix(self.index, group, k) for k, _ in chunk]
            at = self.weights.sum(matrices) if first else self.weights.product(matrices, biases)
            slots = [lowering.slots[strip(s)] for _, s in chunk]
            steps.append(Step("affine", block, [(s, True) for s in slots], at, adds=first > 0))
        for k, source in enumerate(group.sources):
            if self._is_looked_up(source):
                steps += [self._looked_up(m, k, "lookup") for m in group.maps]
        return steps

    def _is_looked_up(self, source: Node) -> bool:
        return self.is_looked_up and source is self.equation.leaves["x"]

    def _looked_up(self, node: Node, source: int, op: str) -> Step:
        name = self.weights.name(self.index, node, source)
        block = self.program.layout.blocks.get(name)
        if block is None or block.mask is not None:
            raise NotFusable("class numbers as inputs of a map that is masked or fixed")
        x = Slot(1, (CURRENT, self.program.x))
        rows = self.maps[node] if op == "lookup" else self.gates[node]
        if op == "lookup_back":
            return Step(op, rows, [(x, True)], counts=(self.program.looked_up(block.start, rows.rows),))
        return Step(op, rows, [(x, True)], block.start, counts=(self.program.layout.inputs,), adds=True)

    def _spread(self, lowering: Lowering, node: Node) -> list[Step]:
        """Each block's value for all units of the block: an outer product with ones."""
        a, slot = lowering.slots[strip(node.nodes[0])], self._target(node)
        lowering.slots[node] = slot
        return [Step("outer", slot, [(a, True), (self.program.constant(1.0), True)], counts=(slot.rows // a.rows, 0))]

    def _outer(self, lowering: Lowering, node: Node) -> list[Step]:
        a, b = (lowering.slots[strip(n)] for n in node.nodes)
        slot = lowering.slots[node] = self._target(node)
        return [Step("outer", slot, [(a, True), (b, True)], counts=(b.rows, self.program.row))]

    # ---- backward ---------------------------------------------------------------------------------------------------

    def _fold(self, lowering: Lowering, node: Node) -> list[Step]:
        """Sums over the rows that belong together."""
        d, slot = lowering.slots[strip(node.nodes[0])], Slot(self.rows(node))
        lowering.slots[node] = slot
        row, count = self.program.row, d.rows // slot.rows
        return [self._sum(slot, d, self.program.constant(1.0), (count * row, 0, count, row))]

    def _dot(self, lowering: Lowering, node: Node) -> list[Step]:
        """An outer product's cotangent times one of its factors, summed over that factor's rows."""
        d, other = (lowering.slots[strip(n)] for n in node.nodes)
        slot = lowering.slots[node] = Slot(self.rows(node))
        row, count = self.program.row, other.rows
        strides = (count * row, row, count, row) if node.name == "fast" else (row, row, count, slot.rows * row)
        return [self._sum(slot, d, other, strides)]

    def _sum(self, to: Slot, a: Slot, b: Slot, numbers: tuple[int, int, int, int]) -> Step:
        """to[i] = Σₖ a[i·s + k·u]·b[k·v]; the numbers are s, v, how many k there are, u."""
        return Step("dot", to, [(a, True), (b, True)], counts=numbers)

    def _gate(self, lowering: Lowering, node: Node) -> list[Step]:
        """A map's cotangent, where the others of its group are."""
        slot, value = self.gates[self.gate_of[node]], node.args[0]
        lowering.slots[node] = slot
        if isinstance(value, Node) and lowering.slots[strip(value)] is slot:
            return []
        return [Step("copy", slot, [lowering.operand(value, slot.rows)])]

    def _back(self, lowering: Lowering, node: Node) -> list[Step]:
        """Cotangents of maps through the transposed weights, added to what else flows into their source."""
        assert self.program.derivatives is not None
        source, groups = self.program.derivatives.backs[node]
        slot, value, steps = self.back_slots[node], node.args[0], list[Step]()
        lowering.slots[node] = slot
        zero = not isinstance(value, Node)
        if isinstance(value, Node) and lowering.slots[strip(value)] is not slot:
            steps.append(Step("copy", slot, [lowering.operand(value, slot.rows)]))
        readers = [(g, k) for g in groups for k, s in enumerate(g.sources) if s is source]
        for first in range(0, len(readers), SOURCES):
            chunk = readers[first : first + SOURCES]
            matrices = [self.weights.matrix(self.index, g, k).T for g, k in chunk]
            operands = [(self.gate_blocks[g], True) for g, _ in chunk]
            adds = first > 0 or not zero
            at = self.weights.sum(matrices) if adds else self.weights.product(matrices, np.full(slot.rows, -1))
            steps.append(Step("affine", slot, operands, at, adds=adds))
        return steps

    def backward(self) -> list[Step]:
        derivatives = self._needed_derivatives()
        self.gate_of = {gate: node for node, gate in derivatives.gates.items()}
        self.gate_blocks = {g: Slot(self.blocks[g].rows, self.blocks[g].place) for g in self.equation.groups}
        self.gates = self._parts(self.gate_blocks)
        placed = self._there_backward(derivatives)
        sinks, sums = self._sinks(derivatives, placed), self._sums(derivatives)
        values = [value for _, value in (*sinks, *sums)]
        reached = list(walk(*self.gate_of, *values))
        uses = Counter(strip(a) for n in reached for a in n.nodes)
        wanted: dict[Node, Slot | None] = {v: None for _, v in sums if isinstance(v, Node)}

        def claim(value: Value, slot: Slot) -> bool:
            """Have a value computed where it belongs; False: it is there already, or has another place."""
            free = isinstance(value, Node) and strip(value) not in placed and value not in wanted
            if free:
                wanted[value] = slot  # type: ignore[index]
            return free

        for gate, node in self.gate_of.items():
            if not isinstance(gate.args[0], Node) or gate.args[0].op != "back":
                claim(gate.args[0], self.gates[node])
        copies = [(slot, value) for slot, value in sinks if not claim(value, slot)]
        self.back_slots = {n: wanted.get(n) or Slot(self.rows(n), tiled=True) for n in reached if n.op == "back"}
        for node, slot in self.back_slots.items():
            if isinstance(node.args[0], Node) and uses[strip(node.args[0])] == 1:
                claim(node.args[0], slot)
        lowering = self._lowering(placed)
        lowering.compute({**dict.fromkeys(self.gate_of), **wanted})
        steps = lowering.steps + [Step("copy", slot, [lowering.operand(v, slot.rows)]) for slot, v in copies]
        for slot, value in sums:
            steps.append(Step("add", slot, [(slot, True), lowering.operand(value, slot.rows)]))
        return self._settle(schedule(steps, self.gates.values()))

    def _there_backward(self, derivatives: Derivatives) -> dict[Node, Slot]:
        """What a step backward begins with."""
        equation = self.equation
        placed = {**self.leaves(), **self.static, **self.kept}
        placed |= {derivatives.now[s]: slot for s, slot in self.now.items()}
        placed |= {n: self.maps[n] for n in derivatives.kept if n.op == "affine"}
        placed |= dict(zip(equation.new, self.new.values(), strict=True))
        return placed | {equation.output: self.out, derivatives.out: self.out_cotangent}

    def _sinks(self, derivatives: Derivatives, placed: dict[Node, Slot]) -> list[tuple[Slot, Value]]:
        """What is stored: cotangents of the states before and, from the top layer on, of the output before; those of
        static values, added to what is there."""
        found: list[tuple[Slot, Value]] = []
        for node, value in derivatives.static.items():
            there = Node("given", (), node.size, "there")
            placed[there] = self.sums[node]
            found.append((self.sums[node], Node("add", (there, value), node.size)))
        found += [(self.old[s], value) for s, value in derivatives.states.items()]
        below = self.program.layers[self.index - 1] if self.index else None
        if below is not None and not below.shared_out:
            found.append((below.out_cotangent, derivatives.x or 0.0))
        if self.program.feedback and self._is_top:
            found.append((self.program.dy, derivatives.y or 0.0))
        return found

    def _sums(self, derivatives: Derivatives) -> list[tuple[Slot, Value]]:
        """What is added to what is there once it is computed: cotangents of what several layers read."""
        found: list[tuple[Slot, Value]] = []
        below = self.program.layers[self.index - 1] if self.index else None
        if below is not None and below.shared_out and derivatives.x is not None:
            found.append((below.out_cotangent, derivatives.x))
        if not self._is_top and derivatives.y is not None:
            found.append((self.program.dy, derivatives.y))
        return found

    @property
    def _is_top(self) -> bool:
        return self.index == self.program.layout.layers - 1

    def _settle(self, steps: list[Step]) -> list[Step]:
        """Gates take the place of the maps, or of what was kept there, once that was read for the last time: earlier
        they wait in a temporary slot. A group whose gates can't wait so long gets a place of its own."""
        last, found = last_reads(steps), list(steps)
        sources = {strip(s) for g in self.equation.groups for s in g.sources}
        residents: dict[Place, list[Slot]] = {}
        for slot in (*self.kept.values(), *self.maps.values()):
            residents.setdefault(slot.where, []).append(slot)
        for group, block in self.gate_blocks.items():
            first_use = min(
                (k for k, s in enumerate(steps) if any(o is block for o, _ in s.operands)), default=len(steps)
            )
            waits: list[tuple[Slot, int, int]] = []
            for node in group.maps:
                gate, there = self.gates[node], residents[self.maps[node].where]
                k = next(k for k, s in enumerate(steps) if s.to is gate)
                end = max(last.get(slot, -1) for slot in there)
                in_place = steps[k].is_elementwise and all(f for s, f in steps[k].operands if s in there)
                if end > k or (end == k and not in_place):
                    waits.append((gate, k, end))
            if any(end >= first_use for _, _, end in waits) or any(m in sources for m in group.maps):
                block.place = (CURRENT, self.program.frame_rows.take(room(block.rows)))
            else:
                for gate, k, end in waits:
                    self._wait(found, gate, steps[k], steps[end])
        return found

    def _wait(self, steps: list[Step], gate: Slot, writer: Step, reader: Step) -> None:
        """A gate in a temporary slot, until the reader is through."""
        waiting = Slot(gate.rows)
        writer.to = waiting
        for step in steps:
            step.operands = [(waiting if slot is gate else slot, full) for slot, full in step.operands]
        steps.insert(steps.index(reader) + 1, Step("copy", gate, [(waiting, True)]))

    def products(self) -> list[Step]:
        """Gradients of weights, from the rows that all time steps of a segment have left."""
        steps, placed = list[Step](), {**self._there_backward(self._needed_derivatives()), **self.maps}
        for group, block in self.gate_blocks.items():
            sources = [(k, placed[strip(s)]) for k, s in enumerate(group.sources) if not self._is_looked_up(s)]
            for run in runs([slot for _, slot in sources]):
                matrix = np.concatenate([self.weights.matrix(self.index, group, sources[j][0]) for j in run], 1)
                whole = joined([sources[j][1] for j in run])
                steps.append(
                    Step("product", block, [(block, True), (whole, True)], self.weights.product_gradient(matrix))
                )
            if any(m.bias for m in group.maps):
                biases = self.weights.biases(self.index, group, [self.rows(m) for m in group.maps])
                steps.append(Step("total", block, [(block, True)], self.weights.product_gradient(biases[:, None])))
            for k, source in enumerate(group.sources):
                if self._is_looked_up(source):
                    steps += [self._looked_up(m, k, "lookup_back") for m in group.maps]
        return steps

    def clear(self) -> list[Step]:
        """Sums over time begin at 0."""
        return [self.program.fill(slot, 0.0) for slot in self.sums.values()]

    def finish(self) -> list[Step]:
        """Gradients of per-unit parameters, from the sums over time."""
        derivatives = self._needed_derivatives()
        lowering = self._lowering({**self.static, **{derivatives.sums[n]: slot for n, slot in self.sums.items()}})
        wanted = {n: v for n, v in derivatives.parameters.items() if isinstance(v, Node)}
        lowering.compute({v: None for v in wanted.values() if v not in lowering.slots})
        return lowering.steps + [self._add_up(f"{self.index}.{n}", lowering.slots[v]) for n, v in wanted.items()]

    def finish_start(self) -> list[Step]:
        """Gradients of learned first states."""
        names = {s: f"{self.index}.{s}.initial" for s in self.states}
        return [self._add_up(n, self.now[s]) for s, n in names.items() if n in self.program.layout.blocks]

    def _add_up(self, block: str, slot: Slot) -> Step:
        return Step("vector", slot, [(slot, True)], self.weights.vector_gradient(self.weights.block(block)))

    def _needed_derivatives(self) -> Derivatives:
        assert self.program.derivatives is not None
        return self.program.derivatives

    def _parts(self, blocks: Mapping[Group, Slot]) -> dict[Node, Slot]:
        """A slot for each map of the groups."""
        return {
            m: part for g, b in blocks.items() for m, part in zip(g.maps, b.parts(map(self.rows, g.maps)), strict=True)
        }


def runs(slots: Sequence[Slot]) -> list[list[int]]:
    """Numbers of slots that lie one behind the other: together they are one source."""
    found: list[list[int]] = []
    for k, slot in enumerate(slots):
        base, row = slot.where
        before = slots[found[-1][-1]] if found else None
        if before is not None and before.where == (base, row - before.rows):
            found[-1].append(k)
        else:
            found.append([k])
    return found


def joined(slots: Sequence[Slot]) -> Slot:
    """One slot for several that lie one behind the other."""
    return Slot(sum(slot.rows for slot in slots), slots[0].where)
