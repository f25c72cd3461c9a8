"""Where a program's values lie: the rows of a frame, what stays outside of frames, constants, and looked-up weights."""

from __future__ import annotations

from typing import Literal, TypeAlias

from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.steps import ABSOLUTE, CURRENT, NEXT, Place, ProgramStep, Slot, align_to_tile
from evornn.layout import Layout

Purpose: TypeAlias = Literal["losses", "gradients", "sums"]


class MemoryLayout:
    """The rows of a program. Layers take further ones: for what they keep in a frame, and for static values.

    A frame holds the rows of one time step; frames lie one behind the other at the end of the workspace, and all rows
    before them are addressed absolutely. Numbers are rows, relative to the frame or to the workspace.
    """

    def __init__(self, layout: Layout, vectors: int, purpose: Purpose, lookup: bool, dropout: bool = False) -> None:
        self.layout, self.purpose, self.lookup, self.dropout = layout, purpose, lookup, dropout
        self.row = vectors * LANES  # floats
        self.feedback, self.has_time = ("y" in layout.trace.leaves), ("t" in layout.trace.leaves)
        self.absolute, self.frame_rows = RowCounter(), RowCounter()
        self.constants: dict[float, Slot] = {}
        self.ones = self.constant(1.0).location[1]
        self._allocate_frame()
        self._allocate_persistent()
        self.lookups: list[tuple[int, int, int]] = []  # of each map: position in the genome, rows, rows before it

    def _allocate_frame(self) -> None:
        """The last output y, the time t, the inputs x and the layers' states, of one step."""
        take, outputs = self.frame_rows.take, self.layout.outputs
        has_gradient = self.purpose == "gradients"
        self.y = take(align_to_tile(outputs))
        self.t = take(1) if self.has_time else 0
        # e, the loss's gradient at the outputs, takes the place of the outputs unless the next step reads those
        self.e: Place = (CURRENT, take(align_to_tile(outputs))) if has_gradient and self.feedback else (NEXT, self.y)
        if self.purpose == "sums":
            # [h, 1, y], 0 where the step does not count; [h, 1]; c, whether it counts
            self.counted, self.plain = take(align_to_tile(self.layout.width + 1 + outputs)), take(self.layout.width + 9)
            self.c = take(1)
        width = 1 if self.lookup else self.layout.inputs
        self.inputs = width + (self.layout.dropout_width if self.dropout else 0)
        # x lies just before the first state, so that an affine map of both often has one source; with dropout, the
        # factors of the layers' outputs come between them
        self.x = take(self.inputs)
        self.factors = self.x + width
        self.state_rows = [
            {s: take(size) for s, size in self.layout.state_sizes(k).items()} for k in range(self.layout.layers)
        ]

    def _allocate_persistent(self) -> None:
        """Rows outside of frames that live for more than a step."""
        take, layout = self.absolute.take, self.layout
        # the step's loss; whether a member's weights are finite, with a scratch row; targets of a step, likewise
        self.total, self.bad, self.target = take(1), take(2), take(2)
        # the cotangent of the output that the step after it has read
        self.dy = Slot(layout.outputs, (ABSOLUTE, take(align_to_tile(layout.outputs))), tiled=True)
        cotangents = RowCounter()
        self.state_cotangents = [
            {s: cotangents.take(align_to_tile(size)) for s, size in layout.state_sizes(k).items()}
            for k in range(layout.layers)
        ]
        self.cotangent_rows = cotangents.end
        # cotangents of the new states and of the previous ones; the driver exchanges them after each step
        self.now, self.old = (take(cotangents.end) if self.purpose == "gradients" else 0 for _ in range(2))

    def constant(self, value: float) -> Slot:
        """A row with a number in every lane."""
        if value not in self.constants:
            self.constants[value] = Slot(1, (ABSOLUTE, self.absolute.take(1)))
        return self.constants[value]

    def fill(self, slot: Slot, value: float) -> ProgramStep:
        """The step that writes a number into all lanes of a slot."""
        return ProgramStep("copy", slot, [(self.constant(value), False)])

    def register_lookup(self, position: int, rows: int) -> int:
        """Note that a map looks up weights at a position of the genome; returns where its cotangents are kept."""
        offset = sum(rows for _, rows, _ in self.lookups)
        self.lookups.append((position, rows, offset))
        return offset

    def carried_rows(self) -> list[tuple[int, str, int, int]]:
        """(layer, name, first row in a frame, rows) of all that a later call continues from."""
        entries = []
        for layer, rows in enumerate(self.state_rows):
            entries += [(layer, s, rows[s], size) for s, size in self.layout.state_sizes(layer).items()]
            entries += [(layer, "y", self.y, self.layout.outputs)] if self.feedback else []
            entries += [(layer, "t", self.t, 1)] if self.has_time else []
        return entries


class RowCounter:
    """Hands out rows, one behind the other."""

    def __init__(self) -> None:
        self.end = 0

    def take(self, rows: int) -> int:
        """The first of so many further rows."""
        self.end += rows
        return self.end - rows
