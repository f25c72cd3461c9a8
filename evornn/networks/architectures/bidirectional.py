"""Bidirectional network (Schuster & Paliwal 1997): any cell run forward and backward, yₜ = V [h→ₜ; h←ₜ] + c."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import torch
from pydantic import BeforeValidator, ValidationInfo
from torch import Tensor

from evornn.catalog import Catalog
from evornn.cell import Cell
from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, affine, lengths, map_parts, uniform
from evornn.kernels.reference import Layer
from evornn.layout import Block, BlockSpec, Layout
from evornn.networks import CELLS
from evornn.settings import settings

DIRECTIONS = ("forward", "backward")


def _build_cell(value: Any, info: ValidationInfo) -> Any:
    return CELLS.build(value, info.field_name) if isinstance(value, Mapping) else value


@settings
class Bidirectional(Model):
    """Two networks of a cell, of H units each, one of which reads each sequence from its end; in further layers both
    read both. It sees the future: causal tasks refuse it, and no state carries over. Padding that is NaN, as in losses
    and gradients, is not read. Equals torch's modules with `bidirectional=True`. Initial weights are the cell's."""

    parts: ClassVar[Mapping[str, Catalog[Cell]]] = {"of": CELLS}
    size_fields = ("units", "layers", "initial_state")
    causal = False
    padding = float("nan")
    of: Annotated[Cell, BeforeValidator(_build_cell)] = field(default_factory=lambda: CELLS["lstm"]())

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        members, (batch, length, _) = len(w["readout.weight"]), inputs.shape
        reverse, valid = reversal_indices(lengths(inputs), length)
        x = torch.where(valid[..., None], inputs, 0.0).expand(members, -1, -1, -1)
        sequences = torch.arange(batch, device=inputs.device)[:, None]
        for k in range(d.layers):
            layout = self.layout(d, k)
            # the backward network reads the sequences reversed within their lengths; its outputs are reversed back
            ahead, back = (Layer(layout, 0, genomes(layout, w, k, direction)) for direction in DIRECTIONS)
            x = torch.cat([run_layer(ahead, x), run_layer(back, x[:, sequences, reverse])[:, sequences, reverse]], -1)
        outputs = affine(x.flatten(1, 2), w["readout.weight"], w["readout.bias"])
        return outputs.view(members, batch, length, -1), {}

    def layout(self, d: Dimensions, layer: int) -> Layout:
        """One direction of a layer."""
        inputs = d.inputs if layer == 0 else 2 * d.units
        return Layout(self.of, inputs, d.units, d.units, 1, d.initial_state, readout=False)

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        for k in range(d.layers):
            for direction in DIRECTIONS:
                for block in self.layout(d, k).blocks.values():
                    yield block_name(block, k, direction), block.shape, block.initial, block.mask
        yield from map_parts("readout", d.outputs, 2 * d.units, initial=uniform(2 * d.units))

    def check(self, d: Dimensions) -> None:
        layout, name = self.layout(d, 0), CELLS.name_of(self.of)
        if "y" in layout.trace.leaves:
            raise EvornnError(f"bidirectional can't run {name}, whose output is fed back: take another cell")
        if layout.width != d.units:
            raise EvornnError(f"bidirectional can't run {name}, which puts out {layout.width} values, not {d.units}")


def block_name(block: Block, layer: int, direction: str) -> str:
    """The name of a direction's block in the network: "0.f.x" of layer 1's forward direction is "1.forward.f.x".

    Args:
        block: of the direction's own layout.
        layer: from 0.
        direction: "forward" or "backward".
    """
    return f"{layer}.{direction}.{block.name.removeprefix('0.')}"


def genomes(layout: Layout, w: Parameters, layer: int, direction: str) -> Tensor:
    """The genomes of one direction of a layer.

    Args:
        layout: of the direction.
        w: the parameters of the network.
        layer: from 0.
        direction: "forward" or "backward".

    Returns:
        [P, n of the direction].
    """
    blocks = []
    for block in layout.blocks.values():
        values = w[block_name(block, layer, direction)]
        blocks.append(values.flatten(1) if block.mask is None else values[:, torch.as_tensor(block.mask)])
    return torch.cat(blocks, 1)


def run_layer(layer: Layer, x: Tensor) -> Tensor:
    """[P, B, T, columns] → what the layer puts out at each step [P, B, T, H]."""
    state, t, outputs = layer.initial_state(x.shape[1]), x.new_zeros(len(x), x.shape[1], 1), []
    for now in x.unbind(2):
        state = layer.step(now, t, t, state, {})  # no cell with y passes `check`, so t may stand for it
        t = t + 1
        outputs.append(layer.output(state))
    return torch.stack(outputs, 2)


def reversal_indices(lengths: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """[B, T] the position of each step when a sequence is reversed within its length, and whether the step is in the
    sequence."""
    t = torch.arange(steps, device=lengths.device)
    valid = t < lengths[:, None]
    return torch.where(valid, lengths[:, None] - 1 - t, t), valid
