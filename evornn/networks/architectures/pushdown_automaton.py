"""Neural network pushdown automaton (Das, Giles & Sun 1992; Sun et al. 1993):

S′ = σ(Wˢ (S⊗R⊗I) + bˢ), A = tanh(Wᵃ (S⊗R⊗I) + bᵃ), y = V [S; L] + c, with a continuous stack.

A > 0 pushes the input I with thickness A, A < 0 pops thickness |A|; L is the thickness of the stack. R is the content
of the uppermost unit of thickness: each symbol weighted by its thickness there, and as a last symbol the thickness
missing to 1. Without that symbol, R would be 0 for an empty stack and cut off state and input. In the papers not a
read-out but a unit of S itself decides whether to accept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, affine, map_parts, unflatten, uniform
from evornn.layout import BlockSpec
from evornn.settings import settings


@settings
class PushdownAutomaton(Model):
    """Third-order network with H state units and a stack. State and stack carry over; S starts as (1, 0, …, 0). A stack
    of more than `depth` pieces forgets its bottom. Initial weights U[−1/√H, 1/√H].

    `readout` is linear, or as in the papers: the first O units, or the first O − 1 and L. With targets (S*, 0) at the
    end of a string, mse of the last is half the papers' loss, (S − S*)² + L².
    """

    size_fields = ("units", "initial_state")
    learnable = ("s",)
    readout: Literal["linear", "units", "units_and_length"] = "linear"
    depth: Annotated[int, Ge(1)] = 32  # the most pieces on the stack

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        s, thickness, seen = state["s"], state["thickness"], []
        symbols = unflatten(state["symbols"], self.depth)
        for x in inputs.unbind(1):
            now = x.expand(len(s), -1, -1)
            # third order: all products of state, top of the stack and input drive both state and action
            product = outer(outer(s, top(symbols, thickness)), now)
            s = torch.sigmoid(affine(product, w["state.weight"], w["state.bias"]))
            action = torch.tanh(affine(product, w["action.weight"], w["action.bias"]))
            symbols, thickness = apply_action(symbols, thickness, now, action)
            seen.append(torch.cat([s, thickness.sum(-1, keepdim=True)], -1))
        after = {"s": s, "thickness": thickness, "symbols": symbols.flatten(-2)}
        return self._outputs(w, torch.stack(seen, 2), d), after

    def _outputs(self, w: Parameters, seen: Tensor, d: Dimensions) -> Tensor:
        """[S; L] of each step [P, B, T, H + 1] → [P, B, T, O]."""
        if self.readout == "linear":
            outputs = affine(seen.flatten(1, 2), w["readout.weight"], w["readout.bias"])
            return outputs.view(*seen.shape[:3], d.outputs)
        if self.readout == "units":
            return seen[..., : d.outputs]
        return torch.cat([seen[..., : d.outputs - 1], seen[..., -1:]], -1)

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        product = d.units * (d.inputs + 1) * d.inputs
        yield from map_parts("state", d.units, product, initial=uniform(d.units))
        yield from map_parts("action", 1, product, initial=uniform(d.units))
        if self.readout == "linear":
            yield from map_parts("readout", d.outputs, d.units, 1, initial=uniform(d.units))

    def initial_state(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        return {
            "s": np.eye(1, d.units, dtype=np.float32)[0],
            "thickness": np.zeros(self.depth, np.float32),
            "symbols": np.zeros(self.depth * d.inputs, np.float32),
        }

    def check(self, d: Dimensions) -> None:
        needed = {"linear": 1, "units": d.outputs, "units_and_length": d.outputs - 1}[self.readout]
        if d.units < needed:
            raise EvornnError(f"the first {needed} units are the outputs, but there are only {d.units}: raise units")


# ---- the stack, uppermost piece first: symbols [P, B, D, I], thickness [P, B, D] -------------------------------------


def top(symbols: Tensor, thickness: Tensor) -> Tensor:
    """[P, B, I + 1] the content of the uppermost unit of thickness, and the thickness missing to 1."""
    above = thickness.cumsum(-1) - thickness
    share = torch.minimum(thickness, torch.relu(1 - above))
    return torch.cat([(share[..., None, :] @ symbols)[..., 0, :], 1 - share.sum(-1, keepdim=True)], -1)


def apply_action(symbols: Tensor, thickness: Tensor, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """The stack after an action: x pushed with thickness A, or thickness −A popped.

    Args:
        symbols: [P, B, D, I].
        thickness: [P, B, D].
        x: [P, B, I] the input.
        action: [P, B, 1] A.

    Returns:
        Symbols and thickness afterwards.
    """
    symbols, thickness = drop_empty(symbols, thickness)
    pushed = torch.cat([x[..., None, :], symbols[..., :-1, :]], -2), torch.cat([action, thickness[..., :-1]], -1)
    # for each piece, the thickness above it
    above = thickness.cumsum(-1) - thickness
    popped = torch.relu(thickness - torch.relu(-action - above))
    push = action > 0
    return torch.where(push[..., None], pushed[0], symbols), torch.where(push, pushed[1], popped)


def drop_empty(symbols: Tensor, thickness: Tensor) -> tuple[Tensor, Tensor]:
    """The same stack without pieces of thickness 0 on top, which makes room for new ones."""
    gone = (thickness.cumsum(-1) == 0).sum(-1, keepdim=True)
    place = torch.arange(thickness.shape[-1], device=thickness.device) + gone
    valid, place = place < thickness.shape[-1], place.clamp(max=thickness.shape[-1] - 1)
    thickness = torch.where(valid, thickness.gather(-1, place), 0.0)
    return symbols.gather(-2, place[..., None].expand_as(symbols)), thickness


def outer(a: Tensor, b: Tensor) -> Tensor:
    """[P, B, i], [P, B, j] → all products aᵢbⱼ [P, B, i·j]."""
    return (a[..., :, None] * b[..., None, :]).flatten(-2)
