"""A population's losses, gradients and outputs by fused SIMD kernels, with the interface of the reference `Evaluator`.

Members are computed one by one (or in lanes that don't touch each other), each by one thread: a member's bits depend
neither on the number of threads nor on its place in the population nor on how the population is cut into shards.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any, ClassVar, Literal

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evornn.kernels.evaluate import Products
from evornn.kernels.reference import NetworkState
from evornn.kernels.simd import cache as disk
from evornn.kernels.simd.generate import Source
from evornn.kernels.simd.loss import NUMBERS
from evornn.kernels.simd.plan import Plan
from evornn.kernels.simd.program import Program
from evornn.kernels.simd.vector import LANES
from evornn.layout import Layout

Floats = NDArray[np.float32]
Across = Literal["batch", "members"]
WORKSPACE_BYTES = 32 * 2**20  # of stored time steps, per thread; longer sequences are recomputed in segments
VECTORS = 2  # per row
SMALL_BATCH = 7  # up to so many sequences, lanes run across the members

_F1, _F2, _I1, _I = nb.float32[::1], nb.float32[:, ::1], nb.int64[::1], nb.int64
_BOTH = (_F2, _I, _I, _I1, _F1, _I1, _I, _F1, _F1, _F1, _I, _I, _I, nb.float64, _F1, _F1, nb.float64[::1], _F1)
SIGNATURES = {
    "losses": (*_BOTH, nb.boolean, _F1, nb.boolean, nb.boolean, _F1),
    "gradients": (*_BOTH, nb.boolean, nb.boolean, _F1, _I, _F1, _I, _I, _I, _F1, _I1, _F2),
    "products": (*_BOTH[:12], _F1, _F1, nb.float64[::1], _F1, _I, nb.float64[::1]),
}


@dataclass(frozen=True)
class Data:
    """One call's sequences in lanes: X [blocks, T, I, lanes], Y [blocks, T, O, lanes], M [blocks, T, lanes], flat; across
    the members a block is one sequence, without lanes."""

    X: Floats
    Y: Floats
    M: Floats
    lanes: Lanes
    steps: int
    count: float


_NOTHING: Floats = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Carried:
    """Frames of all members and blocks, flat: what a call begins with (`given`) and ends with (`wanted`)."""

    frames: Floats = field(default_factory=lambda: _NOTHING)
    given: bool = False
    wanted: bool = False


@dataclass(frozen=True)
class SimdEvaluator:
    """Evaluates one network's genomes [P, n] (torch, float32, on the CPU) with a number of threads.

    Raises NotFusable when it is made for an equation that the generator does not know."""

    name: ClassVar[str] = "simd"
    layout: Layout
    threads: int = 1
    workspace_bytes: int = WORKSPACE_BYTES

    def __post_init__(self) -> None:
        source(self.layout, "losses", "batch")

    def prepare(self, batch: int, gradients: bool) -> None:
        """Compile, or load, what evaluating so many sequences takes."""
        for entry in ("losses", "gradients") if gradients else ("losses",):
            _ = self._kernel(entry, self._across(batch)).function

    def losses(
        self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor, loss: str,
        state: NetworkState | None = None,
    ) -> Tensor:  # fmt: skip
        """[P] mean losses over the steps where the mask is True, from the usual start or a state [P, B, size]."""
        kernel = self._kernel("losses", self._across(len(inputs)))
        carried, result = kernel.carried(state, False, len(genomes), len(inputs)), np.empty(len(genomes), np.float32)
        kernel.run(genomes, kernel.data(inputs, targets, mask), NUMBERS[loss], result, carried, self.threads)
        return torch.from_numpy(result)

    def gradients(
        self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor, loss: str,
        state: NetworkState | None = None, carry: bool = False,
    ) -> tuple[Tensor, Tensor, NetworkState | None]:  # fmt: skip
        """[P] losses, [P, n] their gradients by backpropagation through time, and with `carry` the state after the last
        step. No gradient flows into a state that is given, [P, B, size]."""
        kernel = self._kernel("gradients", self._across(len(inputs)))
        carried = kernel.carried(state, carry, len(genomes), len(inputs))
        result, gradient = np.empty(len(genomes), np.float32), np.empty(tuple(genomes.shape), np.float32)
        data = kernel.data(inputs, targets, mask)
        kernel.run_back(
            genomes, data, NUMBERS[loss], result, self.threads, gradient, carried, self.workspace_bytes
        )
        end = kernel.states(carried, len(genomes), len(inputs)) if carry else None
        return torch.from_numpy(result), torch.from_numpy(gradient), end

    def outputs(
        self, genomes: Tensor, inputs: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """[P, B, T, O] and the state after the last step; a state that is given holds [P, B, size]."""
        kernel = self._kernel("losses", self._across(len(inputs)))
        carried = kernel.carried(state, True, len(genomes), len(inputs))
        kept = kernel.run_open(genomes, inputs, carried, self.threads)
        return torch.from_numpy(kept), kernel.states(carried, len(genomes), len(inputs))

    def products(self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor) -> Products:
        """Sums for the read-out, over the steps where the mask is True; fed-back outputs are the targets."""
        kernel = self._kernel("products", self._across(len(inputs)))
        sums, width = kernel.run_products(genomes, kernel.data(inputs, targets, mask), self.threads), self.layout.width + 1
        return torch.from_numpy(sums[:, :width]), torch.from_numpy(sums[:, width:].swapaxes(1, 2))

    def _across(self, batch: int) -> Across:
        return "members" if batch <= SMALL_BATCH else "batch"

    def _kernel(self, entry: str, across: Across) -> Kernel:
        return kernel(self.layout, entry, across)


@lru_cache(64)
def kernel(layout: Layout, entry: str, across: Across) -> Kernel:
    """The kernel of a network, compiled or loaded at its first use."""
    return Kernel(layout, entry, across)


class Kernel:
    """One compiled function with a network's sizes."""

    def __init__(self, layout: Layout, entry: str, across: Across) -> None:
        self.layout, self.entry, self.across = layout, entry, across
        self.name = type(layout.cell).__name__
        self.source = source(layout, entry, across)
        self.plan = Plan(self.source, layout)
        self.laying = threading.Lock()  # of the plan's workspace

    @cached_property
    def function(self) -> Any:
        return function(self.source.text, self.name, self.entry)

    def data(self, inputs: Tensor, targets: Tensor, mask: Tensor) -> Data:
        """Sequences in lanes, the last one repeated to fill them up (without counting); ±∞ becomes NaN."""
        x, y, m = inputs.numpy(), targets.numpy(), mask.numpy()
        x, y, count = finite_or_nan(x), np.where(m[..., None], y, np.float32(0)), float(m.sum())
        batch, steps, _ = x.shape
        lanes = Lanes.of(self.across, batch)
        rows = np.minimum(np.arange(lanes.sequences), batch - 1)
        weights = m.astype(np.float32)[rows]
        weights[batch:] = 0
        if self.across == "members":
            return Data(x[rows].ravel(), y[rows].ravel(), weights.ravel(), lanes, steps, count)
        return Data(in_lanes(x[rows]), in_lanes(y[rows]), in_lanes(weights[..., None]), lanes, steps, count)

    def run(self, genomes: Tensor, data: Data, loss: int, result: Floats, carried: Carried, threads: int) -> None:
        """Losses into `result` [P]."""
        self._forward(genomes, data, loss, result, threads, _NOTHING, carried)

    def run_open(self, genomes: Tensor, inputs: Tensor, carried: Carried, threads: int) -> Floats:
        """Outputs [P, B, T, O]."""
        (batch, steps, _), outputs = inputs.shape, self.layout.outputs
        nothing = torch.zeros(batch, steps, outputs)
        data = self.data(inputs, nothing, nothing[..., 0] == 0)
        shape = (*data.lanes.shape(len(genomes)), steps, outputs, VECTORS, LANES)
        kept, result = np.empty(shape, np.float32), np.empty(len(genomes), np.float32)
        self._forward(genomes, data, -1, result, threads, kept.ravel(), carried)
        return data.lanes.out(kept, len(genomes), batch)

    def _forward(
        self, genomes: Tensor, data: Data, loss: int, result: Floats, threads: int, kept: Floats, carried: Carried
    ) -> None:
        plan, own, layers, f = self.plan, writable(genomes), self.layout.layers, self.function
        with self.laying:
            table, floats = plan.table(2, data.lanes.apart), plan.floats

        def part(first: int, last: int) -> None:
            Z, W = buffers.get(floats, plan.twin * data.lanes.members)
            f(
                own, first, last, plan.index, plan.template, table, layers, data.X, data.Y, data.M, data.lanes.blocks,
                data.steps, loss, data.count, Z, W, np.empty(VECTORS * LANES), result,
                len(kept) > 0, kept, carried.given, carried.wanted, carried.frames,
            )  # fmt: skip

        self._share(part, len(genomes), threads, data.lanes.members)

    # ---- states, between frames in lanes and [P, B, size] -----------------------------------------------------------

    def carried(self, state: NetworkState | None, wanted: bool, population: int, batch: int) -> Carried:
        """Room for the frames that a call begins and ends with; `state`: what it begins with, None: the usual start."""
        if state is None and not wanted:
            return Carried()
        lanes = Lanes.of(self.across, batch)
        frames = np.zeros((*lanes.shape(population), self.plan.frame // VECTORS // LANES, VECTORS, LANES), np.float32)
        for layer, name, start, size in self._carried() if state else ():
            frames[:, :, start : start + size] = lanes.into(state[layer][name].numpy())  # type: ignore[index]
        return Carried(frames.ravel(), state is not None, wanted)

    def states(self, carried: Carried, population: int, batch: int) -> NetworkState:
        """Per layer: state name → [P, B, size], out of frames."""
        lanes = Lanes.of(self.across, batch)
        frames = carried.frames.reshape(*lanes.shape(population), -1, VECTORS, LANES)
        found: NetworkState = [{} for _ in range(self.layout.layers)]
        for layer, name, start, size in self._carried():
            part = lanes.out(frames[:, :, start : start + size], population, batch)
            found[layer][name] = torch.from_numpy(part)
        return found

    def _carried(self) -> Iterator[tuple[int, str, int, int]]:
        """(layer, name, first row in a frame, rows) of all that a later call goes on from."""
        leaves, values, row = self.layout.trace.leaves, self.plan.values, VECTORS * LANES
        for layer in range(self.layout.layers):
            for name, size in self.layout.state_sizes(layer).items():
                yield layer, name, values[layer][f"state_{name}"] // row, size
            if "y" in leaves:
                yield layer, "y", values[layer]["y_row"] // row, self.layout.outputs
            if "t" in leaves:
                yield layer, "t", values[layer]["t_row"] // row, 1

    def run_back(
        self, genomes: Tensor, data: Data, loss: int, result: Floats, threads: int, gradient: Floats,
        carried: Carried, memory: int,
    ) -> None:  # fmt: skip
        """Losses into `result` [P], gradients into `gradient` [P, n]; stored time steps take no more than `memory`."""
        plan, own = self.plan, writable(genomes)
        segment = max(1, min(data.steps, memory // (plan.frame * 4) - 1))
        layers, f, members = self.layout.layers, self.function, data.lanes.members
        with self.laying:
            table, floats = plan.table(segment + 1, data.lanes.apart), plan.floats
            d_here, d_there, d_floats = plan.d_here, plan.d_there, plan.d_floats
        checkpoints = (-(-data.steps // segment) - 1) * plan.frame

        def part(first: int, last: int) -> None:
            Z, W, G, C = buffers.get(floats, plan.twin * members, plan.gtwin * members, checkpoints)
            f(
                own, first, last, plan.index, plan.template, table, layers, data.X, data.Y, data.M, data.lanes.blocks,
                data.steps, loss, data.count, Z, W, np.empty(VECTORS * LANES), result,
                carried.given, carried.wanted, carried.frames, segment, C, d_here, d_there, d_floats, G[: plan.gtwin * members], plan.positions, gradient,
            )  # fmt: skip

        self._share(part, len(genomes), threads, data.lanes.members)

    def run_products(self, genomes: Tensor, data: Data, threads: int) -> NDArray[np.float64]:
        """[P, H + 1 + O, H + 1] sums over all steps that count."""
        plan, own, layers, f, lanes = self.plan, writable(genomes), self.layout.layers, self.function, data.lanes
        with self.laying:
            table, floats = plan.table(33, lanes.apart), plan.floats
        width, groups = lanes.width, lanes.shape(len(own))[0] * lanes.members // lanes.width
        found = np.zeros(groups * plan.gradient_size * width)

        def part(first: int, last: int) -> None:
            Z, W, G = buffers.get(floats, plan.twin * lanes.members, (plan.gradient_size + LANES) * width)
            f(
                own, first, last, plan.index, plan.template, table, layers, data.X, data.Y, data.M, lanes.blocks,
                data.steps, Z, W, np.empty(VECTORS * LANES), G, plan.gradient_size, found,
            )  # fmt: skip

        self._share(part, len(genomes), threads, lanes.members)
        sums = found.reshape(groups, plan.gradient_size, width)[:, plan.sums]
        return np.moveaxis(sums, -1, 1).reshape(-1, *plan.sums.shape)[: len(genomes)]

    def _share(self, part: Callable[[int, int], None], population: int, threads: int, together: int) -> None:
        """Call `part(first, last)` for all members, in a few portions of whole groups per thread."""
        portion = population if threads == 1 else -(-population // (4 * threads))
        portion = -(-portion // together) * together
        edges = [(k, min(k + portion, population)) for k in range(0, population, portion)]
        if len(edges) == 1 or threads == 1:
            for edge in edges:
                part(*edge)
        else:
            list(pool(threads).map(lambda edge: part(*edge), edges))


@dataclass(frozen=True)
class Lanes:
    """Who sits where in a row [vectors, lanes]. Lanes run across the batch, or across the members; the second vector
    holds further sequences of the same members (`apart`), or further members where there is but one block."""

    across: Across
    blocks: int  # of sequences: 16, or one where lanes run across the members
    apart: bool

    @classmethod
    def of(cls, across: Across, batch: int) -> Lanes:
        blocks = batch if across == "members" else -(-batch // LANES)
        apart = blocks > 1
        return cls(across, -(-blocks // VECTORS) * VECTORS if apart else blocks, apart)

    @property
    def sequences(self) -> int:
        return self.blocks * (LANES if self.across == "batch" else 1)

    @property
    def width(self) -> int:
        """Members in a vector."""
        return LANES if self.across == "members" else 1

    @property
    def members(self) -> int:
        """Members that are computed together."""
        return self.width * (1 if self.apart else VECTORS)

    def shape(self, population: int) -> tuple[int, int]:
        """(groups of members, rounds of blocks)."""
        return -(-population // self.members), self.blocks // (VECTORS if self.apart else 1)

    def out(self, values: Floats, population: int, batch: int) -> Floats:
        """[groups, rounds, …, vectors, lanes] → [P, B, …]."""
        order, sizes = self._order(values.ndim), values.shape
        inner = values.ndim - 4
        moved = values.transpose(order).reshape(self.members * sizes[0], self.sequences, *sizes[2 : 2 + inner])
        return np.ascontiguousarray(moved[:population, :batch])

    def into(self, values: Floats) -> Floats:
        """[P, B, size] → [groups, rounds, size, vectors, lanes]; the last member and sequence fill what is left."""
        population, batch, size = values.shape
        groups, rounds = self.shape(population)
        members = np.minimum(np.arange(groups * self.members), population - 1)
        full = values[members][:, np.minimum(np.arange(self.sequences), batch - 1)]
        order, shape = self._order(5), (groups, rounds, size, VECTORS, LANES)
        return full.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))

    def _order(self, axes: int) -> list[int]:
        """The axes of members, of sequences, and the others."""
        vectors, lanes = axes - 2, axes - 1
        members, sequences = [0], [1]
        (sequences if self.apart else members).append(vectors)
        (members if self.across == "members" else sequences).append(lanes)
        return [*members, *sequences, *range(2, axes - 2)]


@lru_cache(64)
def source(layout: Layout, entry: str, across: Across) -> Source:
    """The source of a network's kernel: the same for all sizes and layers of a cell."""
    title = f"{type(layout.cell).__name__}, lanes across the {across}"
    return Source(Program(layout.trace), entry, across, title, VECTORS)


@cache
def function(text: str, name: str, entry: str) -> Any:
    return disk.compiled(text, name, entry, SIGNATURES[entry])


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "evornn-simd")


os.register_at_fork(after_in_child=pool.cache_clear)  # threads don't survive a fork


class Buffers(threading.local):
    """Scratch arrays of a thread, kept from call to call."""

    def __init__(self) -> None:
        self.arrays: dict[int, Floats] = {}

    def get(self, *sizes: int) -> list[Floats]:
        """An array of at least each size, on a border of cache lines."""
        for k, size in enumerate(sizes):
            if len(self.arrays.get(k, _NOTHING)) < max(1, size):
                raw = np.zeros(size + LANES, np.float32)
                start = -(raw.ctypes.data // 4) % LANES
                self.arrays[k] = raw[start : start + max(1, size)]
        return [self.arrays[k] for k in range(len(sizes))]


buffers = Buffers()


def finite_or_nan(values: Floats) -> Floats:
    """±∞ becomes NaN, which no function swallows."""
    good = np.isfinite(values)
    return np.ascontiguousarray(values) if good.all() else np.where(good, values, np.float32(np.nan))


def in_lanes(values: Floats) -> Floats:
    """[blocks·16, T, size] → [blocks, T, size, 16], flat."""
    rows, steps, size = values.shape
    return np.ascontiguousarray(values.reshape(rows // LANES, LANES, steps, size).transpose(0, 2, 3, 1)).ravel()


def writable(genomes: Tensor) -> Floats:
    """[P, n] as a contiguous numpy array of the kind that the kernels are compiled for."""
    own = np.ascontiguousarray(genomes.detach().numpy())
    return own if own.flags.writeable else own.copy()
