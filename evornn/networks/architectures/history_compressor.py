"""Neural history compressor (Schmidhuber 1992):

hₜ = tanh(W xₜ + U hₜ₋₁ + b), p = P hₜ₋₁ + d, q = Q hₜ + e at each level, yₜ = V [h¹ₜ; …; hᴸₜ] + c.

p predicts the level's own input. Only where it fails, |p − xₜ| > tolerance in any component, does xₜ reach the level
above, together with a time stamp, log(1 + steps since the last such input). A level without input stands still. q
learns to predict the state of the level above, and so to replace it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from torch import Tensor

from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, affine, lengths, map_parts, uniform
from evornn.layout import BlockSpec
from evornn.settings import settings


@settings
class HistoryCompressor(Model):
    """An automatiser and one or more chunkers of H units each. States and times since the last input carry over.

    The levels' own losses are the mean squared errors of p and q at every step that a level takes. The loss that is
    reported, minimised by evolution and compared with other networks does not include them; only the gradient does, as
    their sum over steps times `own_losses`. No gradient flows from q's error into the level above, nor through the
    decision what is passed up. Initial weights U[−1/√H, 1/√H].
    """

    size_fields = ("units", "initial_state")
    learnable = ("h",)
    padding = float("nan")  # so that padding is not predicted
    levels: Annotated[int, Ge(2)] = 2
    tolerance: Annotated[float, Gt(0)] = 0.1  # in units of the inputs
    own_losses: Annotated[float, Ge(0)] = 1.0  # 0: the gradient is that of the reported loss

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        members, length = len(w["readout.weight"]), inputs.shape[1]
        reached = (torch.arange(length, device=inputs.device) < lengths(inputs)[:, None])[..., None]
        x, reached = (v.expand(members, -1, -1, -1) for v in (torch.where(reached, inputs, 0.0), reached))
        h, age = torch.split(state["h"], d.units, -1), torch.split(state["age"], 1, -1)
        # level after level, each over the complete sequence; `reached` [P, B, T, 1]: where the level has an input
        hidden, ticks, errors, ages = (list[Tensor]() for _ in range(4))
        for k in range(self.levels):
            states, missed, error = self._level(w, k, x, h[k], reached)
            hidden, ticks, errors = [*hidden, states], [*ticks, reached], [*errors, error]
            if k + 1 < self.levels:
                since, age_after = steps_since(missed, age[k])
                x, reached, ages = torch.cat([x, torch.log1p(since)], -1), missed, [*ages, age_after]
        errors += [self._above_losses(w, k, hidden[k], hidden[k + 1], ticks[k]) for k in range(self.levels - 1)]
        outputs = apply_map(w, "readout", torch.cat(hidden, -1))
        after = {"h": torch.cat([states[:, :, -1] for states in hidden], -1), "age": torch.cat(ages, -1)}
        return add_auxiliary_loss(outputs, self.own_losses * torch.stack(errors).sum((0, -1))), after

    def _level(self, w: Parameters, k: int, x: Tensor, h: Tensor, reached: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Level k's states [P, B, T, H], where it failed to predict its input [P, B, T, 1], and the losses of its
        predictions [P, B, T]."""
        recurrent = w[f"{k}.state.weight"][..., x.shape[-1] :]
        driven = affine(x.flatten(1, 2), w[f"{k}.state.weight"][..., : x.shape[-1]], w[f"{k}.state.bias"])
        states = [h]
        for now, mask in zip(driven.view(*x.shape[:-1], -1).unbind(2), reached.unbind(2), strict=True):
            states.append(torch.where(mask, torch.tanh(now + affine(states[-1], recurrent)), states[-1]))
        off = apply_map(w, f"{k}.prediction", torch.stack(states[:-1], 2)) - x
        missed = reached & (off.abs() > self.tolerance).any(-1, keepdim=True)
        return torch.stack(states[1:], 2), missed, torch.where(reached[..., 0], off.square().mean(-1), 0.0)

    def _above_losses(self, w: Parameters, k: int, states: Tensor, above: Tensor, reached: Tensor) -> Tensor:
        """[P, B, T] the losses of level k's predictions of the states above it."""
        off = apply_map(w, f"{k}.above", states) - above.detach()
        return torch.where(reached[..., 0], off.square().mean(-1), 0.0)

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        initial = uniform(d.units)
        for k in range(self.levels):
            yield from map_parts(f"{k}.state", d.units, d.inputs + k, d.units, initial=initial)
            yield from map_parts(f"{k}.prediction", d.inputs + k, d.units, initial=initial)
            if k + 1 < self.levels:
                yield from map_parts(f"{k}.above", d.units, d.units, initial=initial)
        yield from map_parts("readout", d.outputs, self.levels * d.units, initial=initial)

    def initial_state(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        return {"h": np.zeros(self.levels * d.units, np.float32), "age": np.zeros(self.levels - 1, np.float32)}


def apply_map(w: Parameters, name: str, x: Tensor) -> Tensor:
    """An affine map at every step.

    Args:
        w: the network's parameters.
        name: the map.
        x: [P, B, T, columns].

    Returns:
        [P, B, T, rows].
    """
    return affine(x.flatten(1, 2), w[f"{name}.weight"], w[f"{name}.bias"]).view(*x.shape[:-1], -1)


def steps_since(missed: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
    """Steps since the last miss before each step [P, B, T, 1], and after the last step [P, B, 1]; `age` [P, B, 1] is
    that before the first step."""
    t = torch.arange(missed.shape[2], device=age.device, dtype=age.dtype)[:, None]
    last = torch.cat([-age[:, :, None], torch.where(missed, t, -torch.inf)], 2).cummax(2).values
    return t - last[:, :, :-1], missed.shape[2] - last[:, :, -1]


class AuxiliaryLoss(torch.autograd.Function):
    """Outputs unchanged, with a further loss whose gradient is added when theirs is computed."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, loss: Tensor) -> Tensor:
        ctx.shape = loss.shape
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient.new_ones(ctx.shape)


def add_auxiliary_loss(outputs: Tensor, loss: Tensor) -> Tensor:
    """Outputs [P, B, T, O] with a further loss [P, B] attached: see `AuxiliaryLoss`."""
    result: Tensor = AuxiliaryLoss.apply(outputs, loss)  # type: ignore[no-untyped-call]
    return result
