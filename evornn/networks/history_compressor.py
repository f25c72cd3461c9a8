"""Neural history compressor (Schmidhuber 1992):

hₜ = tanh(W xₜ + U hₜ₋₁ + b), p = P hₜ₋₁ + d, q = Q hₜ + e at each level, yₜ = V [h¹ₜ; …; hᴸₜ] + c.

p predicts the level's own input. Only where it fails, |p − xₜ| > tolerance in any part, does xₜ reach the level above,
together with a time stamp, log(1 + steps since that was last reached). A level that nothing reaches stands still.
q learns to predict the state of the level above, and so to do without it.
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
from evornn.layout import Part
from evornn.settings import settings


@settings
class HistoryCompressor(Model):
    """An automatiser and one or more chunkers of H units each. States and times since the last input carry over.

    The levels' own losses, the mean squared errors of p and q at every step that a level takes, are no part of the loss
    that is reported, minimised by evolution and compared with other networks; they join in the gradient alone, summed
    over steps and times `own_losses`. No gradient flows from q's error into the level above, nor through the decision
    what goes up. Initial weights U[−1/√H, 1/√H].
    """

    takes = ("units", "initial_state")
    learnable = ("h",)
    padding = float("nan")  # is not to be predicted
    levels: Annotated[int, Ge(2)] = 2
    tolerance: Annotated[float, Gt(0)] = 0.1  # in units of the inputs
    own_losses: Annotated[float, Ge(0)] = 1.0  # 0: the gradient is that of the reported loss

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        there = torch.arange(inputs.shape[1], device=inputs.device) < lengths(inputs)[:, None]
        inputs = torch.where(there[..., None], inputs, 0.0)
        h, age = list(torch.split(state["h"], d.units, -1)), list(torch.split(state["age"], 1, -1))
        seen, own = [], []
        for t, x in enumerate(inputs.unbind(1)):
            reached = there[:, t, None].expand(len(h[0]), -1, -1)
            x = x.expand(len(h[0]), -1, -1)
            ticks = []
            for k in range(self.levels):
                ticks.append(reached)
                h[k], missed, error = self._level(w, k, x, h[k], reached)
                own.append(error)
                if k + 1 < self.levels:
                    stamp, age[k] = torch.log1p(age[k]), torch.where(missed, 0.0, age[k]) + 1
                    x, reached = torch.cat([x, stamp], -1), missed
            own += [self._above(w, k, h, ticks[k]) for k in range(self.levels - 1)]
            seen.append(torch.cat(h, -1))
        outputs = affine(torch.stack(seen, 2).flatten(1, 2), w["readout.weight"], w["readout.bias"])
        outputs = joined(outputs, self.own_losses * torch.stack(own).sum(0))
        after = {"h": torch.cat(h, -1), "age": torch.cat(age, -1)}
        return outputs.view(len(h[0]), *inputs.shape[:2], -1), after

    def _level(self, w: Parameters, k: int, x: Tensor, h: Tensor, reached: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Level k's new state, where [P, B, 1] it failed to predict its input, and its prediction's loss [P, B]."""
        off = affine(h, w[f"{k}.prediction.weight"], w[f"{k}.prediction.bias"]) - x
        missed = reached & (off.abs() > self.tolerance).any(-1, keepdim=True)
        new = torch.tanh(affine(torch.cat([x, h], -1), w[f"{k}.state.weight"], w[f"{k}.state.bias"]))
        error = torch.where(reached[..., 0], off.square().mean(-1), 0.0)
        return torch.where(reached, new, h), missed, error

    def _above(self, w: Parameters, k: int, h: list[Tensor], reached: Tensor) -> Tensor:
        """[P, B] the loss of level k's prediction of the state above it."""
        off = affine(h[k], w[f"{k}.above.weight"], w[f"{k}.above.bias"]) - h[k + 1].detach()
        return torch.where(reached[..., 0], off.square().mean(-1), 0.0)

    def parameters(self, d: Dimensions) -> Iterator[Part]:
        initial = uniform(d.units)
        for k in range(self.levels):
            yield from map_parts(f"{k}.state", d.units, d.inputs + k, d.units, initial=initial)
            yield from map_parts(f"{k}.prediction", d.inputs + k, d.units, initial=initial)
            if k + 1 < self.levels:
                yield from map_parts(f"{k}.above", d.units, d.units, initial=initial)
        yield from map_parts("readout", d.outputs, self.levels * d.units, initial=initial)

    def start(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        return {"h": np.zeros(self.levels * d.units, np.float32), "age": np.zeros(self.levels - 1, np.float32)}


class Joining(torch.autograd.Function):
    """Outputs as they are, with a further loss whose gradient joins in when theirs is asked for."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, loss: Tensor) -> Tensor:
        ctx.shape = loss.shape
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient.new_ones(ctx.shape)


def joined(outputs: Tensor, loss: Tensor) -> Tensor:
    """See `Joining`."""
    result: Tensor = Joining.apply(outputs, loss)  # type: ignore[no-untyped-call]
    return result
