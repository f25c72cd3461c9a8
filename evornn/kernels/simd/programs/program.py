"""A network as a program: tables of instructions that `instructions` executes, and the sizes of the memory they use.

    statics       once for a member: parameters per unit, and what is computed from them alone
    start, begin  once for a sequence: the states before the first step; the output of these states, if a step reads it
    step          one time step: all layers
    readout       the network's outputs; in a program of sums, [h, 1, y] in their place
    back          one time step backward, from the outputs' cotangents
    products      the weights' gradients, from all time steps of a segment
    clear         sums over time are set to 0
    finish        the gradients of parameters per unit, from the sums over time; `finish_start` those of initial states

A row is `vectors` times 16 floats. An address is a row and a base (see `steps`): the frame of the step, that of the
next step (which receives new states and the output), or the workspace, which holds what need not be kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evornn.kernels.simd.interpreter.instructions import AFFINE, ELEMENTWISE, OTHERS, WORDS
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.derivatives import Derivatives
from evornn.kernels.simd.programs.equation import Equation, strip
from evornn.kernels.simd.programs.layer_program import LayerProgram, ProgramContext, adjacent_runs, join_slots
from evornn.kernels.simd.programs.memory_layout import MemoryLayout, Purpose
from evornn.kernels.simd.programs.steps import CURRENT, NEXT, Place, ProgramStep, RowPool, Slot, allocate
from evornn.kernels.simd.programs.weights import PackedWeights, product_positions
from evornn.layout import Layout


class Program:
    """The program of a network at its size, for one purpose. With `lookup`, inputs are class indices; with `dropout`,
    the outputs of all layers but the last are multiplied by factors that come behind the inputs."""

    def __init__(
        self, layout: Layout, vectors: int, purpose: Purpose, lookup: bool = False, dropout: bool = False
    ) -> None:
        self.layout, self.purpose = layout, purpose
        self.row = vectors * LANES  # floats
        equation = Equation(layout.trace)
        self.derivatives = Derivatives(equation) if purpose == "gradients" else None
        self.weights, self.memory = (
            PackedWeights(layout, vectors),
            MemoryLayout(layout, vectors, purpose, lookup, dropout),
        )
        context = ProgramContext(layout, equation, self.derivatives, self.weights, self.memory)
        self.layers: list[LayerProgram] = []
        for k in range(layout.layers):
            self.layers.append(LayerProgram(context, k, self.layers[-1] if self.layers else None))
        self._assemble()

    # ---- the tables -------------------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        """Make all tables. The order matters: forward parts place what they keep in the frame before backward parts
        read it."""
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
        if self.purpose == "gradients":
            sections["back"] = [self._readout_back(), *(layer.backward() for layer in reversed(layers))]
            sections["products"] = [self._readout_products(), *(layer.products() for layer in layers)]
            sections["clear"] = [[self.memory.fill(self.memory.dy, 0.0)], *(layer.clear() for layer in layers)]
            sections["finish"] = [layer.finish() for layer in layers]
            sections["finish_start"] = [layer.finish_start() for layer in layers]
        self._allocate([steps for parts in sections.values() for steps in parts])
        self.code = {name: self._encode([step for part in parts for step in part]) for name, parts in sections.items()}
        self.code["step_readout"] = np.concatenate([self.code["step"], self.code["readout"]])

    def _allocate(self, parts: Sequence[Sequence[ProgramStep]]) -> None:
        """Rows for temporary values, which live within one part only: each part uses the same rows again."""
        first = self.memory.absolute.end
        pool = RowPool(first)
        for steps in parts:
            pool.free = [(first, pool.end - first)] if pool.end > first else []
            allocate(steps, pool)
        self.frame = (self.memory.frame_rows.end | 1) * self.row  # an odd number of rows: frames share no cache sets
        self.frames_start = (pool.end + 16) * self.row

    def _start(self) -> list[ProgramStep]:
        """Last output and time before the first step: 0."""
        memory = self.memory
        slots = [Slot(self.layout.outputs, (CURRENT, memory.y))]
        slots += [Slot(1, (CURRENT, memory.t))] if memory.has_time else []
        return [memory.fill(slot, 0.0) for slot in slots]

    def _tick(self) -> list[ProgramStep]:
        """The time of the next step."""
        memory = self.memory
        if not memory.has_time:
            return []
        t = Slot(1, (CURRENT, memory.t))
        return [ProgramStep("add", Slot(1, (NEXT, memory.t)), [(t, True), (memory.constant(1.0), False)])]

    def _readout(self) -> list[ProgramStep]:
        """The outputs of the last layer, or its first units where there is no read-out."""
        y, out = Slot(self.layout.outputs, (NEXT, self.memory.y), tiled=True), self.layers[-1].out
        if not self.layout.readout:
            return [ProgramStep("copy", y, [(Slot(y.rows, out.location), True)])]
        w = self.weights
        at = w.product([w.block("readout.weight")], w.block("readout.bias"))
        return [ProgramStep("affine", y, [(out, True)], at)]

    def _readout_back(self) -> list[ProgramStep]:
        """The outputs' cotangents, added to what the last layer puts out."""
        e, out, steps = Slot(self.layout.outputs, self.memory.e), self.layers[-1].out_cotangent, list[ProgramStep]()
        if self.memory.feedback:
            steps = [ProgramStep("add", e, [(e, True), (self.memory.dy, True)])]
        # without a read-out, the outputs are the first rows of what the layer puts out
        if not self.layout.readout:
            first = Slot(e.rows, out.location)
            if not self.layers[-1].shared_out:
                steps.append(self.memory.fill(out, 0.0))
            return [*steps, ProgramStep("add", first, [(first, True), (e, True)])]
        w = self.weights
        matrix = w.block("readout.weight").T
        if self.layers[-1].shared_out:
            return [*steps, ProgramStep("affine", out, [(e, True)], w.product_without_bias([matrix]), accumulate=True)]
        return [*steps, ProgramStep("affine", out, [(e, True)], w.product([matrix], np.full(len(matrix), -1)))]

    def _readout_products(self) -> list[ProgramStep]:
        """The gradients of the read-out's weights and biases."""
        if not self.layout.readout:
            return []
        w, e = self.weights, Slot(self.layout.outputs, self.memory.e)
        at = w.product_gradient(w.block("readout.weight"))
        return [
            ProgramStep("product", e, [(e, True), (self.layers[-1].out, True)], at),
            ProgramStep("total", e, [(e, True)], w.product_gradient(w.block("readout.bias")[:, None])),
        ]

    def _gather(self) -> list[ProgramStep]:
        """In each frame [h, 1, y], 0 where the step does not count (c), and [h, 1]. The driver has put y, the target,
        into the place of the output, and c."""
        width, outputs, out = self.layout.width, self.layout.outputs, self.layers[-1].out
        y, c = Slot(outputs, (NEXT, self.memory.y)), Slot(1, (CURRENT, self.memory.c))
        counted, plain = (
            Slot(width + 1 + outputs, (CURRENT, self.memory.counted)),
            Slot(width + 1, (CURRENT, self.memory.plain)),
        )
        h, one, target = counted.parts((width, 1, outputs))
        same, ones = plain.parts((width, 1))
        chosen = [ProgramStep("slope_relu", to, [(c, False), (value, True)]) for to, value in ((h, out), (target, y))]
        return [
            *chosen,
            ProgramStep("copy", one, [(c, True)]),
            ProgramStep("copy", same, [(out, True)]),
            self.memory.fill(ones, 1.0),
        ]

    def _readout_sums(self) -> list[ProgramStep]:
        """[h, 1, y][h, 1]ᵀ, summed over time."""
        width = self.layout.width + 1
        rows, columns = (
            Slot(width + self.layout.outputs, (CURRENT, self.memory.counted)),
            Slot(width, (CURRENT, self.memory.plain)),
        )
        self.sums, self.weights.gradient_size = product_positions(rows.rows, columns.rows, 0)
        return [ProgramStep("product", rows, [(rows, True), (columns, True)])]

    def _encode(self, steps: Sequence[ProgramStep]) -> NDArray[np.int64]:
        """[instructions · WORDS]: operation, rows, target, position of weights; then each operand's address with its
        rows or mask; at the end the further numbers."""
        steps = merge_steps(steps)
        table = np.zeros((len(steps), WORDS), np.int64)
        for words, step in zip(table, steps, strict=True):
            words[:4] = self._number(step), step.target.rows, self.address(step.target.location), step.weights
            for k, (slot, full) in enumerate(self._sources(step)):
                words[4 + 2 * k] = self.address(slot.location)
                # −1 keeps the offset within the rows, row − 1 folds it into one row: an operand's row for every row of
                # the result
                if step.is_elementwise:
                    words[5 + 2 * k] = -1 if full else self.row - 1
                else:
                    words[5 + 2 * k] = slot.rows
            for k, count in enumerate(step.counts):
                words[WORDS - len(step.counts) + k] = count
        return table.ravel()

    def _sources(self, step: ProgramStep) -> list[tuple[Slot, bool]]:
        """A step's operands. Adjacent sources of a product are one."""
        if step.op != "affine":
            return step.operands
        slots = [slot for slot, _ in step.operands]
        return [(join_slots([slots[k] for k in run]), True) for run in adjacent_runs(slots)]

    def _number(self, step: ProgramStep) -> int:
        """The number of a step's operation; that of an affine map says how many sources it has and whether it adds."""
        if step.op == "affine":
            return AFFINE + 2 * (max(1, len(self._sources(step))) - 1) + step.accumulate
        return ELEMENTWISE[step.op] if step.is_elementwise else OTHERS[step.op]

    def address(self, place: Place) -> int:
        """A place as an address: its position in floats, times 8, plus the number of its base."""
        base, row = place
        return row * self.row << 3 | base


