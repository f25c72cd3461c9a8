"""A population's losses, gradients and outputs in torch, tile by tile.

A tile is a fixed number of members, the last one padded. One thread computes it, in chunks of sequences whose size
depends on the shapes alone, and results are joined in genome order. So a member's bits don't depend on the number of
threads, on its place in the population, or on how the population is divided into shards. A population of one is not
padded (gradient training would wait for 31 copies); torch may then round the last bit differently than for several
members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Batch
from evornn.kernels import losses
from evornn.kernels.examples import Examples, one_hot
from evornn.kernels.model import ModelInterpreter, ModelLayout
from evornn.kernels.reference import NetworkState, Reference
from evornn.kernels.streaming import Streamed
from evornn.layout import BaseLayout, Layout

T = TypeVar("T")
ForwardResult: TypeAlias = tuple[Tensor, NetworkState]  # outputs [P, B, T, O] and the state after the last step
Products: TypeAlias = tuple[Tensor, Tensor]
"""Σ [h; 1][h; 1]ᵀ [P, H + 1, H + 1] and Σ [h; 1] yᵀ [P, H + 1, O] in float64; h is what the read-out sees."""
# members; torch computes two SIMD vectors (32 floats) at a time and the remainder with other, scalar functions: with 32
# members there is never a remainder, whatever the shape
TILE = {"cpu": 32, "cuda": 1024}
CHUNK_BYTES = {"cpu": 256 * 2**20, "cuda": 4 * 2**30}  # stored values of a tile, at most


@dataclass(frozen=True)
class Evaluator:
    """Evaluates one network's genomes [P, n] (torch, on their device) with a number of CPU threads."""

    name: ClassVar[str] = "torch"
    layout: BaseLayout
    threads: int = 1

    def load(self) -> None:
        """Does nothing: there is nothing to compile."""

    def prepare_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs [B, T, I] in the form that this evaluator takes; class indices [B, T] become one-hot."""
        return inputs if inputs.ndim == 3 else one_hot(inputs, self.layout.inputs)

    def stream(self, make: Callable[[Batch], Examples], batch: int, steps: int, count: int) -> Streamed:
        """Sequences that are made when they're needed.

        Args:
            make: numbers of sequences [K] → what `bind` makes of them.
            batch: B.
            steps: T.
            count: steps that count.
        """
        return Streamed(make, batch, steps, count)

    def bind(self, inputs: Tensor, targets: Tensor, mask: Tensor) -> Examples:
        """Sequences in the form that this evaluator takes.

        Args:
            inputs: [B, T, I].
            targets: [B, T, O] or class indices [B, T].
            mask: [B, T] True where a step counts.
        """
        return Examples.from_tensors(inputs, targets if targets.ndim == 2 else targets.to(inputs.dtype), mask)

    def losses(self, genomes: Tensor, examples: Examples, loss: str, state: NetworkState | None = None) -> Tensor:
        """Mean losses over the steps that count.

        Args:
            genomes: [P, n].
            examples: what they are evaluated on.
            loss: its name.
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.

        Returns:
            [P].
        """
        state, inputs, targets, mask = pad_state(state), *examples.to_dense(self.layout.outputs).parts

        def tile(members: Tensor, place: slice) -> Tensor:
            network, sums = interpreter(self.layout, members), []
            for rows in self._chunks(members, inputs, stored_steps=1):
                outputs, _ = network.run(inputs[rows], slice_state(state, place, rows))
                sums.append(losses.total(loss, outputs, targets[rows], mask[rows]))
            return torch.stack(sums).sum(0) / examples.count

        with torch.no_grad():
            values: Tensor = mask_non_finite(genomes, torch.cat(self._map_tiles(tile, genomes))[: len(genomes)])[0]
            return values

    def gradients(
        self, genomes: Tensor, examples: Examples, loss: str, state: NetworkState | None = None, carry: bool = False
    ) -> tuple[Tensor, Tensor, NetworkState | None]:
        """Losses and gradients by backpropagation through time. No gradient flows into a state that is given.

        Args:
            genomes: [P, n].
            examples: what they are evaluated on.
            loss: its name.
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.
            carry: whether to return the state after the last step.

        Returns:
            [P] losses, [P, n] gradients, and the state or None.
        """
        state, inputs, targets, mask = pad_state(state), *examples.to_dense(self.layout.outputs).parts

        def tile(members: Tensor, place: slice) -> tuple[Tensor, Tensor, NetworkState]:
            # a leaf of its own for each tile; the graph of a chunk is freed before the next one is built
            members = members.detach().requires_grad_()
            sums, gradient, ends = [], torch.zeros_like(members), []
            for rows in self._chunks(members, inputs, stored_steps=inputs.shape[1]):
                outputs, end = interpreter(self.layout, members).run(inputs[rows], slice_state(state, place, rows))
                ends.append((outputs[:, :, -1:].detach(), [{k: v.detach() for k, v in layer.items()} for layer in end]))
                part = losses.total(loss, outputs, targets[rows], mask[rows])
                gradient = gradient + torch.autograd.grad(part.sum(), members)[0]
                sums.append(part.detach())
            return torch.stack(sums).sum(0) / examples.count, gradient / examples.count, concatenate(ends, 1)[1]

        with torch.enable_grad():
            values, gradients, ends = zip(*self._map_tiles(tile, genomes), strict=True)
        count = len(genomes)
        end = [
            {name: torch.cat([e[k][name] for e in ends])[:count] for name in layer} for k, layer in enumerate(ends[0])
        ]
        loss_values, gradient = mask_non_finite(genomes, torch.cat(values)[:count], torch.cat(gradients)[:count])
        return loss_values, gradient, end if carry else None

    def pull_back(
        self, genomes: Tensor, examples: Examples, cotangents: Tensor, state: NetworkState | None = None
    ) -> Tensor:
        """The gradients of functions of the outputs, one for each member, from their derivatives by the outputs.

        Args:
            genomes: [P, n].
            examples: the inputs.
            cotangents: [P, B, T, O] the derivatives.
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.

        Returns:
            [P, n].
        """
        state, inputs, given = pad_state(state), examples.inputs, pad_to_tile(cotangents)

        def tile(members: Tensor, place: slice) -> Tensor:
            members, gradient = members.detach().requires_grad_(), torch.zeros_like(members)
            for rows in self._chunks(members, inputs, stored_steps=inputs.shape[1]):
                outputs, _ = interpreter(self.layout, members).run(inputs[rows], slice_state(state, place, rows))
                gradient = gradient + torch.autograd.grad(outputs, members, given[place, rows])[0]
            return gradient

        with torch.enable_grad():
            values: Tensor = mask_non_finite(genomes, torch.cat(self._map_tiles(tile, genomes))[: len(genomes)])[0]
            return values

    def outputs(
        self, genomes: Tensor, inputs: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """The outputs of a population.

        Args:
            genomes: [P, n].
            inputs: [B, T, I].
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.

        Returns:
            [P, B, T, O], and the state after the last step.
        """
        state = pad_state(state)

        def tile(members: Tensor, place: slice) -> ForwardResult:
            network, answers = interpreter(self.layout, members), []
            for rows in self._chunks(members, inputs, stored_steps=1):
                answers.append(network.run(inputs[rows], slice_state(state, place, rows)))
            return concatenate(answers, 1)

        with torch.no_grad():
            outputs, ends = concatenate(self._map_tiles(tile, genomes), 0)
        count = len(genomes)
        end = [{name: values[:count] for name, values in layer.items()} for layer in ends]
        return mask_non_finite(genomes, outputs[:count])[0], end

    def products(self, genomes: Tensor, examples: Examples) -> Products:
        """Sums for the read-out of cells, over the steps where the mask is True; fed-back outputs are the targets."""
        layout, (inputs, targets, mask) = self.layout, examples.to_dense(self.layout.outputs).parts
        assert isinstance(layout, Layout)

        def tile(members: Tensor, place: slice) -> Products:
            network, sums = Reference(layout, members), []
            for rows in self._chunks(members, inputs, stored_steps=1):
                hidden, _ = network.hidden_states(inputs[rows], forced_outputs=targets[rows])
                counted = mask[rows].flatten()
                h = hidden.flatten(1, 2)[:, counted].double()
                h = torch.cat([h, torch.ones_like(h[..., :1])], -1)
                y = targets[rows].flatten(0, 1)[counted].double().expand(len(h), -1, -1)
                sums.append((h.mT @ h, h.mT @ y))
            return torch.stack([s[0] for s in sums]).sum(0), torch.stack([s[1] for s in sums]).sum(0)

        with torch.no_grad():
            parts = self._map_tiles(tile, genomes)
        return torch.cat([p[0] for p in parts])[: len(genomes)], torch.cat([p[1] for p in parts])[: len(genomes)]

    def _map_tiles(self, f: Callable[[Tensor, slice], T], genomes: Tensor) -> list[T]:
        """`f(members, their place in the population)` of each tile, in order."""
        members, size = pad_to_tile(genomes), TILE[genomes.device.type]
        places = [slice(k, k + size) for k in range(0, len(members), size)]
        # every thread runs torch with one thread: parallelism is over tiles alone
        with single_thread():
            if self.threads == 1 or len(places) == 1:
                return [f(members[place], place) for place in places]
            with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(f, [members[place] for place in places], places))

    def _chunks(self, members: Tensor, inputs: Tensor, stored_steps: int) -> Iterator[slice]:
        """Slices of the sequences whose stored values fit into `CHUNK_BYTES`."""
        values, kept = self.layout.value_counts
        # values stored for the backward pass (one step at a time without one), and what is kept of every step
        numbers = stored_steps * values + inputs.shape[1] * kept
        per_sequence = TILE[members.device.type] * numbers * members.element_size()
        size = max(1, CHUNK_BYTES[members.device.type] // per_sequence)
        return (slice(k, k + size) for k in range(0, len(inputs), size))


def interpreter(layout: BaseLayout, members: Tensor) -> Reference | ModelInterpreter:
    """The interpreter of a network with these genomes [P, n], in torch."""
    if isinstance(layout, ModelLayout):
        return ModelInterpreter(layout, members)
    assert isinstance(layout, Layout)
    return Reference(layout, members)


def concatenate(results: list[ForwardResult], axis: int) -> ForwardResult:
    """Outputs and states of several calls, joined along the axis of members (0) or sequences (1)."""
    outputs, states = zip(*results, strict=True)
    ends = [
        {name: torch.cat([layer[name] for layer in layers], axis) for name in layers[0]}
        for layers in zip(*states, strict=True)
    ]
    return torch.cat(outputs, axis), ends


def pad_to_tile(members: Tensor, single: bool = True) -> Tensor:
    """[P, …] and copies of the first member, up to a multiple of the tile. A `single` member stays alone."""
    missing = -len(members) % TILE[members.device.type]
    if missing == 0 or (single and len(members) == 1):
        return members
    return torch.cat([members, members[:1].expand(missing, *members.shape[1:])])


def pad_state(state: NetworkState | None) -> NetworkState | None:
    """A state [P, B, size] for complete tiles of members."""
    return state and [{name: pad_to_tile(values.detach()) for name, values in layer.items()} for layer in state]


def slice_state(state: NetworkState | None, members: slice, sequences: slice) -> NetworkState | None:
    """A part of a state.

    Args:
        state: per layer: state name → [P, B, size].
        members: which of P.
        sequences: which of B.
    """
    return state and [{name: values[members, sequences] for name, values in layer.items()} for layer in state]


def mask_non_finite(genomes: Any, *results: Any) -> tuple[Any, ...]:
    """[P, …] each, NaN for members whose genome is not finite: tanh would hide it. Arrays of numpy or tensors; on the
    CPU by numpy, since torch's threads would spin for milliseconds on the cores that the kernels want."""
    on_gpu = isinstance(genomes, Tensor) and genomes.is_cuda
    finite: Any = genomes.isfinite() if on_gpu else np.isfinite(np.asarray(genomes))
    if finite.all():
        return results
    rows = finite.all(1)
    return tuple(_mask_rows(rows, values) for values in results)


def _mask_rows(rows: Any, values: Any) -> Any:
    where, rows = (torch.where, torch.as_tensor(rows)) if isinstance(values, Tensor) else (np.where, rows)
    masked: Any = where(rows.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
    return masked if isinstance(values, Tensor) else masked.astype(values.dtype, copy=False)


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread per torch operation: bits depend on the number of threads."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
