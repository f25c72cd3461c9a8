"""One layer's part of a program: its steps forward and backward, and the gradients of its weights.

Forward, affine maps go into the block of their group, and values that the backward pass needs stay in the frame.
Backward, each map's cotangent (its gate) replaces the map in the same rows, so the frame then holds what the gradients
of the weights are made of: gates × sources, summed over time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evornn.cell import width
from evornn.kernels.simd.programs.derivatives import Derivatives
from evornn.kernels.simd.programs.equation import Equation, Group, UnsupportedEquation, strip
from evornn.kernels.simd.programs.memory_layout import MemoryLayout
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
from evornn.kernels.simd.programs.weights import PackedWeights
from evornn.layout import Layout
from evornn.ops import Node, Value, walk


@dataclass(frozen=True)
class ProgramContext:
    """What the layers of a program share."""

    layout: Layout
    equation: Equation
    derivatives: Derivatives | None  # of a program with gradients
    weights: PackedWeights
    memory: MemoryLayout


class LayerProgram:
    """One layer's part of each table. `forward` must come first: it places the slots of what the layer keeps."""

    def __init__(self, context: ProgramContext, index: int, below: LayerProgram | None) -> None:
        self.layout, self.equation, self.derivatives = context.layout, context.equation, context.derivatives
        self.weights, self.memory, self.index, self.below = context.weights, context.memory, index, below
        self.sizes = self.layout.sizes(index)
        self.states = {
            s: Slot(self.rows(self.equation.leaves[s]), (CURRENT, row))
            for s, row in self.memory.state_rows[index].items()
        }
        self.new_states = {s: Slot(slot.rows, (NEXT, slot.location[1])) for s, slot in self.states.items()}
        # `out` is what the layer above or the read-out reads: a state's rows if the output is a state
        state = self.equation.state_of(self.equation.output)
        self.shared_out = state is not None  # the output is a state
        rows = self.memory.frame_rows.take(self.rows(self.equation.output)) if state is None else 0
        self.out = self.new_states[state] if state else Slot(self.rows(self.equation.output), (NEXT, rows))
        self.static_slots: dict[Node, Slot] = {
            n: self._absolute_slot(self.rows(n)) for n in self.equation.static_inputs
        }
        self.kept_slots: dict[Node, Slot] = {}
        self._place_cotangents(state)
        self._place_dropout()

    def _absolute_slot(self, rows: int) -> Slot:
        """A slot outside of frames, for the lifetime of the program."""
        return Slot(rows, (ABSOLUTE, self.memory.absolute.take(align_to_tile(rows))), tiled=True)

    def _place_cotangents(self, state: str | None) -> None:
        """Slots of cotangents: of the new states (now), the previous ones (old), the output, and the sums over time
        of static values."""
        if self.derivatives is None:
            return
        rows = self.memory.state_cotangents[self.index]
        self.now = {s: Slot(slot.rows, (NOW, rows[s]), tiled=True) for s, slot in self.states.items()}
        self.old = {s: Slot(slot.rows, (OLD, rows[s]), tiled=True) for s, slot in self.states.items()}
        self.out_cotangent = self.now[state] if state else self._absolute_slot(self.out.rows)
        self.sums = {n: self._absolute_slot(self.rows(n)) for n in self.derivatives.static_cotangents}

    def _place_dropout(self) -> None:
        """Slots of what the layer below puts out times its factors, and of these; None without dropout."""
        self.dropped = self.factors = None
        if self.memory.dropout and self.below is not None:
            rows = self.below.out.rows
            self.dropped = Slot(rows, (CURRENT, self.memory.frame_rows.take(rows)))
            self.factors = Slot(rows, (CURRENT, self.memory.factors + (self.index - 1) * rows))

    def rows(self, node: Node) -> int:
        """The rows of a node's value."""
        return width(node.size, self.sizes)

    def _lowering(self, placed: Mapping[Node, Slot]) -> Lowering:
        """Makes steps, with the operations of `_special_steps`."""
        return Lowering(placed, self.rows, self.memory.constant, self._special_steps)

    # ---- forward ----------------------------------------------------------------------------------------------------

    def leaves(self) -> dict[Node, Slot]:
        """The slots of the leaves: what a step starts from."""
        memory, slots = self.memory, dict[Node, Slot]()
        arguments = {
            "x": self._x(),
            "y": Slot(self.layout.outputs, (CURRENT, memory.y)),
            "t": Slot(1, (CURRENT, memory.t)),
        }
        for name, leaf in self.equation.leaves.items():
            slots[leaf] = self.states.get(name) or arguments[name]
        if self.equation.carried_output is not None:
            slots[self.equation.carried_output] = Slot(self.out.rows, (CURRENT, self.out.location[1]))
        return slots

    def _x(self) -> Slot:
        """The layer's inputs: the output of the layer below, or the network's inputs."""
        if self.below is not None:
            return self.dropped or self.below.out
        return Slot(self.layout.inputs, (CURRENT, self.memory.x))

    @property
    def is_looked_up(self) -> bool:
        """Whether the layer's inputs are class indices."""
        return self.memory.lookup and self.index == 0

    def statics(self) -> list[ProgramStep]:
        """Static values, once for a member."""
        lowering = self._lowering({})
        lowering.compute(dict(self.static_slots))
        return lowering.steps

    def start(self) -> list[ProgramStep]:
        """The states before the first step: the genome's, or 0."""
        steps = []
        for state, slot in self.states.items():
            name = f"{self.index}.{state}.initial"
            if name in self.layout.blocks:
                steps.append(ProgramStep("weight", slot, [], self.weights.vector(self.weights.block(name))))
            else:
                steps.append(self.memory.fill(slot, 0.0))
        return steps

    def begin(self) -> list[ProgramStep]:
        """The output of the current states, if a step starts from it."""
        if self.equation.carried_output is None:
            return []
        lowering = self._lowering(
            {k: v for k, v in {**self.leaves(), **self.static_slots}.items() if k is not self.equation.carried_output}
        )
        lowering.compute({self.equation.carried_output: Slot(self.out.rows, (CURRENT, self.out.location[1]))})
        return lowering.steps

    def forward(self) -> list[ProgramStep]:
        """One time step: new states and output, and the values that the backward pass keeps."""
        derivatives, equation = self.derivatives, self.equation
        self.blocks = {g: self._block(g) for g in equation.groups}
        self.maps = self._parts(self.blocks)
        placed = {**self.leaves(), **self.static_slots}
        # New states and the output go directly into the next frame.
        targets: dict[Node, Slot | None] = {
            equation.new_states[k]: self.new_states[s] for k, s in enumerate(equation.states)
        }
        targets[equation.output] = self.out
        # With gradients, also keep what the derivatives read, and the sources of maps, which `products` multiplies with
        # gates. Maps stay in their blocks; other values get a slot, placed once the order of the steps is known.
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
        return [*self._drop_out(), *steps]

    def _drop_out(self) -> list[ProgramStep]:
        """The step that multiplies what the layer below puts out by the factors of dropout."""
        if self.below is None or self.dropped is None or self.factors is None:
            return []
        return [ProgramStep("mul", self.dropped, [(self.below.out, True), (self.factors, True)])]

    def _block(self, group: Group) -> Slot:
        """The rows of a group. With gradients they are in each step's frame, where the maps' cotangents will replace
        them."""
        rows = sum(map(self.rows, group.maps))
        if self.derivatives is None:
            return Slot(rows, tiled=True)
        return Slot(rows, (CURRENT, self.memory.frame_rows.take(align_to_tile(rows))), tiled=True)

    def _place_kept(self, steps: Sequence[ProgramStep], maps_kept: set[Node], sources: Sequence[Node]) -> None:
        """Place kept values in the frame: in the rows of an affine map that they are the last to read, else in rows
        of their own."""
        last, mine = last_reads(steps), {slot: n for n, slot in self.kept_slots.items()}
        occupied = {self.maps[n] for n in maps_kept}
        # tanh of a map, say, overwrites the map: elementwise, of the same size, and nothing reads the map later. The
        # sources of maps are excluded: a gate will replace this map before `products` reads the source.
        for k, step in enumerate(steps):
            if step.target not in mine or step.target.place is not None:
                continue
            slot = step.target
            for operand, full in step.operands:
                is_free = operand.parent is not None and operand not in occupied and mine[slot] not in sources
                if is_free and full and operand.rows == slot.rows and last[operand] == k and step.is_elementwise:
                    occupied.add(operand)
                    slot.place = operand.location
                    break
            else:
                slot.place = (CURRENT, self.memory.frame_rows.take(slot.rows))

    # ---- operations with instructions of their own ------------------------------------------------------------------

    def _special_steps(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """The steps of an operation that depends on weights or sizes, by the method of its name."""
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
        """The slot of a value: a static one, a kept one, or a temporary one."""
        return self.static_slots.get(node) or self.kept_slots.get(node) or Slot(self.rows(node))

    def _affine(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """The product of a complete group, made for its first map."""
        group = next(g for g in self.equation.groups if node in g.maps)
        block = self.blocks[group]
        lowering.slots |= {m: self.maps[m] for m in group.maps}
        sources = [(k, s) for k, s in enumerate(group.sources) if not self._is_looked_up(s)]
        biases = self.weights.biases(self.index, group, [self.rows(m) for m in group.maps])
        steps = []
        # An instruction has four sources; further ones are added by further instructions, the bias by the first one.
        for first in range(0, max(1, len(sources)), SOURCES):
            chunk = sources[first : first + SOURCES]
            matrices = [self.weights.matrix(self.index, group, k) for k, _ in chunk]
            at = self.weights.product_without_bias(matrices) if first else self.weights.product(matrices, biases)
            slots = [lowering.slots[strip(s)] for _, s in chunk]
            steps.append(ProgramStep("affine", block, [(s, True) for s in slots], at, accumulate=first > 0))
        # class indices select a column of the weights instead of a product
        for k, source in enumerate(group.sources):
            if self._is_looked_up(source):
                steps += [self._lookup_step(m, k, "lookup") for m in group.maps]
        return steps

    def _is_looked_up(self, source: Node) -> bool:
        """Whether a source of a map is the class indices."""
        return self.is_looked_up and source is self.equation.leaves["x"]

    def _lookup_step(self, node: Node, source: int, op: str) -> ProgramStep:
        """The step that adds the looked-up weights to a map's rows ("lookup"), or keeps their cotangents
        ("lookup_back")."""
        name = self.weights.block_name(self.index, node, source)
        block = self.layout.blocks.get(name)
        if block is None or block.mask is not None:
            raise UnsupportedEquation("class indices as inputs of a map that is masked or fixed")
        x = Slot(1, (CURRENT, self.memory.x))
        rows = self.maps[node] if op == "lookup" else self.gates[node]
        if op == "lookup_back":
            return ProgramStep(op, rows, [(x, True)], counts=(self.memory.register_lookup(block.start, rows.rows),))
        return ProgramStep(op, rows, [(x, True)], block.start, counts=(self.layout.inputs,), accumulate=True)

    def _spread(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """The value of each block for all units of the block: an outer product with ones."""
        a, slot = lowering.slots[strip(node.nodes[0])], self._target(node)
        lowering.slots[node] = slot
        return [
            ProgramStep("outer", slot, [(a, True), (self.memory.constant(1.0), True)], counts=(slot.rows // a.rows, 0))
        ]

    def _outer(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """All products of two vectors' rows."""
        a, b = (lowering.slots[strip(n)] for n in node.nodes)
        slot = lowering.slots[node] = self._target(node)
        return [ProgramStep("outer", slot, [(a, True), (b, True)], counts=(b.rows, self.memory.row))]

    # ---- backward ---------------------------------------------------------------------------------------------------

    def _fold(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """Sums over the rows that share a value."""
        d, slot = lowering.slots[strip(node.nodes[0])], Slot(self.rows(node))
        lowering.slots[node] = slot
        row, count = self.memory.row, d.rows // slot.rows
        return [self._sum(slot, d, self.memory.constant(1.0), (count * row, 0, count, row))]

    def _dot(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """An outer product's cotangent times one of its factors, summed over that factor's rows."""
        d, other = (lowering.slots[strip(n)] for n in node.nodes)
        slot = lowering.slots[node] = Slot(self.rows(node))
        row, count = self.memory.row, other.rows
        strides = (count * row, row, count, row) if node.name == "fast" else (row, row, count, slot.rows * row)
        return [self._sum(slot, d, other, strides)]

    def _sum(self, to: Slot, a: Slot, b: Slot, numbers: tuple[int, int, int, int]) -> ProgramStep:
        """to[i] = Σₖ a[i·s + k·u]·b[k·v]; the numbers are s, v, how many k there are, u."""
        return ProgramStep("dot", to, [(a, True), (b, True)], counts=numbers)

    def _gate(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """A map's cotangent, moved to the rows of its group."""
        slot, value = self.gates[self.gate_of[node]], node.args[0]
        lowering.slots[node] = slot
        if isinstance(value, Node) and lowering.slots[strip(value)] is slot:
            return []
        return [ProgramStep("copy", slot, [lowering.operand(value, slot.rows)])]

    def _back(self, lowering: Lowering, node: Node) -> list[ProgramStep]:
        """Cotangents of maps through the transposed weights, added to the elementwise part of their source's
        cotangent."""
        assert self.derivatives is not None
        source, groups = self.derivatives.backs[node]
        slot, value, steps = self.back_slots[node], node.args[0], list[ProgramStep]()
        lowering.slots[node] = slot
        zero = not isinstance(value, Node)
        if isinstance(value, Node) and lowering.slots[strip(value)] is not slot:
            steps.append(ProgramStep("copy", slot, [lowering.operand(value, slot.rows)]))
        # `zero`: no elementwise part, so the first product writes and does not add
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
        """One time step backward: gates, cotangents of the previous states and of the layer's inputs, and sums of
        static values."""
        derivatives = self._require_derivatives()
        self.gate_of = {gate: node for node, gate in derivatives.gates.items()}
        # Gates get the same rows as the maps; `_place_gates` checks below whether that is possible.
        self.gate_blocks = {g: Slot(self.blocks[g].rows, self.blocks[g].place) for g in self.equation.groups}
        self.gates = self._parts(self.gate_blocks)
        placed = self._backward_inputs(derivatives)
        # `sinks` are stored, `sums` added to their slot's content. `targets` says which values are computed directly in
        # place; what is already somewhere else, or has two places, is copied (`copies`).
        sinks, sums = self._sinks(derivatives, placed), self._sums(derivatives, placed)
        values = [value for _, value in (*sinks, *sums)]
        reached = list(walk(*self.gate_of, *values))
        uses = Counter(strip(a) for n in reached for a in n.nodes)
        targets: dict[Node, Slot | None] = {v: None for _, v in sums if isinstance(v, Node)}

        def claim(value: Value, slot: Slot) -> bool:
            """Have a value computed in its place. False: it exists already, or has another place."""
            free = isinstance(value, Node) and strip(value) not in placed and value not in targets
            if free:
                targets[value] = slot  # type: ignore[index]
            return free

        # a gate whose value is computed here, not by `back`, is computed in its own rows
        for gate, node in self.gate_of.items():
            if not isinstance(gate.args[0], Node) or gate.args[0].op != "back":
                claim(gate.args[0], self.gates[node])
        copies = [(slot, value) for slot, value in sinks if not claim(value, slot)]
        # `back` accumulates in the slot of its result; the elementwise part is computed there if nothing else reads it
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
        """The slots of all that a backward step reads."""
        equation = self.equation
        placed = {**self.leaves(), **self.static_slots, **self.kept_slots}
        placed |= {derivatives.now[s]: slot for s, slot in self.now.items()}
        placed |= {n: self.maps[n] for n in derivatives.kept_nodes if n.op == "affine"}
        placed |= dict(zip(equation.new_states, self.new_states.values(), strict=True))
        return placed | {equation.output: self.out, derivatives.out: self.out_cotangent}

    def _sinks(self, derivatives: Derivatives, placed: dict[Node, Slot]) -> list[tuple[Slot, Value]]:
        """What is stored, with its slot: cotangents of the previous states, of the layer below and, by the top layer,
        of the previous output; cotangents of static values, added to their sums over time."""
        sinks: list[tuple[Slot, Value]] = []
        for node, value in derivatives.static_cotangents.items():
            sum_before = Node("given", (), node.size, "sum so far")
            placed[sum_before] = self.sums[node]
            sinks.append((self.sums[node], Node("add", (sum_before, value), node.size)))
        sinks += [(self.old[s], value) for s, value in derivatives.states.items()]
        below = self.below
        if below is not None and not below.shared_out:
            sinks.append((below.out_cotangent, self._x_cotangent(derivatives, placed) or 0.0))
        if self.memory.feedback and self._is_top:
            sinks.append((self.memory.dy, derivatives.y or 0.0))
        return sinks

    def _x_cotangent(self, derivatives: Derivatives, placed: dict[Node, Slot]) -> Value | None:
        """The cotangent of what the layer below puts out; None if nothing reads it."""
        value = derivatives.x
        if self.factors is None or not isinstance(value, Node):
            return value
        factors = Node("given", (), value.size, "factors of dropout")
        placed[factors] = self.factors
        return Node("mul", (value, factors), value.size)

    def _sums(self, derivatives: Derivatives, placed: dict[Node, Slot]) -> list[tuple[Slot, Value]]:
        """What is added to its slot once it is computed: cotangents of values that several layers read."""
        sums: list[tuple[Slot, Value]] = []
        below = self.below
        if below is not None and below.shared_out and (x := self._x_cotangent(derivatives, placed)) is not None:
            sums.append((below.out_cotangent, x))
        if not self._is_top and derivatives.y is not None:
            sums.append((self.memory.dy, derivatives.y))
        return sums

    @property
    def _is_top(self) -> bool:
        return self.index == self.layout.layers - 1

    def _place_gates(self, steps: list[ProgramStep]) -> list[ProgramStep]:
        """Place the gates: in the rows of their maps, or of what was kept there.

        A gate that is computed before those rows are read for the last time waits in a temporary slot. A group with a
        gate that can't wait so long gets rows of its own.
        """
        last, settled = last_reads(steps), list(steps)
        sources = {strip(s) for g in self.equation.groups for s in g.sources}
        residents: dict[Place, list[Slot]] = {}
        for slot in (*self.kept_slots.values(), *self.maps.values()):
            residents.setdefault(slot.location, []).append(slot)
        # `residents`: the values in each place. For each gate: when it is computed (k), when the residents end, and
        # whether it must wait. It must not if its own step is their last reader and works row by row.
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
            # a product that reads the gates (first_use) can't wait
            if any(end >= first_use for _, _, end in waits) or any(m in sources for m in group.maps):
                block.place = (CURRENT, self.memory.frame_rows.take(align_to_tile(block.rows)))
            else:
                for gate, k, end in waits:
                    self._delay(settled, gate, steps[k], steps[end])
        return settled

    def _delay(self, steps: list[ProgramStep], gate: Slot, writer: ProgramStep, reader: ProgramStep) -> None:
        """Compute a gate in a temporary slot and copy it to its place after the reader."""
        waiting = Slot(gate.rows)
        writer.target = waiting
        for step in steps:
            step.operands = [(waiting if slot is gate else slot, full) for slot, full in step.operands]
        steps.insert(steps.index(reader) + 1, ProgramStep("copy", gate, [(waiting, True)]))

    def products(self) -> list[ProgramStep]:
        """Gradients of weights, from the rows that all time steps of a segment have left: gates × sources, and gates
        × 1 for biases."""
        steps, placed = list[ProgramStep](), {**self._backward_inputs(self._require_derivatives()), **self.maps}
        for group, block in self.gate_blocks.items():
            sources = [(k, placed[strip(s)]) for k, s in enumerate(group.sources) if not self._is_looked_up(s)]
            # adjacent sources are the columns of one product
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
        """Set the sums over time to 0."""
        return [self.memory.fill(slot, 0.0) for slot in self.sums.values()]

    def finish(self) -> list[ProgramStep]:
        """Gradients of parameters per unit, from the sums over time."""
        derivatives = self._require_derivatives()
        lowering = self._lowering({**self.static_slots, **{derivatives.sums[n]: slot for n, slot in self.sums.items()}})
        cotangents = {n: v for n, v in derivatives.parameters.items() if isinstance(v, Node)}
        lowering.compute({v: None for v in cotangents.values() if v not in lowering.slots})
        return lowering.steps + [self._add_up(f"{self.index}.{n}", lowering.slots[v]) for n, v in cotangents.items()]

    def finish_start(self) -> list[ProgramStep]:
        """Gradients of learned initial states."""
        names = {s: f"{self.index}.{s}.initial" for s in self.states}
        return [self._add_up(n, self.now[s]) for s, n in names.items() if n in self.layout.blocks]

    def _add_up(self, block: str, slot: Slot) -> ProgramStep:
        """The step that adds a vector's cotangent to the packed gradient."""
        return ProgramStep("vector", slot, [(slot, True)], self.weights.vector_gradient(self.weights.block(block)))

    def _require_derivatives(self) -> Derivatives:
        assert self.derivatives is not None
        return self.derivatives

    def _parts(self, blocks: Mapping[Group, Slot]) -> dict[Node, Slot]:
        """A slot for each map of the groups, within the group's block."""
        return {
            m: part for g, b in blocks.items() for m, part in zip(g.maps, b.parts(map(self.rows, g.maps)), strict=True)
        }


def adjacent_runs(slots: Sequence[Slot]) -> list[list[int]]:
    """Runs of numbers of slots that lie one behind the other: together they are one source."""
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
