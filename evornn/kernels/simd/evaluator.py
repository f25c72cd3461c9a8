"""A population's losses, gradients and outputs by fused SIMD kernels, with the interface of the reference `Evaluator`.

Members are computed one by one (or in lanes that don't touch each other), each by one thread: a member's bits depend
neither on the number of threads nor on its place in the population nor on how the population is cut into shards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, ClassVar, Literal

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evornn.kernels.evaluate import Evaluator
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
SMALL_BATCH = 7  # up to so many sequences, lanes run across the members

_F1, _F2, _I1 = nb.float32[::1], nb.float32[:, ::1], nb.int64[::1]
_LOSSES = (
    _F2,
    nb.int64,
    nb.int64,
    _I1,
    _F1,
    _I1,
    nb.int64,
    _F1,
    _F1,
    _F1,
    nb.int64,
    nb.int64,
    nb.int64,
    nb.float64,
    _F1,
    _F1,
    _F1,
)
SIGNATURES = {
    "losses": (*_LOSSES, nb.boolean, _F1),
    "gradients": (*_LOSSES, nb.int64, _F1, nb.int64, nb.int64, nb.int64, nb.int64, _F1, _I1, _F2),
}


@dataclass(frozen=True)
class Data:
    """One call's sequences in lanes: X [blocks, T, I, lanes], Y [blocks, T, O, lanes], M [blocks, T, lanes], flat."""

    X: Floats
    Y: Floats
    M: Floats
    blocks: int
    steps: int
    count: float


@dataclass(frozen=True)
class SimdEvaluator:
    """Evaluates one network's genomes [P, n] (torch, float32, on the CPU) with a number of threads.

    Raises NotFusable when it is made for an equation that the generator does not know."""

    name: ClassVar[str] = "simd"
    layout: Layout
    threads: int = 1
    workspace_bytes: int = WORKSPACE_BYTES

    def __post_init__(self) -> None:
        source(self.layout, False, "batch")

    def losses(self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor, loss: str) -> Tensor:
        """[P] mean losses over the steps where the mask is True."""
        kernel = self._kernel("losses", self._across(len(inputs)))
        result = np.empty(len(genomes), np.float32)
        kernel.run(genomes, kernel.data(inputs, targets, mask), NUMBERS[loss], result, self.threads, False, _NOTHING)
        return torch.from_numpy(result)

    def gradients(
        self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor, loss: str
    ) -> tuple[Tensor, Tensor]:
        """[P] losses and [P, n] their gradients, by backpropagation through time."""
        kernel = self._kernel("gradients", self._across(len(inputs)))
        result, gradient = np.empty(len(genomes), np.float32), np.empty(tuple(genomes.shape), np.float32)
        data = kernel.data(inputs, targets, mask)
        kernel.run_back(genomes, data, NUMBERS[loss], result, self.threads, gradient, self.workspace_bytes)
        return torch.from_numpy(result), torch.from_numpy(gradient)

    def outputs(
        self, genomes: Tensor, inputs: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """[P, B, T, O] and the state after the last step; a state that is given holds [P, B, size]. Runs on torch."""
        return Evaluator(self.layout, self.threads).outputs(genomes, inputs, state)

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
        self.members = LANES if across == "members" else 1
        self.name = type(layout.cell).__name__
        self.source = source(layout, entry == "gradients", across)
        self.plan = Plan(self.source, layout)

    @cached_property
    def function(self) -> Any:
        return function(self.source.text, self.name, self.entry)

    def data(self, inputs: Tensor, targets: Tensor, mask: Tensor) -> Data:
        """Sequences in lanes, the last one repeated to fill them up (without counting); ±∞ becomes NaN."""
        x, y, m = inputs.numpy(), targets.numpy(), mask.numpy()
        x, y, count = finite_or_nan(x), np.where(m[..., None], y, np.float32(0)), float(m.sum())
        batch, steps, _ = x.shape
        if self.across == "members":
            return Data(x.ravel(), y.ravel(), m.astype(np.float32).ravel(), batch, steps, count)
        blocks = -(-batch // LANES)
        rows = np.minimum(np.arange(blocks * LANES), batch - 1)
        weights = m.astype(np.float32)[rows]
        weights[batch:] = 0
        return Data(in_lanes(x[rows]), in_lanes(y[rows]), in_lanes(weights[..., None]), blocks, steps, count)

    def run(
        self, genomes: Tensor, data: Data, loss: int, result: Floats, threads: int, keep: bool, kept: Floats
    ) -> None:
        table, plan, own = self.plan.table(2), self.plan, writable(genomes)
        floats, layers, f = plan.floats, self.layout.layers, self.function

        def part(first: int, last: int) -> None:
            Z, W = buffers.get(floats, (plan.weights + LANES) * self.members)
            f(
                own, first, last, plan.index, plan.template, table, layers, data.X, data.Y, data.M, data.blocks,
                data.steps, loss, data.count, Z, W, result, keep, kept,
            )  # fmt: skip

        self._share(part, len(genomes), threads)

    def run_back(
        self, genomes: Tensor, data: Data, loss: int, result: Floats, threads: int, gradient: Floats, memory: int
    ) -> None:
        plan, own = self.plan, writable(genomes)
        segment = max(1, min(data.steps, memory // (plan.frame * 4) - 1))
        table, layers, f = plan.table(segment + 1), self.layout.layers, self.function
        floats, d_here, d_there, d_floats = plan.floats, plan.d_here, plan.d_there, plan.d_floats
        checkpoints = (-(-data.steps // segment) - 1) * plan.frame

        def part(first: int, last: int) -> None:
            sizes = (
                floats,
                (plan.weights + LANES) * self.members,
                (plan.gradient_size + LANES) * self.members,
                checkpoints,
            )
            Z, W, G, C = buffers.get(*sizes)
            f(
                own, first, last, plan.index, plan.template, table, layers, data.X, data.Y, data.M, data.blocks,
                data.steps, loss, data.count, Z, W, result, segment, C, plan.frame, d_here, d_there, d_floats,
                G, plan.positions, gradient,
            )  # fmt: skip

        self._share(part, len(genomes), threads)

    def _share(self, part: Callable[[int, int], None], population: int, threads: int) -> None:
        """Call `part(first, last)` for all members, in a few portions per thread."""
        portion = population if threads == 1 else -(-population // (4 * threads))
        portion = max(1, -(-portion // self.members) * self.members)
        edges = [(k, min(k + portion, population)) for k in range(0, population, portion)]
        if len(edges) == 1 or threads == 1:
            for edge in edges:
                part(*edge)
        else:
            list(pool(threads).map(lambda edge: part(*edge), edges))


@lru_cache(64)
def source(layout: Layout, gradient: bool, across: Across) -> Source:
    """The source of a network's kernel: the same for all sizes and layers of a cell."""
    return Source(Program(layout.trace), gradient, across, f"{type(layout.cell).__name__}, lanes across the {across}")


@cache
def function(text: str, name: str, entry: str) -> Any:
    return disk.compiled(text, name, entry, SIGNATURES[entry])


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "evornn-simd")


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


_NOTHING: Floats = np.zeros(0, np.float32)
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
