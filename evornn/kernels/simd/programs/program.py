"""A network as a program: tables of instructions that `instructions` executes, and the layout of the memory they use.

    statics    once for a member: per-unit parameters, and what is computed from them alone
    start      once for a sequence: the states before the first step; `begin` the output of these, or of given ones
    step       one time step: all layers; `readout` then the network's outputs
    back       one time step backward, from the outputs' cotangents
    products   the weights' gradients, from all time steps of a segment
    finish     the gradients of what acts at every step, from the sums over time; `finish_start` of learned states

A row is `vectors` times 16 floats. An address is a row and a base (`steps`): the frame of the step, that of the next
one (where new states and the output belong), or the workspace, in which all that is not kept for later lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.kernels.simd.interpreter.instructions import AFFINE, ELEMENTWISE, OTHERS, WORDS
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.derivatives import Derivatives
from evornn.kernels.simd.programs.equation import Equation, strip
from evornn.kernels.simd.programs.layer_program import LayerProgram, adjacent_runs, join_slots
from evornn.kernels.simd.programs.steps import (
    ABSOLUTE,
    CURRENT,
    NEXT,
    Place,
    ProgramStep,
    RowPool,
    Slot,
    align_to_tile,
    allocate,
)
from evornn.kernels.simd.programs.weights import PackedWeights, product_positions
from evornn.layout import Layout

Purpose: TypeAlias = Literal["losses", "gradients", "sums"]


class Program:
    """Of a network at its size. `lookup`: inputs are class indices; `carry`: whether a step may use the output that the
    step before has left."""

    def __init__(
        self, layout: Layout, vectors: int, purpose: Purpose, lookup: bool = False, carry: bool = True
    ) -> None:
        self.layout, self.vectors, self.purpose, self.lookup = layout, vectors, purpose, lookup
        self.row = vectors * LANES  # floats
        self.equation = Equation(layout.trace)
        self.gradient = purpose == "gradients"
        self.derivatives = Derivatives(self.equation) if self.gradient else None
        self.carried_output = self.equation.carried_output if carry else None
        self.weights = PackedWeights(layout, vectors)
        self.feedback, self.has_time = ("y" in self.equation.leaves), ("t" in self.equation.leaves)
        self.absolute = RowCounter()
        self.constants: dict[float, Slot] = {}
        self.ones = self.constant(1.0).location[1]
        self._allocate_frame()
        self._allocate_persistent()
        self.lookups: list[tuple[int, int, int]] = []  # of maps: place in the genome, rows, rows of those before
        self.layers = [LayerProgram(self, k) for k in range(layout.layers)]
        self._assemble()

    # ---- memory -----------------------------------------------------------------------------------------------------

    def _allocate_frame(self) -> None:
        """Of a step: the last output, time, the inputs, then the layers' states; layers add what they keep."""
        frame = self.frame_rows = RowCounter()
        outputs = self.layout.outputs
        self.y = frame.take(align_to_tile(outputs))
        self.t = frame.take(1) if self.has_time else 0
        # the outputs' cotangents take the place of the outputs, unless the next step reads those
        self.e: Place = (
            (CURRENT, frame.take(align_to_tile(outputs))) if self.gradient and self.feedback else (NEXT, self.y)
        )
        if self.purpose == "sums":
            self.counted, self.plain = (
                frame.take(align_to_tile(self.layout.width + 1 + outputs)),
                frame.take(self.layout.width + 9),
            )
            self.c = frame.take(1)
        self.inputs = 1 if self.lookup else self.layout.inputs
        self.x = frame.take(self.inputs)  # just before the first state: often one source
        self.state_rows = [
            {s: frame.take(size) for s, size in self.layout.state_sizes(k).items()} for k in range(self.layout.layers)
        ]

    def _allocate_persistent(self) -> None:
        """What stays for longer than a step outside of frames."""
        take, layout = self.absolute.take, self.layout
        self.total, self.bad, self.target = take(1), take(2), take(2)
        self.dy = Slot(layout.outputs, (ABSOLUTE, take(align_to_tile(layout.outputs))), tiled=True)
        cotangents = RowCounter()
        self.state_cotangents = [
            {s: cotangents.take(align_to_tile(size)) for s, size in layout.state_sizes(k).items()}
            for k in range(layout.layers)
        ]
        self.cotangent_rows = cotangents.end
        self.now, self.old = (take(cotangents.end) if self.gradient else 0 for _ in range(2))

    def constant(self, value: float) -> Slot:
        """A row with a number in every lane."""
        if value not in self.constants:
            self.constants[value] = Slot(1, (ABSOLUTE, self.absolute.take(1)))
        return self.constants[value]

    # ---- the tables -------------------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        layers = self.layers
        sections: dict[str, list[list[ProgramStep]]] = {
            "statics": [layer.statics() for layer in layers],
            "start": [self._start(), *(layer.start() for layer in layers)],
            "begin": [layer.begin() for layer in layers],
        }
        sections["step"] = [layer.forward() for layer in layers] + [self._tick()]
        sections["readout"] = [self._readout()]
        if self.purpose == "sums":
            sections["readout"], sections["products"] = [self._gather()], [self._readout_sums()]
        if self.gradient:
            sections["back"] = [self._readout_back(), *(layer.backward() for layer in reversed(layers))]
            sections["products"] = [self._readout_products(), *(layer.products() for layer in layers)]
            sections["clear"] = [[self.fill(self.dy, 0.0)], *(layer.clear() for layer in layers)]
            sections["finish"] = [layer.finish() for layer in layers]
            sections["finish_start"] = [layer.finish_start() for layer in layers]
        pool = RowPool(self.absolute.end)
        for parts in sections.values():
            for steps in parts:
                pool.free = [(self.absolute.end, pool.end - self.absolute.end)] if pool.end > self.absolute.end else []
                allocate(steps, pool)
        self.frame = (self.frame_rows.end | 1) * self.row  # an odd number of rows: frames share no cache sets
        self.frames_start = (pool.end + 16) * self.row  # where frames begin
        self.code = {name: self._encode([step for part in parts for step in part]) for name, parts in sections.items()}
        self.code["step_readout"] = np.concatenate([self.code["step"], self.code["readout"]])

    def _start(self) -> list[ProgramStep]:
        """Last output and time before the first step: 0."""
        slots = [Slot(self.layout.outputs, (CURRENT, self.y))] + ([Slot(1, (CURRENT, self.t))] if self.has_time else [])
        return [self.fill(slot, 0.0) for slot in slots]

    def _tick(self) -> list[ProgramStep]:
        if not self.has_time:
            return []
        return [
            ProgramStep(
                "add", Slot(1, (NEXT, self.t)), [(Slot(1, (CURRENT, self.t)), True), (self.constant(1.0), False)]
            )
        ]

    def _readout(self) -> list[ProgramStep]:
        y, out = Slot(self.layout.outputs, (NEXT, self.y), tiled=True), self.layers[-1].out
        if not self.layout.readout:
            return [ProgramStep("copy", y, [(Slot(y.rows, out.location), True)])]
        w = self.weights
        at = w.product([w.block("readout.weight")], w.block("readout.bias"))
        return [ProgramStep("affine", y, [(out, True)], at)]

    def _readout_back(self) -> list[ProgramStep]:
        """The outputs' cotangents to what the last layer puts out."""
        e, out, steps = Slot(self.layout.outputs, self.e), self.layers[-1].out_cotangent, list[ProgramStep]()
        if self.feedback:
            steps = [ProgramStep("add", e, [(e, True), (self.dy, True)])]
        if not self.layout.readout:
            first = Slot(e.rows, out.location)
            if not self.layers[-1].shared_out:
                steps.append(self.fill(out, 0.0))
            return [*steps, ProgramStep("add", first, [(first, True), (e, True)])]
        w = self.weights
        matrix = w.block("readout.weight").T
        if self.layers[-1].shared_out:
            return [*steps, ProgramStep("affine", out, [(e, True)], w.product_without_bias([matrix]), accumulate=True)]
        return [*steps, ProgramStep("affine", out, [(e, True)], w.product([matrix], np.full(len(matrix), -1)))]

    def _readout_products(self) -> list[ProgramStep]:
        if not self.layout.readout:
            return []
        w, e = self.weights, Slot(self.layout.outputs, self.e)
        at = w.product_gradient(w.block("readout.weight"))
        return [
            ProgramStep("product", e, [(e, True), (self.layers[-1].out, True)], at),
            ProgramStep("total", e, [(e, True)], w.product_gradient(w.block("readout.bias")[:, None])),
        ]

    def _gather(self) -> list[ProgramStep]:
        """In each frame [h, 1, y], 0 where the step does not count (`c`), and [h, 1]. The driver has put y, the target,
        where the output would be, and c."""
        width, outputs, out = self.layout.width, self.layout.outputs, self.layers[-1].out
        y, c = Slot(outputs, (NEXT, self.y)), Slot(1, (CURRENT, self.c))
        counted, plain = Slot(width + 1 + outputs, (CURRENT, self.counted)), Slot(width + 1, (CURRENT, self.plain))
        h, one, target = counted.parts((width, 1, outputs))
        same, ones = plain.parts((width, 1))
        chosen = [ProgramStep("slope_relu", to, [(c, False), (value, True)]) for to, value in ((h, out), (target, y))]
        return [
            *chosen,
            ProgramStep("copy", one, [(c, True)]),
            ProgramStep("copy", same, [(out, True)]),
            self.fill(ones, 1.0),
        ]

    def _readout_sums(self) -> list[ProgramStep]:
        """[h, 1, y][h, 1]ᵀ."""
        width = self.layout.width + 1
        rows, columns = Slot(width + self.layout.outputs, (CURRENT, self.counted)), Slot(width, (CURRENT, self.plain))
        self.sums, self.weights.gradient_size = product_positions(rows.rows, columns.rows, 0)
        return [ProgramStep("product", rows, [(rows, True), (columns, True)])]

    def fill(self, slot: Slot, value: float) -> ProgramStep:
        return ProgramStep("copy", slot, [(self.constant(value), False)])

    def register_lookup(self, position: int, rows: int) -> int:
        """Note that a map looks up weights at a place of the genome; returns where its cotangents are kept."""
        offset = sum(rows for _, rows, _ in self.lookups)
        self.lookups.append((position, rows, offset))
        return offset

    def _encode(self, steps: Sequence[ProgramStep]) -> NDArray[np.int64]:
        """[instructions · WORDS]."""
        steps = merge_steps(steps)
        table = np.zeros((len(steps), WORDS), np.int64)
        for words, step in zip(table, steps, strict=True):
            words[:4] = self._number(step), step.target.rows, self.address(step.target.location), step.weights
            for k, (slot, full) in enumerate(self._sources(step)):
                words[4 + 2 * k] = self.address(slot.location)
                if step.is_elementwise:
                    words[5 + 2 * k] = -1 if full else self.row - 1
                else:
                    words[5 + 2 * k] = slot.rows
            for k, count in enumerate(step.counts):
                words[WORDS - len(step.counts) + k] = count
        return table.ravel()

    def _sources(self, step: ProgramStep) -> list[tuple[Slot, bool]]:
        """A step's operands; sources of a product that lie one behind the other are one."""
        if step.op != "affine":
            return step.operands
        slots = [slot for slot, _ in step.operands]
        return [(join_slots([slots[k] for k in run]), True) for run in adjacent_runs(slots)]

    def _number(self, step: ProgramStep) -> int:
        if step.op == "affine":
            return AFFINE + 2 * (max(1, len(self._sources(step))) - 1) + step.accumulate
        return ELEMENTWISE[step.op] if step.is_elementwise else OTHERS[step.op]

    def address(self, place: Place) -> int:
        base, row = place
        return row * self.row << 3 | base

    def carried_rows(self) -> list[tuple[int, str, int, int]]:
        """(layer, name, first row in a frame, rows) of all that a later call goes on from."""
        entries = []
        for layer, rows in enumerate(self.state_rows):
            entries += [(layer, s, rows[s], size) for s, size in self.layout.state_sizes(layer).items()]
            entries += [(layer, "y", self.y, self.layout.outputs)] if self.feedback else []
            entries += [(layer, "t", self.t, 1)] if self.has_time else []
        return entries


