"""A population's losses, gradients and outputs on the reference interpreter, tile by tile.

A tile is a fixed number of members, the last one padded; it is computed by one thread, in chunks of sequences whose size
depends on the shapes alone, and results are put together in genome order. So a member's bits don't depend on the number of
threads, on its place in the population, or on how the population is cut into shards. A population of one is not padded
(gradient training would wait for 31 copies), and there torch may round the last bit otherwise than in company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from evornn.kernels import losses
from evornn.kernels.reference import NetworkState, Reference
from evornn.layout import Layout

T = TypeVar("T")
# members; torch computes two SIMD vectors (32 floats) at a time and what is left with other, scalar functions: with 32
# members there is never anything left, whatever the shape
TILE = {"cpu": 32, "cuda": 1024}
CHUNK_BYTES = {"cpu": 256 * 2**20, "cuda": 4 * 2**30}  # stored values of a tile, at most


@dataclass(frozen=True)
class Evaluator:
    """Evaluates one network's genomes [P, n] (torch, on their device) with a number of CPU threads."""

    layout: Layout
    threads: int = 1

    def losses(self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor, loss: str) -> Tensor:
        """[P] mean losses over the steps where the mask is True."""

        def tile(members: Tensor) -> Tensor:
            network, sums = Reference(self.layout, members), []
            for rows in self._chunks(members, inputs, stored_steps=1):
                outputs, _ = network.run(inputs[rows])
                sums.append(losses.total(loss, outputs, targets[rows], mask[rows]))
            return torch.stack(sums).sum(0) / mask.sum()

        with torch.no_grad():
            return torch.cat(self._over_tiles(tile, genomes))[: len(genomes)]

    def gradients(self, genomes: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor, loss: str) -> tuple[Tensor, Tensor]:
        """[P] losses and [P, n] their gradients, by backpropagation through time."""

        def tile(members: Tensor) -> tuple[Tensor, Tensor]:
            members = members.detach().requires_grad_()
            sums, gradient = [], torch.zeros_like(members)
            for rows in self._chunks(members, inputs, stored_steps=inputs.shape[1]):
                outputs, _ = Reference(self.layout, members).run(inputs[rows])
                part = losses.total(loss, outputs, targets[rows], mask[rows])
                gradient = gradient + torch.autograd.grad(part.sum(), members)[0]
                sums.append(part.detach())
            return torch.stack(sums).sum(0) / mask.sum(), gradient / mask.sum()

        with torch.enable_grad():
            parts = self._over_tiles(tile, genomes)
        return torch.cat([p[0] for p in parts])[: len(genomes)], torch.cat([p[1] for p in parts])[: len(genomes)]

    def outputs(self, genomes: Tensor, inputs: Tensor, state: NetworkState | None = None) -> tuple[Tensor, NetworkState]:
        """[P, B, T, O] and the state after the last step; a state that is given holds [P, B, size]."""

        def tile(members: Tensor, rows: slice) -> tuple[Tensor, NetworkState]:
            own = None if state is None else [{k: v[rows] for k, v in layer.items()} for layer in state]
            return Reference(self.layout, members).run(inputs, own)

        size = TILE[genomes.device.type]
        with torch.no_grad(), single_threaded():
            parts = [tile(genomes[k : k + size], slice(k, k + size)) for k in range(0, len(genomes), size)]
        ends = [{k: torch.cat([p[1][i][k] for p in parts]) for k in parts[0][1][i]} for i in range(self.layout.layers)]
        return torch.cat([p[0] for p in parts]), ends

    def _over_tiles(self, f: Callable[[Tensor], T], genomes: Tensor) -> list[T]:
        tiles = torch.split(padded(genomes), TILE[genomes.device.type])
        with single_threaded():
            if self.threads == 1 or len(tiles) == 1:
                return [f(tile) for tile in tiles]
            with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(f, tiles))

    def _chunks(self, members: Tensor, inputs: Tensor, stored_steps: int) -> Iterator[slice]:
        values = len(self.layout.trace.order) * self.layout.units * self.layout.layers + self.layout.outputs
        kept = inputs.shape[1] * (self.layout.width + self.layout.outputs)
        per_sequence = TILE[members.device.type] * (stored_steps * values + kept) * members.element_size()
        size = max(1, CHUNK_BYTES[members.device.type] // per_sequence)
        return (slice(k, k + size) for k in range(0, len(inputs), size))


def padded(genomes: Tensor) -> Tensor:
    """[P, n] → the same and copies of the first member, up to a multiple of the tile; a single member stays alone."""
    missing = -len(genomes) % TILE[genomes.device.type]
    if len(genomes) == 1 or missing == 0:
        return genomes
    return torch.cat([genomes, genomes[:1].expand(missing, -1)])


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread per torch operation: their bits depend on the number."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
