"""One compiled kernel with a network's sizes, called for a population: losses, gradients, outputs, sums for a read-out.

Members are computed one by one (or in lanes that don't touch each other), each by one thread: a member's bits depend
neither on the number of threads nor on its place in the population nor on how the population is cut into shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evornn.arrays import Floats
from evornn.kernels.reference import NetworkState
from evornn.kernels.simd import cache as disk
from evornn.kernels.simd.generate import Source
from evornn.kernels.simd.plan import Plan, Workspace
from evornn.kernels.simd.program import Program
from evornn.kernels.simd.seats import VECTORS, Across, Data, Seats
from evornn.kernels.simd.threads import buffers, share
from evornn.kernels.simd.vector import LANES
from evornn.layout import Layout

ROW = VECTORS * LANES
ROUND = 32  # time steps whose products are added up in single precision
NOTHING: Floats = np.zeros(0, np.float32)

_F1, _F2, _I1, _I = nb.float32[::1], nb.float32[:, ::1], nb.int64[::1], nb.int64
_DATA = (_F2, _I, _I, _I1, _F1, _I1, _I, _F1, _F1, _F1, _I, _I)
_LOSS = (_I, nb.float64, _F1, _F1, nb.float64[::1], _F1)
_CARRIED = (nb.boolean, nb.boolean, _F1)
SIGNATURES = {
    "losses": (*_DATA, *_LOSS, nb.boolean, _F1, *_CARRIED),
    "gradients": (*_DATA, *_LOSS, *_CARRIED, _I, _F1, _I, _I, _I, _F1, _I1, _F2),
    "products": (*_DATA, _F1, _F1, nb.float64[::1], _F1, _I, nb.float64[::1]),
}


@dataclass(frozen=True)
class Carried:
    """Frames of all groups and rounds, flat: what a call begins with (`given`) and ends with (`wanted`)."""

    frames: Floats
    given: bool
    wanted: bool

    @property
    def arguments(self) -> tuple[bool, bool, Floats]:
        return self.given, self.wanted, self.frames


NONE_CARRIED = Carried(NOTHING, given=False, wanted=False)


class Kernel:
    """One of the entry functions, compiled or loaded at its first use."""

    def __init__(self, layout: Layout, entry: str, across: Across) -> None:
        self.layout, self.entry = layout, entry
        self.source = source(layout, entry, across)
        self.plan = Plan(self.source, layout)

    @cached_property
    def function(self) -> Any:
        return function(self.source.text, type(self.layout.cell).__name__, self.entry)

    @property
    def is_compiled(self) -> bool:
        return disk.is_compiled(self.source.text, self.entry)

    def run(self, genomes: Tensor, data: Data, loss: int, carried: Carried, threads: int) -> Floats:
        """[P] losses."""
        return self._forward(genomes, data, loss, NOTHING, carried, threads)

    def run_open(self, genomes: Tensor, data: Data, batch: int, carried: Carried, threads: int) -> Floats:
        """[P, B, T, O] outputs."""
        shape = (*data.seats.shape(len(genomes)), data.steps, self.layout.outputs, VECTORS, LANES)
        kept = np.empty(shape, np.float32)
        self._forward(genomes, data, -1, kept.ravel(), carried, threads)
        return data.seats.out(kept, len(genomes), batch)

    def _forward(self, genomes: Tensor, data: Data, loss: int, kept: Floats, carried: Carried, threads: int) -> Floats:
        workspace, together = self.plan.workspace(2, data.seats.apart), data.seats.members
        own, given, f = writable(genomes), self._given(data, workspace), self.function
        result = np.empty(len(own), np.float32)

        def part(first: int, last: int) -> None:
            Z, W = buffers.get(workspace.floats, self.plan.twin * together)
            f(
                own, first, last, *given, loss, data.count, Z, W, np.empty(ROW), result, len(kept) > 0, kept,
                *carried.arguments,
            )  # fmt: skip

        share(part, len(own), threads, together)
        return result

    def run_back(
        self, genomes: Tensor, data: Data, loss: int, carried: Carried, threads: int, memory: int
    ) -> tuple[Floats, Floats]:
        """[P] losses and [P, n] gradients; stored time steps take no more than so many bytes per thread."""
        plan, together = self.plan, data.seats.members
        segment = max(1, min(data.steps, memory // (plan.frame * 4) - 1))
        workspace = plan.workspace(segment + 1, data.seats.apart)
        own, given, f = writable(genomes), self._given(data, workspace), self.function
        checkpoints, gsize = (-(-data.steps // segment) - 1) * plan.frame, plan.gtwin * together
        result, gradient = np.empty(len(own), np.float32), np.empty(own.shape, np.float32)

        def part(first: int, last: int) -> None:
            Z, W, G, C = buffers.get(workspace.floats, plan.twin * together, gsize, checkpoints)
            f(
                own, first, last, *given, loss, data.count, Z, W, np.empty(ROW), result, *carried.arguments, segment,
                C, *workspace.cotangents, G[:gsize], plan.positions, gradient,
            )  # fmt: skip

        share(part, len(own), threads, together)
        return result, gradient

    def run_products(self, genomes: Tensor, data: Data, threads: int) -> NDArray[np.float64]:
        """[P, H + 1 + O, H + 1] sums of [h, 1, y][h, 1]ᵀ over all steps that count."""
        plan, seats, size = self.plan, data.seats, self.plan.gradient_size
        workspace = plan.workspace(ROUND + 1, seats.apart)
        own, given, f = writable(genomes), self._given(data, workspace), self.function
        groups = seats.shape(len(own))[0] * seats.members // seats.width
        found = np.zeros(groups * size * seats.width)

        def part(first: int, last: int) -> None:
            Z, W, G = buffers.get(workspace.floats, plan.twin * seats.members, (size + LANES) * seats.width)
            f(own, first, last, *given, Z, W, np.empty(ROW), G, size, found)

        share(part, len(own), threads, seats.members)
        sums = found.reshape(groups, size, seats.width)[:, plan.sums]
        return np.moveaxis(sums, -1, 1).reshape(-1, *plan.sums.shape)[: len(own)]

    def _given(self, data: Data, workspace: Workspace) -> tuple[Any, ...]:
        """The arguments that entry functions have in common, after the members' numbers."""
        plan, sequences = self.plan, (data.X, data.Y, data.M, data.seats.blocks, data.steps)
        return plan.index, plan.template, workspace.table, self.layout.layers, *sequences

    # ---- states, between frames and [P, B, size] --------------------------------------------------------------------

    def carried(self, state: NetworkState | None, wanted: bool, seats: Seats, population: int) -> Carried:
        """Room for the frames that a call begins and ends with; `state`: what it begins with, None: the usual start."""
        if state is None and not wanted:
            return NONE_CARRIED
        frames = np.zeros((*seats.shape(population), self.plan.frame // ROW, VECTORS, LANES), np.float32)
        for layer, name, start, size in self._carried() if state else ():
            frames[:, :, start : start + size] = seats.into(state[layer][name].numpy())  # type: ignore[index]
        return Carried(frames.ravel(), state is not None, wanted)

    def states(self, carried: Carried, seats: Seats, population: int, batch: int) -> NetworkState:
        """Per layer: state name → [P, B, size], out of frames."""
        frames = carried.frames.reshape(*seats.shape(population), -1, VECTORS, LANES)
        found: NetworkState = [{} for _ in range(self.layout.layers)]
        for layer, name, start, size in self._carried():
            part = seats.out(frames[:, :, start : start + size], population, batch)
            found[layer][name] = torch.from_numpy(part)
        return found

    def _carried(self) -> Iterator[tuple[int, str, int, int]]:
        """(layer, name, first row in a frame, rows) of all that a later call goes on from."""
        leaves, values = self.layout.trace.leaves, self.plan.values
        for layer in range(self.layout.layers):
            for name, size in self.layout.state_sizes(layer).items():
                yield layer, name, values[layer][f"state_{name}"] // ROW, size
            if "y" in leaves:
                yield layer, "y", values[layer]["y_row"] // ROW, self.layout.outputs
            if "t" in leaves:
                yield layer, "t", values[layer]["t_row"] // ROW, 1


@lru_cache(64)
def source(layout: Layout, entry: str, across: Across) -> Source:
    """The source of a network's kernel: the same for all sizes and layers of a cell."""
    title = f"{type(layout.cell).__name__}, {entry}, lanes across the {across}"
    return Source(Program(layout.trace), entry, across, title, VECTORS)


@cache
def function(text: str, name: str, entry: str) -> Any:
    return disk.compiled(text, name, entry, SIGNATURES[entry])


def writable(genomes: Tensor) -> Floats:
    """[P, n] as a contiguous numpy array of the kind that the kernels are compiled for."""
    own = np.ascontiguousarray(genomes.detach().numpy())
    return own if own.flags.writeable else own.copy()
