"""A torch module of your own as a network: [B, T, I] → [B, T, O], for a whole population at once by torch.func."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from evornn.cell import Uniform
from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters
from evornn.layout import BlockSpec
from evornn.networks.unrolled import unroll

OwnModule: TypeAlias = torch.nn.Module  # of a user
MIN_HALF_WIDTH = 0.1  # half the initial range of a parameter tensor whose values are all equal


class CustomModule(Model):
    """A module as a network, whose genome holds the module's parameters in their order.

    For each parameter tensor, members are drawn from the uniform distribution with the mean and standard deviation of
    the module's own values. The module is copied and set to `eval()`: dropout and running statistics are off. torch's
    own RNN, LSTM and GRU in it are computed step by step (`unrolled.py`). It carries no state, and reads padding as
    zeros. A module is code, so it can be trained here but not named in a stored spec.

    >>> import torch
    >>> from evornn import Network
    >>> layers = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> Network(layers, inputs=2, outputs=1).n        # the same as Network(CustomModule(layers), …)
    17

    Args:
        module: [B, T, I] → [B, T, O].
        causal: Whether no output depends on later steps, without which causal tasks refuse the network; None: it is
            tried, with random parameters and inputs.
    """

    size_fields = ()

    def __init__(self, module: torch.nn.Module, causal: bool | None = None) -> None:
        if not isinstance(module, torch.nn.Module):
            raise EvornnError(f"CustomModule takes a torch.nn.Module, got {type(module).__name__}")
        self.module, self.given_causal = copy.deepcopy(module).eval(), causal
        self.parameter_paths = parameter_paths(self.module)
        unroll(self.module)

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        module = copy.deepcopy(self.module)  # functional_call changes it temporarily, and tiles may run in parallel
        fixed = {
            name: buffer.to(inputs if buffer.is_floating_point() else inputs.device)
            for name, buffer in module.named_buffers()
        }

        def member(parameters: dict[str, Tensor]) -> Tensor:
            # a parameter that occurs in several places gets the member's values in all of them
            everywhere = {place: parameters[name] for place, name in self.parameter_paths.items()}
            outputs: Tensor = functional_call(module, {**everywhere, **fixed}, (inputs,), tie_weights=False)
            return outputs

        outputs: Tensor = vmap(member)(dict(w))
        return outputs, {}

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        for name, values in self.module.named_parameters():
            yield name, tuple(values.shape), _uniform_like(values.detach().double()), None

    def check(self, d: Dimensions) -> None:
        """Raises EvornnError unless the module takes [B, T, I], returns [B, T, O], and can be vectorised."""
        # a trial run with small inputs: B = 2, T = 3
        x = torch.zeros(2, 3, d.inputs)
        if not self.parameter_paths:
            raise EvornnError("your module has no parameters: there is nothing to train")
        try:
            w = {name: values.detach().float()[None] for name, values in self.module.named_parameters()}
            with torch.no_grad():
                outputs, _ = self.run(w, x, {}, d)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise EvornnError(
                f"your module can't be a network on inputs [B, T, I] = {list(x.shape)}: {reason}"
            ) from error
        if not isinstance(outputs, Tensor) or outputs.shape[1:] != (2, 3, d.outputs):
            got = list(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise EvornnError(f"your module must answer [B, T, O] = {[2, 3, d.outputs]}, got {got}")
        own = self.given_causal
        self.causal = self._is_causal(d) if own is None else own  # type: ignore[misc]  # of this instance

    def _is_causal(self, d: Dimensions) -> bool:
        """Whether answers of a module with random parameters stay the same where only later inputs change."""
        draw = torch.Generator().manual_seed(0)
        w = {name: torch.randn(1, *shape, generator=draw) for name, shape, *_ in self.parameters(d)}
        x = torch.randn(2, 6, d.inputs, generator=draw)
        changed = torch.cat([x[:, :3], torch.randn(2, 3, d.inputs, generator=draw)], dim=1)
        with torch.no_grad():
            one, other = (self.run(w, inputs, {}, d)[0][:, :, :3] for inputs in (x, changed))
        return bool(torch.allclose(one, other, rtol=1e-4, atol=1e-5))


def parameter_paths(module: torch.nn.Module) -> dict[str, str]:
    """Every place of a parameter in the module → its name in `named_parameters`.

    torch's own handling of parameters that occur twice, `tie_weights`, changes a module that itself occurs twice.
    """
    names = {id(values): name for name, values in module.named_parameters()}
    return {
        f"{path}.{name}".removeprefix("."): names[id(values)]
        for path, part in module.named_modules()
        for name, values in part.named_parameters(recurse=False, remove_duplicate=False)
    }


def _uniform_like(values: Tensor) -> Uniform:
    """The uniform distribution with the mean and standard deviation of these values."""
    mean, half_width = float(values.mean()), math.sqrt(3) * float(values.std(correction=0))
    return Uniform(mean - (half_width or MIN_HALF_WIDTH), mean + (half_width or MIN_HALF_WIDTH))
