"""A network's program, run for a population: losses, gradients, outputs, sums for a read-out.

Members are computed one by one, or in lanes that don't affect each other, so a member's bits depend neither on the
number of threads nor on its place in the population nor on how the population is divided into shards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats
from evornn.kernels.simd.interpreter.call_numbers import CALL, COUNT, MAX_PRODUCT_STEPS, OFFSETS, TABLES
from evornn.kernels.simd.interpreter.instructions import SETTINGS, WORDS
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.memory_layout import Purpose
from evornn.kernels.simd.programs.program import Program
from evornn.kernels.simd.programs.steps import NEXT
from evornn.kernels.simd.runtime.lane_layout import LaneData, LaneLayout, StreamedLaneData, address_of
from evornn.kernels.simd.runtime.machine_code import address, function
from evornn.kernels.simd.runtime.threads import buffers, parallel_for
from evornn.layout import Layout

_DATA = OFFSETS["data"] - OFFSETS[CALL[0]]
_CALL = slice(OFFSETS[CALL[0]], OFFSETS[CALL[-1]] + 1)
_SCRATCH = slice(OFFSETS["bases"], OFFSETS["lookup_cotangents"] + 1)
NO_CODE = np.zeros(0, np.int64)
State: TypeAlias = list[dict[str, Floats]]  # per layer: state name → [P, B, size]


@dataclass
class Call:
    """What a call computes beyond losses, and where results go: flat arrays in the order of lanes."""

    loss: int
    outputs: Floats | None = None  # where outputs go
    frames: Floats | None = None  # frames that rounds start from (`resume`) and end with (`carry`)
    resume: bool = False
    carry: bool = False
    outside: Floats | None = None  # gradients at the outputs, for the loss EXTERNAL; levels [O], for QUANTILE
    memory: int = 0  # bytes that stored time steps may take in each thread


class Kernel:
    """The program of a network for one purpose and one lane layout."""

    def __init__(
        self, layout: Layout, purpose: Purpose, lanes: LaneLayout, lookup: bool, dropout: bool = False
    ) -> None:
        self.layout, self.purpose, self.lanes = layout, purpose, lanes
        self.program = Program(layout, lanes.vectors, purpose, lookup, dropout)
        weights = self.program.weights
        self.index, self.template = weights.index, weights.template
        self.positions = weights.positions
        self.weight_stride = _align(weights.size)
        self.gradient_stride = _align(weights.gradient_size)

    @property
    def gradient_floats(self) -> int:
        """Floats of a group's packed gradient."""
        lanes = self.lanes
        return self.gradient_stride * (LANES if lanes.wide else 1) * (1 if lanes.same_members else lanes.vectors)

    def _numbers(self) -> dict[str, int]:
        """The numbers of a call that are the same for all calls."""
        program, memory, lanes, row = self.program, self.program.memory, self.lanes, self.program.row
        return {
            "row": row, "wide": lanes.wide, "same_members": lanes.same_members,
            "weight_stride": self.weight_stride, "gradient_stride": self.gradient_stride,
            "inputs": memory.inputs, "outputs": self.layout.outputs, "frame": program.frame,
            "first": program.frames_start, "x_row": memory.x * row, "y_row": memory.y * row,
            "e_row": memory.e[1] * row, "e_base": memory.e[0] == NEXT,
            "total": memory.total * row, "target": memory.target * row, "bad": memory.bad * row,
            "now": memory.now * row, "old": memory.old * row, "cotangents": memory.cotangent_rows * row,
            "feedback": memory.feedback, "weights": len(self.index), "n": self.layout.n,
            "rounds": lanes.rounds, "constants": len(memory.constants),
            "counted": memory.c * row if self.purpose == "sums" else -1, "ones": memory.ones * row,
            "lookup_floats": self.lookup_floats, "lookups": len(memory.lookups), "classes": self.layout.inputs,
        }  # fmt: skip

    def _constants(self) -> Floats:
        """Pairs of a number and the row that it fills."""
        pairs = [(value, slot.location[1]) for value, slot in self.program.memory.constants.items()]
        return np.array(pairs or [(0, 0)], np.float32).ravel()

    def run(self, genomes: Floats, data: LaneData, call: Call, threads: int) -> tuple[Floats, Floats | None, Any]:
        """Compute a population.

        Args:
            genomes: [P, n].
            data: sequences in lanes.
            call: what to compute beyond losses.
            threads: CPU threads.

        Returns:
            [P] losses; [P, n] gradients, of a kernel for gradients; the packed sums of every group and round, of a
                kernel for sums
            or where threads share rounds.
        """
        genomes = np.ascontiguousarray(genomes)
        population, n = genomes.shape
        segment = self._segment(data, call) if self.purpose == "gradients" else 0
        if segment and data.class_inputs and isinstance(data, StreamedLaneData):
            data = data.whole()  # which the gradients of looked-up weights read once more: a number for each step
        groups, rounds = self.lanes.shape(population)
        # Threads share the groups of members. With fewer groups than threads they share the rounds of sequences: each
        # leaves its sums by itself in `shared`, and `_conclude` adds them up in order, so the bits are the same.
        # Rounds that are not all in memory at once are left and added up in the same way.
        split = (data.is_streamed or (rounds > 1 and groups < threads)) and self.purpose != "sums"
        needs_sums = split or self.purpose == "sums"
        shared = self._allocate_shared(groups, data.steps, split) if needs_sums else None
        # losses, then gradients; zeros, since the gradients of looked-up weights are added to them
        buffer = np.zeros(population + (population * n if segment else 0), np.float32)
        result = address_of(buffer)
        # in the order of `call_numbers.CALL`
        optional = (call.outside, call.outputs, call.frames)
        numbers = np.array((
            population, address_of(genomes), data.steps, segment, data.size, call.loss, call.outputs is not None,
            call.resume, call.carry, split, data.weight_bits, 0,
            *(0 if array is None else address_of(array) for array in optional), result, result + 4 * population,
        ))  # fmt: skip
        sizes, run, table = self._scratch(data.steps, segment), function("run"), self.table

        # one thread's part: the numbers of this call in its own buffer, with its own scratch arrays
        def part(first: int, last: int, begin: int, end: int) -> None:
            places, P = buffers.get(sizes), buffers.numbers
            P[:] = table
            P[_CALL] = numbers
            P[_SCRATCH] = places if shared is None else [*places[:-3], *map(address_of, shared)]
            run(buffers.address, first, last, begin, end)

        for here, numbers[_DATA] in data.portions():
            if split:
                each = partial(_one_round, part, population, here.start)
                parallel_for(each, len(here), threads, 1, one_by_one=True)
            else:
                parallel_for(partial(part, begin=here.start, end=here.stop), population, threads, self.lanes.members)
        if split and shared is not None:
            self._conclude(numbers, shared)
        gradients = buffer[population:].reshape(population, n) if segment else None
        return buffer[:population], gradients, None if shared is None else shared[1]

    def _allocate_shared(self, groups: int, steps: int, split: bool) -> tuple[Any, Any, Any]:
        """Arrays for all groups and rounds: sums of losses, packed gradients (or sums for a read-out), and cotangents
        of looked-up weights."""
        shape = groups, self.lanes.rounds
        packed = np.empty((*shape, self.gradient_floats), np.float32 if split else np.float64)
        lookup_cotangents = np.empty((*shape, steps * self.lookup_floats), np.float32)
        return np.empty((*shape, self.lanes.row)), packed, lookup_cotangents

    @cached_property
    def lookup_floats(self) -> int:
        """Floats of a step's cotangents of looked-up weights."""
        return sum(rows for _, rows, _ in self.program.memory.lookups) * self.program.row

    @lru_cache(8)  # noqa: B019  # kernels are kept for longer
    def _scratch(self, steps: int, segment: int) -> tuple[int, ...]:
        """The floats of each array in `call_numbers.SCRATCH`, from `bases` on, that a thread needs."""
        program, size = self.program, self.gradient_floats if segment else 0
        # losses alternate two frames; gradients store a segment's and the next one, sums those of a product
        frames = 2 if self.purpose == "losses" else (segment or min(MAX_PRODUCT_STEPS, steps)) + 1
        checkpoints = (-(-steps // segment) - 1) * program.frame if segment else 0
        workspace = program.frames_start + frames * program.frame + 32 * program.row
        weights, sums = self.weight_stride * self.lanes.members, 2 * self.lanes.rounds * self.lanes.row
        lookups = self.lanes.rounds * steps * self.lookup_floats if segment else 0
        return 16, 2 * SETTINGS, workspace, weights, self.gradient_floats + 256, checkpoints, sums, size, lookups

    def _conclude(self, numbers: NDArray[np.int64], shared: tuple[Any, Any, Any]) -> None:
        """Add up the rounds that different threads have computed, in order."""
        sums, packed, lookup_cotangents = shared
        totals = sum_rounds(packed)
        P = self.table.copy()
        P[_CALL], P[OFFSETS["sums"]] = numbers, address_of(sums)
        P[OFFSETS["lookup_cotangents"]] = address_of(lookup_cotangents)
        population = int(P[OFFSETS["members"]])
        for group, first in enumerate(range(0, population, self.lanes.members)):
            P[OFFSETS["partial"]] = address_of(totals[group])
            function("conclude")(address_of(P), first, population)

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """The numbers of a call, filled in as far as all calls share them."""
        numbers = np.zeros(COUNT, np.int64)
        for k, name in enumerate(TABLES):
            code = self.program.code.get(name, NO_CODE)
            numbers[2 * k], numbers[2 * k + 1] = address_of(code), len(code) // WORDS
        for name, number in self._numbers().items():
            numbers[OFFSETS[name]] = number
        self.arrays = {
            "index": self.index, "template": self.template, "positions": self.positions, "filled": self._constants(),
            "lookup_table": np.array(self.program.memory.lookups or [(0, 0, 0)], np.int64),
        }  # fmt: skip
        for name, array in self.arrays.items():
            numbers[OFFSETS[name]] = address_of(array)
        numbers[OFFSETS["execute"]] = address("execute")
        return numbers

    def _segment(self, data: LaneData, call: Call) -> int:
        """Time steps whose frames are stored at a time."""
        return max(1, min(data.steps, call.memory // (self.program.frame * 4) - 1))

    # ---- states, between frames and [P, B, size] --------------------------------------------------------------------

    def frames(self, state: State | None, population: int) -> Floats:
        """Frames that a call starts from, flat; without a state, room for those that it ends with."""
        shape = (*self.lanes.shape(population), self.program.frame // self.program.row, self.lanes.vectors, LANES)
        frames = np.zeros(shape, np.float32)
        for layer, name, start, size in self.program.memory.carried_rows() if state else ():
            frames[:, :, start : start + size] = self.lanes.to_lanes(state[layer][name])  # type: ignore[index]
        return frames.ravel()

    def states(self, frames: Floats, population: int, batch: int) -> State:
        """The states in frames.

        Args:
            frames: flat, as a call leaves them.
            population: P.
            batch: B.

        Returns:
            Per layer: state name → [P, B, size].
        """
        rows = frames.reshape(*self.lanes.shape(population), -1, self.lanes.vectors, LANES)
        states: State = [{} for _ in range(self.layout.layers)]
        for layer, name, start, size in self.program.memory.carried_rows():
            part = self.lanes.from_lanes(rows[:, :, start : start + size], population, batch)
            states[layer][name] = part
        return states


@lru_cache(256)
def kernel(layout: Layout, purpose: Purpose, lanes: LaneLayout, lookup: bool, dropout: bool) -> Kernel:
    """The kernel of a network, made once.

    Args:
        layout: the network.
        purpose: losses, gradients or sums.
        lanes: the lane layout.
        lookup: whether inputs are class indices.
        dropout: whether factors of the lower layers' outputs are behind them.
    """
    return Kernel(layout, purpose, lanes, lookup, dropout)


def _one_round(part: Callable[..., None], population: int, begin: int, r: int, _: int) -> None:
    """All members in the r-th round of those from `begin` on."""
    part(0, population, begin + r, begin + r + 1)


def sum_rounds(packed: NDArray[Any]) -> NDArray[Any]:
    """[groups, rounds, floats] → [groups, floats], rounds added in order. Unused places may hold anything, infinity
    included."""
    totals = packed[:, 0].copy()
    with np.errstate(all="ignore"):
        for r in range(1, packed.shape[1]):
            totals += packed[:, r]
    return totals


def _align(size: int) -> int:
    return -size % LANES + size + LANES
