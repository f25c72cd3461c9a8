"""Recursive network (Goller & Küchler 1996; Socher et al. 2011): the same weights at every node of a tree,

p = tanh(W [c₁; …; c_k] + V x + b) from its children c and its own label x, y = U p + c.

A tree is a sequence of its nodes, children before parents. The last k = `arity` inputs of a step say how many steps
back each child stands, 0 where there is none; those before are the node's label. A node without label (x = 0) is
Socher's; with arity 1 and every child one step back the network is Elman's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, affine, map_parts, refuse, uniform
from evornn.layout import Part
from evornn.settings import settings


@settings
class Recursive(Model):
    """Recursive network over trees of any shape, with an answer at every node; all nodes of a depth, over all trees of
    the batch, are computed at once. Nothing is carried from one call to the next. Initial weights U[−1/√H, 1/√H]."""

    arity: Annotated[int, Ge(1)] = 2  # most children of a node

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        batch, length, _ = inputs.shape
        children, depths = places(inputs[..., -self.arity :]), depth(inputs[..., -self.arity :])
        labels = affine(inputs[..., : -self.arity].flatten(0, 1), w["label.weight"], w["label.bias"])
        found = [labels.new_zeros(len(labels), 1, d.units)]  # no child, then the nodes, one depth after the other
        where = torch.zeros(1 + batch * length, dtype=torch.long, device=inputs.device)  # node → its place in `found`
        for level in range(int(depths.max()) + 1):
            nodes = (depths.flatten() == level).nonzero()[:, 0]
            below = where[children.flatten(0, 1)[nodes]].flatten()
            sources = torch.cat(found, 1).index_select(1, below).view(len(labels), len(nodes), -1)
            where[1 + nodes] = torch.arange(len(nodes), device=inputs.device) + sum(f.shape[1] for f in found)
            found.append(torch.tanh(labels.index_select(1, nodes) + affine(sources, w["children.weight"])))
        states = torch.cat(found, 1).index_select(1, where[1:])
        outputs = affine(states, w["readout.weight"], w["readout.bias"])
        return outputs.view(len(labels), batch, length, -1), {}

    def parameters(self, d: Dimensions) -> Iterator[Part]:
        yield from map_parts("label", d.units, d.inputs - self.arity, initial=uniform(d.units))
        yield "children.weight", (d.units, self.arity * d.units), uniform(d.units), None
        yield from map_parts("readout", d.outputs, d.units, initial=uniform(d.units))

    def check(self, d: Dimensions) -> None:
        if d.inputs <= self.arity:
            raise EvornnError(
                f"the last {self.arity} inputs of a recursive network say where a node's children stand, and those "
                f"before are its label, but there are only {d.inputs} inputs: lower arity, or give more inputs"
            )

    def check_inputs(self, inputs: Tensor, d: Dimensions) -> None:
        back = inputs[..., -self.arity :]
        earlier = torch.arange(inputs.shape[1], device=inputs.device)[:, None]
        good = (back == back.round()) & (back >= 0) & (back <= earlier)
        problem = f"the last {self.arity} inputs must be how many steps back each child stands, or 0 for no child"
        refuse(~good.all(-1), f"{problem}: whole numbers up to the number of steps before")


def places(back: Tensor) -> Tensor:
    """Steps back [B, T, arity] → 1 + the number of the child's node among all B·T, 0 for none."""
    batch, length, _ = back.shape
    nodes = torch.arange(batch * length, device=back.device).view(batch, length, 1)
    return torch.where(back > 0, 1 + nodes - back.long(), 0)


def depth(back: Tensor) -> Tensor:
    """[B, T] of each node: 0 for a leaf, else 1 + the largest of its children's."""
    depths = torch.zeros(back.shape[:2], dtype=torch.long, device=back.device)
    for t in range(back.shape[1]):
        below = depths.gather(1, (t - back[:, t].long()).clamp(min=0))
        depths[:, t] = torch.where(back[:, t] > 0, 1 + below, 0).max(1).values
    return depths
