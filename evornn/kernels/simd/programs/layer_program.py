"""One layer's part of a program: its steps forward and backward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evornn.cell import width
from evornn.kernels.simd.programs.derivatives import Derivatives
from evornn.kernels.simd.programs.equation import Group, UnsupportedEquation, strip
from evornn.kernels.simd.programs.steps import (
    ABSOLUTE,
    CURRENT,
    NEXT,
    NOW,
    OLD,
    SOURCES,
    Lowering,
    Place,
    ProgramStep,
    Slot,
    align_to_tile,
    last_reads,
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
        self.new_states = {s: Slot(slot.rows, (NEXT, slot.location[1])) for s, slot in self.states.items()}
        state = self.equation.state_of(self.equation.output)
        self.shared_out = state is not None  # the output is a state
        rows = program.frame_rows.take(self.rows(self.equation.output)) if state is None else 0
        self.out = self.new_states[state] if state else Slot(self.rows(self.equation.output), (NEXT, rows))
        self.static_slots: dict[Node, Slot] = {
            n: self._absolute_slot(self.rows(n)) for n in self.equation.static_inputs
        }
        self.kept_slots: dict[Node, Slot] = {}
        self._place_cotangents(state)

    def _absolute_slot(self, rows: int) -> Slot:
        return Slot(rows, (ABSOLUTE, self.program.absolute.take(align_to_tile(rows))), tiled=True)

    def _place_cotangents(self, state: str | None) -> None:
        if self.program.derivatives is None:
            return
        rows = self.program.state_cotangents[self.index]
        self.now = {s: Slot(slot.rows, (NOW, rows[s]), tiled=True) for s, slot in self.states.items()}
        self.old = {s: Slot(slot.rows, (OLD, rows[s]), tiled=True) for s, slot in self.states.items()}
        self.out_cotangent = self.now[state] if state else self._absolute_slot(self.out.rows)
        self.sums = {n: self._absolute_slot(self.rows(n)) for n in self.program.derivatives.static_cotangents}

    def rows(self, node: Node) -> int:
        return width(node.size, self.sizes)

    def _lowering(self, placed: Mapping[Node, Slot]) -> Lowering:
        return Lowering(placed, self.rows, self.program.constant, self._special_steps)

    # ---- forward ----------------------------------------------------------------------------------------------------

    def leaves(self) -> dict[Node, Slot]:
        """Slots of what a step begins with."""
        program, slots = self.program, dict[Node, Slot]()
        given = {
            "x": self._x(),
            "y": Slot(program.layout.outputs, (CURRENT, program.y)),
            "t": Slot(1, (CURRENT, program.t)),
        }
        for name, leaf in self.equation.leaves.items():
            slots[leaf] = self.states.get(name) or given[name]
        if program.carried_output is not None:
            slots[program.carried_output] = Slot(self.out.rows, (CURRENT, self.out.location[1]))
        return slots

    def _x(self) -> Slot:
        if self.index:
            return self.program.layers[self.index - 1].out
        return Slot(self.program.layout.inputs, (CURRENT, self.program.x))

    @property
    def is_looked_up(self) -> bool:
        return self.program.lookup and self.index == 0

    def statics(self) -> list[ProgramStep]:
        lowering = self._lowering({})
        lowering.compute(dict(self.static_slots))
        return lowering.steps

    def start(self) -> list[ProgramStep]:
        """States before the first step."""
        steps = []
        for state, slot in self.states.items():
            name = f"{self.index}.{state}.initial"
            if name in self.program.layout.blocks:
                steps.append(ProgramStep("weight", slot, [], self.weights.vector(self.weights.block(name))))
            else:
                steps.append(self.program.fill(slot, 0.0))
        return steps

    def begin(self) -> list[ProgramStep]:
        """The output of the states at hand, where steps go on from it."""
        if self.program.carried_output is None:
            return []
        lowering = self._lowering(
            {k: v for k, v in {**self.leaves(), **self.static_slots}.items() if k is not self.program.carried_output}
        )
        lowering.compute({self.program.carried_output: Slot(self.out.rows, (CURRENT, self.out.location[1]))})
        return lowering.steps

    def forward(self) -> list[ProgramStep]:
        derivatives, equation = self.program.derivatives, self.equation
        self.blocks = {g: self._block(g) for g in equation.groups}
        self.maps = self._parts(self.blocks)
        placed = {**self.leaves(), **self.static_slots}
        targets: dict[Node, Slot | None] = {
            equation.new_states[k]: self.new_states[s] for k, s in enumerate(equation.states)
        }
        targets[equation.output] = self.out
        keeps: list[Node] = []
        if derivatives is not None:
            sources = [strip(s) for g in equation.groups for s in g.sources]
            keeps = [
                n for n in dict.fromkeys([*derivatives.kept_nodes, *sources]) if n not in targets and n not in placed
            ]
            self.kept_slots = {n: Slot(self.rows(n)) for n in keeps if n.op != "affine"}
            targets |= self.kept_slots
            targets |= {n: None for n in keeps if n.op == "affine"}
        lowering = self._lowering(placed)
        lowering.compute(targets)
        steps = schedule(lowering.steps)
        self._place_kept(steps, {n for n in keeps if n.op == "affine"}, keeps and sources)
        return steps

    def _block(self, group: Group) -> Slot:
        """A group's rows; gradients leave the maps' cotangents there, in each step's frame."""
        rows = sum(map(self.rows, group.maps))
        if self.program.derivatives is None:
            return Slot(rows, tiled=True)
        return Slot(rows, (CURRENT, self.program.frame_rows.take(align_to_tile(rows))), tiled=True)

    def _place_kept(self, steps: Sequence[ProgramStep], maps_kept: set[Node], sources: Sequence[Node]) -> None:
        """Kept values in the frame: in the place of an affine map that they are the last to read, or in their own."""
        last, mine = last_reads(steps), {slot: n for n, slot in self.kept_slots.items()}
        taken = {self.maps[n] for n in maps_kept}
        for k, step in enumerate(steps):
            if step.target not in mine or step.target.place is not None:
                continue
            slot = step.target
            for operand, full in step.operands:
                is_free = operand.parent is not None and operand not in taken and mine[slot] not in sources
                if is_free and full and operand.rows == slot.rows and last[operand] == k and step.is_elementwise:
                    taken.add(operand)
                    slot.place = operand.location
                    break
            else:
                slot.place = (CURRENT, self.program.frame_rows.take(slot.rows))

    # ---- what has instructions of its own ---------------------------------------------------------------------------

    def _special_steps(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        return getattr(self, f"_{node.op}")(lowering, node)  # type: ignore[no-any-return]

    def _parameter(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        slot = lowering.slots[node] = self._target(node)
        return [ProgramStep("weight", slot, [], self.weights.vector(self.weights.block(f"{self.index}.{node.name}")))]

    def _constant(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        slot = lowering.slots[node] = self._target(node)
        assert node.values is not None
        values = np.broadcast_to(np.asarray(node.values(self.sizes), np.float32), (slot.rows,))
        return [ProgramStep("weight", slot, [], self.weights.constant(values))]

    def _target(self, node: Node) -> Slot:
        return self.static_slots.get(node) or self.kept_slots.get(node) or Slot(self.rows(node))

    def _affine(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
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
            at = self.weights.product_without_bias(matrices) if first else self.weights.product(matrices, biases)
            slots = [lowering.slots[strip(s)] for _, s in chunk]
            steps.append(ProgramStep("affine", block, [(s, True) for s in slots], at, accumulate=first > 0))
        for k, source in enumerate(group.sources):
            if self._is_looked_up(source):
                steps += [self._lookup_step(m, k, "lookup") for m in group.maps]
        return steps

    def _is_looked_up(self, source: Node) -> bool:
        return self.is_looked_up and source is self.equation.leaves["x"]

    def _lookup_step(self, node: Node, source: int, op: str) -> ProgramStep:
        name = self.weights.block_name(self.index, node, source)
        block = self.program.layout.blocks.get(name)
        if block is None or block.mask is not None:
            raise UnsupportedEquation("class indices as inputs of a map that is masked or fixed")
        x = Slot(1, (CURRENT, self.program.x))
        rows = self.maps[node] if op == "lookup" else self.gates[node]
        if op == "lookup_back":
            return ProgramStep(op, rows, [(x, True)], counts=(self.program.register_lookup(block.start, rows.rows),))
        return ProgramStep(op, rows, [(x, True)], block.start, counts=(self.program.layout.inputs,), accumulate=True)

    def _spread(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """Each block's value for all units of the block: an outer product with ones."""
        a, slot = lowering.slots[strip(node.nodes[0])], self._target(node)
        lowering.slots[node] = slot
        return [
            ProgramStep("outer", slot, [(a, True), (self.program.constant(1.0), True)], counts=(slot.rows // a.rows, 0))
        ]

    def _outer(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        a, b = (lowering.slots[strip(n)] for n in node.nodes)
        slot = lowering.slots[node] = self._target(node)
        return [ProgramStep("outer", slot, [(a, True), (b, True)], counts=(b.rows, self.program.row))]

    # ---- backward ---------------------------------------------------------------------------------------------------

    def _fold(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """Sums over the rows that belong together."""
        d, slot = lowering.slots[strip(node.nodes[0])], Slot(self.rows(node))
        lowering.slots[node] = slot
        row, count = self.program.row, d.rows // slot.rows
        return [self._sum(slot, d, self.program.constant(1.0), (count * row, 0, count, row))]

    def _dot(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """An outer product's cotangent times one of its factors, summed over that factor's rows."""
        d, other = (lowering.slots[strip(n)] for n in node.nodes)
        slot = lowering.slots[node] = Slot(self.rows(node))
        row, count = self.program.row, other.rows
        strides = (count * row, row, count, row) if node.name == "fast" else (row, row, count, slot.rows * row)
        return [self._sum(slot, d, other, strides)]

    def _sum(self, to: Slot, a: Slot, b: Slot, numbers: tuple[int, int, int, int]) -> ProgramStep:
        """to[i] = Σₖ a[i·s + k·u]·b[k·v]; the numbers are s, v, how many k there are, u."""
        return ProgramStep("dot", to, [(a, True), (b, True)], counts=numbers)

    def _gate(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """A map's cotangent, where the others of its group are."""
        slot, value = self.gates[self.gate_of[node]], node.args[0]
        lowering.slots[node] = slot
        if isinstance(value, Node) and lowering.slots[strip(value)] is slot:
            return []
        return [ProgramStep("copy", slot, [lowering.operand(value, slot.rows)])]

    def _back(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """Cotangents of maps through the transposed weights, added to what else flows into their source."""
        assert self.program.derivatives is not None
        source, groups = self.program.derivatives.backs[node]
        slot, value, steps = self.back_slots[node], node.args[0], list[ProgramStep]()
        lowering.slots[node] = slot
        zero = not isinstance(value, Node)
        if isinstance(value, Node) and lowering.slots[strip(value)] is not slot:
            steps.append(ProgramStep("copy", slot, [lowering.operand(value, slot.rows)]))
        readers = [(g, k) for g in groups for k, s in enumerate(g.sources) if s is source]
        for first in range(0, len(readers), SOURCES):
            chunk = readers[first : first + SOURCES]
            matrices = [self.weights.matrix(self.index, g, k).T for g, k in chunk]
            operands = [(self.gate_blocks[g], True) for g, _ in chunk]
            adds = first > 0 or not zero
            at = (
                self.weights.product_without_bias(matrices)
                if adds
                else self.weights.product(matrices, np.full(slot.rows, -1))
            )
            steps.append(ProgramStep("affine", slot, operands, at, accumulate=adds))
        return steps

    def backward(self) -> list[ProgramStep]:
        derivatives = self._require_derivatives()
        self.gate_of = {gate: node for node, gate in derivatives.gates.items()}
        self.gate_blocks = {g: Slot(self.blocks[g].rows, self.blocks[g].place) for g in self.equation.groups}
        self.gates = self._parts(self.gate_blocks)
        placed = self._backward_inputs(derivatives)
        sinks, sums = self._sinks(derivatives, placed), self._sums(derivatives)
        values = [value for _, value in (*sinks, *sums)]
        reached = list(walk(*self.gate_of, *values))
        uses = Counter(strip(a) for n in reached for a in n.nodes)
        targets: dict[Node, Slot | None] = {v: None for _, v in sums if isinstance(v, Node)}

        def claim(value: Value, slot: Slot) -> bool:
            """Have a value computed where it belongs; False: it is there already, or has another place."""
            free = isinstance(value, Node) and strip(value) not in placed and value not in targets
            if free:
                targets[value] = slot  # type: ignore[index]
            return free

        for gate, node in self.gate_of.items():
            if not isinstance(gate.args[0], Node) or gate.args[0].op != "back":
                claim(gate.args[0], self.gates[node])
        copies = [(slot, value) for slot, value in sinks if not claim(value, slot)]
        self.back_slots = {n: targets.get(n) or Slot(self.rows(n), tiled=True) for n in reached if n.op == "back"}
        for node, slot in self.back_slots.items():
            if isinstance(node.args[0], Node) and uses[strip(node.args[0])] == 1:
                claim(node.args[0], slot)
        lowering = self._lowering(placed)
        lowering.compute({**dict.fromkeys(self.gate_of), **targets})
        steps = lowering.steps + [ProgramStep("copy", slot, [lowering.operand(v, slot.rows)]) for slot, v in copies]
        for slot, value in sums:
            steps.append(ProgramStep("add", slot, [(slot, True), lowering.operand(value, slot.rows)]))
        return self._place_gates(schedule(steps, self.gates.values()))

    def _backward_inputs(self, derivatives: Derivatives) -> dict[Node, Slot]:
        """What a step backward begins with."""
        equation = self.equation
        placed = {**self.leaves(), **self.static_slots, **self.kept_slots}
        placed |= {derivatives.now[s]: slot for s, slot in self.now.items()}
        placed |= {n: self.maps[n] for n in derivatives.kept_nodes if n.op == "affine"}
        placed |= dict(zip(equation.new_states, self.new_states.values(), strict=True))
        return placed | {equation.output: self.out, derivatives.out: self.out_cotangent}

    def _sinks(self, derivatives: Derivatives, placed: dict[Node, Slot]) -> list[tuple[Slot, Value]]:
        """What is stored: cotangents of the states before and, from the top layer on, of the output before; those of
        static values, added to what is there."""
        sinks: list[tuple[Slot, Value]] = []
        for node, value in derivatives.static_cotangents.items():
            before = Node("given", (), node.size, "there")
            placed[before] = self.sums[node]
            sinks.append((self.sums[node], Node("add", (before, value), node.size)))
        sinks += [(self.old[s], value) for s, value in derivatives.states.items()]
        below = self.program.layers[self.index - 1] if self.index else None
        if below is not None and not below.shared_out:
            sinks.append((below.out_cotangent, derivatives.x or 0.0))
        if self.program.feedback and self._is_top:
            sinks.append((self.program.dy, derivatives.y or 0.0))
        return sinks

    def _sums(self, derivatives: Derivatives) -> list[tuple[Slot, Value]]:
        """What is added to what is there once it is computed: cotangents of what several layers read."""
        sums: list[tuple[Slot, Value]] = []
        below = self.program.layers[self.index - 1] if self.index else None
        if below is not None and below.shared_out and derivatives.x is not None:
            sums.append((below.out_cotangent, derivatives.x))
        if not self._is_top and derivatives.y is not None:
            sums.append((self.program.dy, derivatives.y))
        return sums

    @property
    def _is_top(self) -> bool:
        return self.index == self.program.layout.layers - 1

    def _place_gates(self, steps: list[ProgramStep]) -> list[ProgramStep]:
        """Gates take the place of the maps, or of what was kept there, once that was read for the last time: earlier
        they wait in a temporary slot. A group whose gates can't wait so long gets a place of its own."""
        last, settled = last_reads(steps), list(steps)
        sources = {strip(s) for g in self.equation.groups for s in g.sources}
        residents: dict[Place, list[Slot]] = {}
        for slot in (*self.kept_slots.values(), *self.maps.values()):
            residents.setdefault(slot.location, []).append(slot)
        for group, block in self.gate_blocks.items():
            first_use = min(
                (k for k, s in enumerate(steps) if any(o is block for o, _ in s.operands)), default=len(steps)
            )
            waits: list[tuple[Slot, int, int]] = []
            for node in group.maps:
                gate, occupants = self.gates[node], residents[self.maps[node].location]
                k = next(k for k, s in enumerate(steps) if s.target is gate)
                end = max(last.get(slot, -1) for slot in occupants)
                in_place = steps[k].is_elementwise and all(f for s, f in steps[k].operands if s in occupants)
                if end > k or (end == k and not in_place):
                    waits.append((gate, k, end))
            if any(end >= first_use for _, _, end in waits) or any(m in sources for m in group.maps):
                block.place = (CURRENT, self.program.frame_rows.take(align_to_tile(block.rows)))
            else:
                for gate, k, end in waits:
                    self._delay(settled, gate, steps[k], steps[end])
        return settled

    def _delay(self, steps: list[ProgramStep], gate: Slot, writer: ProgramStep, reader: ProgramStep) -> None:
        """A gate in a temporary slot, until the reader is through."""
        waiting = Slot(gate.rows)
        writer.target = waiting
        for step in steps:
            step.operands = [(waiting if slot is gate else slot, full) for slot, full in step.operands]
        steps.insert(steps.index(reader) + 1, ProgramStep("copy", gate, [(waiting, True)]))

    def products(self) -> list[ProgramStep]:
        """Gradients of weights, from the rows that all time steps of a segment have left."""
        steps, placed = list[ProgramStep](), {**self._backward_inputs(self._require_derivatives()), **self.maps}
        for group, block in self.gate_blocks.items():
            sources = [(k, placed[strip(s)]) for k, s in enumerate(group.sources) if not self._is_looked_up(s)]
            for run in adjacent_runs([slot for _, slot in sources]):
                matrix = np.concatenate([self.weights.matrix(self.index, group, sources[j][0]) for j in run], 1)
                columns = join_slots([sources[j][1] for j in run])
                steps.append(
                    ProgramStep(
                        "product", block, [(block, True), (columns, True)], self.weights.product_gradient(matrix)
                    )
                )
            if any(m.bias for m in group.maps):
                biases = self.weights.biases(self.index, group, [self.rows(m) for m in group.maps])
                steps.append(
                    ProgramStep("total", block, [(block, True)], self.weights.product_gradient(biases[:, None]))
                )
            for k, source in enumerate(group.sources):
                if self._is_looked_up(source):
                    steps += [self._lookup_step(m, k, "lookup_back") for m in group.maps]
        return steps

    def clear(self) -> list[ProgramStep]:
        """Sums over time begin at 0."""
        return [self.program.fill(slot, 0.0) for slot in self.sums.values()]

    def finish(self) -> list[ProgramStep]:
        """Gradients of per-unit parameters, from the sums over time."""
        derivatives = self._require_derivatives()
        lowering = self._lowering({**self.static_slots, **{derivatives.sums[n]: slot for n, slot in self.sums.items()}})
        cotangents = {n: v for n, v in derivatives.parameters.items() if isinstance(v, Node)}
        lowering.compute({v: None for v in cotangents.values() if v not in lowering.slots})
        return lowering.steps + [self._add_up(f"{self.index}.{n}", lowering.slots[v]) for n, v in cotangents.items()]

    def finish_start(self) -> list[ProgramStep]:
        """Gradients of learned first states."""
        names = {s: f"{self.index}.{s}.initial" for s in self.states}
        return [self._add_up(n, self.now[s]) for s, n in names.items() if n in self.program.layout.blocks]

    def _add_up(self, block: str, slot: Slot) -> ProgramStep:
        return ProgramStep("vector", slot, [(slot, True)], self.weights.vector_gradient(self.weights.block(block)))

    def _require_derivatives(self) -> Derivatives:
        assert self.program.derivatives is not None
        return self.program.derivatives

    def _parts(self, blocks: Mapping[Group, Slot]) -> dict[Node, Slot]:
        """A slot for each map of the groups."""
        return {
            m: part for g, b in blocks.items() for m, part in zip(g.maps, b.parts(map(self.rows, g.maps)), strict=True)
        }


def adjacent_runs(slots: Sequence[Slot]) -> list[list[int]]:
    """Numbers of slots that lie one behind the other: together they are one source."""
    result: list[list[int]] = []
    for k, slot in enumerate(slots):
        base, row = slot.location
        before = slots[result[-1][-1]] if result else None
        if before is not None and before.location == (base, row - before.rows):
            result[-1].append(k)
        else:
            result.append([k])
    return result


def join_slots(slots: Sequence[Slot]) -> Slot:
    """One slot for several that lie one behind the other."""
    return Slot(sum(slot.rows for slot in slots), slots[0].location)