def merge_steps(steps: Sequence[ProgramStep]) -> list[ProgramStep]:
    """Elementwise steps that do the same with adjacent rows become one: an LSTM's three gates."""
    result: list[ProgramStep] = []
    for step in steps:
        if result and (merged_step := _merge_pair(result[-1], step)) is not None:
            result[-1] = merged_step
        else:
            result.append(step)
    return result


def _merge_pair(a: ProgramStep, b: ProgramStep) -> ProgramStep | None:
    """Two steps as one; None where rows are not adjacent, or the second reads what the first writes."""
    if a.op != b.op or not a.is_elementwise or not all(full for _, full in (*a.operands, *b.operands)):
        return None
    pairs = [(a.target, b.target), *((x, y) for (x, _), (y, _) in zip(a.operands, b.operands, strict=True))]
    if not all(len(adjacent_runs(pair)) == 1 for pair in pairs) or any(
        _overlap(a.target, slot) for slot, _ in b.operands
    ):
        return None
    return ProgramStep(a.op, join_slots(pairs[0]), [(join_slots(pair), True) for pair in pairs[1:]])


def _overlap(a: Slot, b: Slot) -> bool:
    """Whether two slots share rows."""
    (base, row), (other, start) = a.location, b.location
    return base == other and row < start + b.rows and start < row + a.rows


def can_look_up(layout: Layout) -> bool:
    """Whether the inputs' weights can be looked up by class indices: only maps read the inputs, and no weight is
    masked or fixed."""
    equation = Equation(layout.trace)
    if (x := equation.leaves.get("x")) is None:
        return False
    readers = [n for n in (*equation.order, equation.output) if x in map(strip, n.nodes)]
    names = [n for n in layout.blocks if n.startswith("0.") and n.endswith(".x")]
    maps = {n.name for n in readers if n.op == "affine"}
    is_complete = all(layout.blocks[n].mask is None for n in names) and maps == {n.split(".")[1] for n in names}
    return is_complete and all(n.op == "affine" and n.nodes.count(x) == 1 for n in readers) and x is not equation.output