def merge_steps(steps: Sequence[ProgramStep]) -> list[ProgramStep]:
    """Elementwise steps that do the same with rows one behind the other as one: an LSTM's three gates."""
    result: list[ProgramStep] = []
    for step in steps:
        if result and (merged_step := _merge_pair(result[-1], step)) is not None:
            result[-1] = merged_step
        else:
            result.append(step)
    return result


def _merge_pair(a: ProgramStep, b: ProgramStep) -> ProgramStep | None:
    if a.op != b.op or not a.is_elementwise or not all(full for _, full in (*a.operands, *b.operands)):
        return None
    pairs = [(a.target, b.target), *((x, y) for (x, _), (y, _) in zip(a.operands, b.operands, strict=True))]
    if not all(len(adjacent_runs(pair)) == 1 for pair in pairs) or any(
        _overlap(a.target, slot) for slot, _ in b.operands
    ):
        return None
    return ProgramStep(a.op, join_slots(pairs[0]), [(join_slots(pair), True) for pair in pairs[1:]])


def _overlap(a: Slot, b: Slot) -> bool:
    (base, row), (other, start) = a.location, b.location
    return base == other and row < start + b.rows and start < row + a.rows


def can_look_up(layout: Layout) -> bool:
    """Whether the inputs' weights can be looked up by class indices: only maps read them, and no weight is missing."""
    equation = Equation(layout.trace)
    if (x := equation.leaves.get("x")) is None:
        return False
    readers = [n for n in (*equation.order, equation.output) if x in map(strip, n.nodes)]
    names = [n for n in layout.blocks if n.startswith("0.") and n.endswith(".x")]
    maps = {n.name for n in readers if n.op == "affine"}
    is_complete = all(layout.blocks[n].mask is None for n in names) and maps == {n.split(".")[1] for n in names}
    return is_complete and all(n.op == "affine" and n.nodes.count(x) == 1 for n in readers) and x is not equation.output


class RowCounter:
    """Hands out rows, one behind the other."""

    def __init__(self) -> None:
        self.end = 0

    def take(self, rows: int) -> int:
        self.end += rows
        return self.end - rows
