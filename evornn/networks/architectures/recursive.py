"""Recursive network (Goller & Küchler 1996; Socher et al. 2011):

p = tanh(W [c₁; …; c_k] + V x + b), y = U p + c, at every node of a tree from its children c and its own label x.

A tree is a sequence of its nodes, children before parents. The first k = `arity` inputs of a step are the positions of
the node's children, counted from 1, 0 where there is none; the others are its label. Without labels (x = 0) it is
Socher's network; with arity 1 and a chain for a tree it is Elman's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, affine, map_parts, refuse, uniform
from evornn.layout import BlockSpec
from evornn.settings import settings


@settings
class Recursive(Model):
    """Recursive network over trees of any shape, with an answer at every node. All nodes of a depth, over all trees of
    the batch, are computed at once. No state carries over. Initial weights U[−1/√H, 1/√H]."""

    arity: Annotated[int, Ge(1)] = 2  # the most children of a node

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        batch, length, _ = inputs.shape
        places = inputs[..., : self.arity].long()
        children, depths = global_indices(places), node_depths(places)
        labels = affine(inputs[..., self.arity :].flatten(0, 1), w["label.weight"], w["label.bias"])
        levels = [labels.new_zeros(len(labels), 1, d.units)]  # no child, then the nodes, one depth after the other
        # node (0: none) → its position in `levels`, joined along the nodes
        positions = torch.zeros(1 + batch * length, dtype=torch.long, device=inputs.device)
        # all nodes of a depth at once; their children are in earlier levels
        for level in range(int(depths.max()) + 1):
            nodes = (depths.flatten() == level).nonzero()[:, 0]
            below = positions[children.flatten(0, 1)[nodes]].flatten()
            sources = torch.cat(levels, 1).index_select(1, below).view(len(labels), len(nodes), -1)
            positions[1 + nodes] = torch.arange(len(nodes), device=inputs.device) + sum(f.shape[1] for f in levels)
            levels.append(torch.tanh(labels.index_select(1, nodes) + affine(sources, w["children.weight"])))
        states = torch.cat(levels, 1).index_select(1, positions[1:])
        outputs = affine(states, w["readout.weight"], w["readout.bias"])
        return outputs.view(len(labels), batch, length, -1), {}

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        yield from map_parts("label", d.units, d.inputs - self.arity, initial=uniform(d.units))
        yield "children.weight", (d.units, self.arity * d.units), uniform(d.units), None
        yield from map_parts("readout", d.outputs, d.units, initial=uniform(d.units))

    def check(self, d: Dimensions) -> None:
        if d.inputs <= self.arity:
            raise EvornnError(
                f"the first {self.arity} inputs of a recursive network are the positions of a node's children, and the "
                f"others its label, but there are only {d.inputs} inputs: lower arity, or give more inputs"
            )

    def check_inputs(self, inputs: Tensor, d: Dimensions) -> None:
        places = inputs[..., : self.arity]
        before = torch.arange(inputs.shape[1], device=inputs.device)[:, None]
        good = (places == places.round()) & (places >= 0) & (places <= before)
        problem = (
            f"the first {self.arity} inputs must be the positions of the node's children, counted from 1, or 0 for none"
        )
        refuse(~good.all(-1), f"{problem}; children come before their parents")


def global_indices(places: Tensor) -> Tensor:
    """Positions [B, T, arity] within each sequence → among all B·T nodes, likewise from 1, 0 for none."""
    first = torch.arange(len(places), device=places.device)[:, None, None] * places.shape[1]
    return torch.where(places > 0, first + places, 0)


def node_depths(places: Tensor) -> Tensor:
    """[B, T] the depth of each node: 0 for a leaf, else 1 + the largest of its children's."""
    depths = places.new_zeros(places.shape[0], 1 + places.shape[1])
    for t in range(places.shape[1]):
        now = places[:, t]
        depths[:, 1 + t] = torch.where(now > 0, 1 + depths.gather(1, now), 0).max(1).values
    return depths[:, 1:]
