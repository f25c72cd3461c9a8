"""A population's losses, gradients and outputs by fused SIMD kernels, with the interface of the torch `Evaluator`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from evornn.kernels.evaluate import Products
from evornn.kernels.reference import NetworkState
from evornn.kernels.simd.kernel import Kernel, source
from evornn.kernels.simd.loss import NUMBERS
from evornn.kernels.simd.seats import Across, Seated, Seats
from evornn.layout import Layout

WORKSPACE_BYTES = 32 * 2**20  # of stored time steps, per thread; longer sequences are recomputed in segments


@dataclass(frozen=True)
class SimdEvaluator:
    """Evaluates one network's genomes [P, n] (torch, float32, on the CPU) with a number of threads.

    Raises NotFusable when it is made for an equation that the generator does not know."""

    name: ClassVar[str] = "simd"
    examples: ClassVar[type[Seated]] = Seated  # what it is asked about
    layout: Layout
    threads: int = 1
    workspace_bytes: int = WORKSPACE_BYTES

    def __post_init__(self) -> None:
        source(self.layout, "losses", "batch")

    def prepare(self, batch: int, gradients: bool, readouts: bool = False) -> None:
        """Compile, or load, what evaluating so many sequences takes."""
        for kernel in self._kernels(batch, gradients, readouts):
            _ = kernel.function

    def is_prepared(self, batch: int, gradients: bool, readouts: bool = False) -> bool:
        """Whether `prepare` would find everything on disk; compiling takes seconds."""
        return all(kernel.is_compiled for kernel in self._kernels(batch, gradients, readouts))

    def losses(self, genomes: Tensor, examples: Seated, loss: str, state: NetworkState | None = None) -> Tensor:
        """[P] mean losses over the steps where the mask is True, from the usual start or a state [P, B, size]."""
        data = examples.data
        kernel = self._kernel("losses", data.seats)
        carried = kernel.carried(state, False, data.seats, len(genomes))
        return torch.from_numpy(kernel.run(genomes, data, NUMBERS[loss], carried, self.threads))

    def gradients(
        self, genomes: Tensor, examples: Seated, loss: str, state: NetworkState | None = None, carry: bool = False
    ) -> tuple[Tensor, Tensor, NetworkState | None]:
        """[P] losses, [P, n] their gradients by backpropagation through time, and with `carry` the state after the last
        step. No gradient flows into a state that is given, [P, B, size]."""
        data = examples.data
        kernel = self._kernel("gradients", data.seats)
        carried = kernel.carried(state, carry, data.seats, len(genomes))
        found = kernel.run_back(genomes, data, NUMBERS[loss], carried, self.threads, self.workspace_bytes)
        end = kernel.states(carried, data.seats, len(genomes), len(examples)) if carry else None
        return torch.from_numpy(found[0]), torch.from_numpy(found[1]), end

    def outputs(
        self, genomes: Tensor, inputs: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """[P, B, T, O] and the state after the last step; a state that is given holds [P, B, size]."""
        batch, nothing = len(inputs), torch.zeros(*inputs.shape[:2], 1)
        data = Seated.of(inputs, nothing.expand(-1, -1, self.layout.outputs), nothing[..., 0] == 0).data
        kernel = self._kernel("losses", data.seats)
        carried = kernel.carried(state, True, data.seats, len(genomes))
        kept = kernel.run_open(genomes, data, batch, carried, self.threads)
        return torch.from_numpy(kept), kernel.states(carried, data.seats, len(genomes), batch)

    def products(self, genomes: Tensor, examples: Seated) -> Products:
        """Sums for the read-out, over the steps where the mask is True; fed-back outputs are the targets."""
        data, width = examples.data, self.layout.width + 1
        kernel = self._kernel("products", data.seats)
        sums = torch.from_numpy(kernel.run_products(genomes, data, self.threads))
        return sums[:, :width], sums[:, width:].mT

    def _kernels(self, batch: int, gradients: bool, readouts: bool) -> list[Kernel]:
        entries = ["losses", *["gradients"] * gradients, *["products"] * readouts]
        return [self._kernel(entry, Seats.of(batch)) for entry in entries]

    def _kernel(self, entry: str, seats: Seats) -> Kernel:
        return _kernel(self.layout, entry, seats.across)


@lru_cache(64)
def _kernel(layout: Layout, entry: str, across: Across) -> Kernel:
    return Kernel(layout, entry, across)
