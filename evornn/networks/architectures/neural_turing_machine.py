"""Neural Turing machine (Graves, Wayne & Danihelka 2014):

wᶜ = softmax(β·cos(k, M)), wᵍ = g wᶜ + (1−g) wₜ₋₁, w̃ᵢ = Σⱼ wᵍⱼ s(i−j), w = w̃^γ / Σ w̃^γ      (equations 5–9)
M ← M ⊙ (1 − w eᵀ) + w aᵀ, r = Σᵢ wᵢ Mᵢ, yₜ = V [hₜ; rₜ] + c                               (3, 4, 2)

from the controller's h of [xₜ; rₜ₋₁]. Each head writes first and then reads; key and addition are tanh, the gates e and
g logistic, β softplus, γ 1 + softplus, s a softmax over the shifts −K…K.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, affine, map_parts, unflatten, uniform
from evornn.layout import BlockSpec
from evornn.settings import settings


@settings
class NeuralTuringMachine(Model):
    """NTM with a feed-forward or LSTM controller of H units. Memory, weightings, the last reading and the controller's
    state carry over. At the start memory holds 10⁻⁶, or learned values, and all heads point to the first slot.

    Initial weights U[−1/√H, 1/√H], those of the controller and the read-outs alike, with H the controller's units.
    """

    size_fields = ("units", "initial_state")
    learnable = ("memory", "read")
    controller: Literal["lstm", "feed_forward"] = "lstm"
    slots: Annotated[int, Ge(1)] = 16  # N, locations in memory
    width: Annotated[int, Ge(1)] = 8  # M, numbers in a slot
    heads: Annotated[int, Ge(1)] = 1  # heads that read, and as many that write
    shifts: Annotated[int, Ge(0)] = 1  # K, the farthest shift in one step

    def __post_init__(self) -> None:
        if 2 * self.shifts + 1 > self.slots:
            raise EvornnError(f"{self.slots} slots can't be shifted by {self.shifts}: raise slots or lower shifts")

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        memory, members = unflatten(state["memory"], self.slots), len(w["readout.weight"])
        reading, writing = unflatten(state["reading"], self.heads), unflatten(state["writing"], self.heads)
        h, c, read, seen = state.get("h"), state.get("c"), state["read"], []
        for x in inputs.unbind(1):
            # the controller sees the input and the last reading; heads write first, then read
            h, c = self._controller(w, torch.cat([x.expand(members, -1, -1), read], -1), h, c)
            writing, rest = self._address(affine(h, w["write.weight"], w["write.bias"]), memory, writing)
            memory = write_memory(memory, writing, *torch.split(rest, self.width, -1))
            reading, _ = self._address(affine(h, w["read.weight"], w["read.bias"]), memory, reading)
            read = (reading @ memory).flatten(-2)
            seen.append(torch.cat([h, read], -1))
        outputs = affine(torch.stack(seen, 2).flatten(1, 2), w["readout.weight"], w["readout.bias"])
        after = {"memory": memory.flatten(-2), "reading": reading.flatten(-2), "writing": writing.flatten(-2)}
        after = {**after, "read": read, **({} if c is None or h is None else {"h": h, "c": c})}
        return outputs.view(members, len(inputs), -1, d.outputs), after

    def _controller(self, w: Parameters, x: Tensor, h: Tensor | None, c: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[xₜ; rₜ₋₁] and the controller's state → its new state; a feed-forward one has none."""
        if h is None or c is None:
            return torch.tanh(affine(x, w["controller.weight"], w["controller.bias"])), None
        gates = affine(torch.cat([x, h], -1), w["controller.weight"], w["controller.bias"])
        i, f, z, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(z)
        return torch.sigmoid(o) * torch.tanh(c), c

    def _address(self, parameters: Tensor, memory: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The controller's parameters for all heads [P, B, heads·k] → their weightings, and the parameters that are
        left."""
        # of a head: key, β, g, shifts, γ; a writing head has erase and addition behind them
        sizes = [self.width, 1, 1, 2 * self.shifts + 1, 1]
        parameters = unflatten(parameters, self.heads)
        key, beta, g, s, gamma, rest = torch.split(parameters, [*sizes, parameters.shape[-1] - sum(sizes)], -1)
        content = content_weighting(torch.tanh(key), softplus(beta), memory)
        weighting = circular_convolution(interpolate(content, before, torch.sigmoid(g)), torch.softmax(s, -1))
        return sharpen(weighting, 1 + softplus(gamma)), rest

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        initial, seen, addressing = uniform(d.units), self.heads * self.width, self.width + 2 * self.shifts + 4
        lstm = self.controller == "lstm"
        sources = (d.inputs, seen, d.units) if lstm else (d.inputs, seen)
        yield from map_parts("controller", (4 if lstm else 1) * d.units, *sources, initial=initial)
        yield from map_parts("write", self.heads * (addressing + 2 * self.width), d.units, initial=initial)
        yield from map_parts("read", self.heads * addressing, d.units, initial=initial)
        yield from map_parts("readout", d.outputs, d.units, seen, initial=initial)

    def initial_state(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        first_slot = np.tile(np.eye(1, self.slots, dtype=np.float32)[0], self.heads)
        controller = {"h": np.zeros(d.units, np.float32), "c": np.zeros(d.units, np.float32)}
        return {
            "memory": np.full(self.slots * self.width, 1e-6, np.float32),
            "reading": first_slot,
            "writing": first_slot,
            "read": np.zeros(self.heads * self.width, np.float32),
            **(controller if self.controller == "lstm" else {}),
        }


# ---- addressing: key [P, B, heads, M], memory [P, B, N, M], weightings [P, B, heads, N], numbers [P, B, heads, 1] ----


def content_weighting(key: Tensor, beta: Tensor, memory: Tensor) -> Tensor:
    """The weighting by content: softmax of β times the cosine of key and slot (equations 5 and 6).

    Args:
        key: [P, B, heads, M].
        beta: [P, B, heads, 1] the key strength.
        memory: [P, B, N, M].

    Returns:
        [P, B, heads, N].
    """
    length = (key.square().sum(-1)[..., None] * memory.square().sum(-1)[..., None, :] + 1e-16).sqrt()
    return torch.softmax(beta * (key @ memory.mT) / length, -1)


def interpolate(content: Tensor, before: Tensor, g: Tensor) -> Tensor:
    """The gated weighting, between that by content and the last one (7).

    Args:
        content: [P, B, heads, N].
        before: [P, B, heads, N].
        g: [P, B, heads, 1] the gate.
    """
    return g * content + (1 - g) * before


def circular_convolution(weighting: Tensor, shift: Tensor) -> Tensor:
    """The shifted weighting (8); shift [P, B, heads, 2K + 1] holds the shares that move by −K … K slots."""
    reach = shift.shape[-1] // 2
    moved = [weighting.roll(k, -1) * shift[..., k + reach, None] for k in range(-reach, reach + 1)]
    return torch.stack(moved).sum(0)


def sharpen(weighting: Tensor, gamma: Tensor) -> Tensor:
    """w^γ, normalised to sum 1 (9)."""
    power = weighting**gamma
    return power / (power.sum(-1, keepdim=True) + 1e-16)


def write_memory(memory: Tensor, writing: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """The memory after all heads have erased and added (3 and 4).

    Args:
        memory: [P, B, N, M].
        writing: [P, B, heads, N] the weightings.
        erase: [P, B, heads, M] before the sigmoid.
        add: [P, B, heads, M] before tanh.

    Returns:
        [P, B, N, M].
    """
    keep = 1 - writing[..., None] * torch.sigmoid(erase)[..., None, :]
    return memory * keep.prod(2) + writing.mT @ torch.tanh(add)
