"""torch.nn.RNN, LSTM and GRU step by step in plain operations: torch can't vectorise its own over a population."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import linear

from evornn.errors import EvornnError

State: TypeAlias = tuple[Tensor, ...]  # h, and c of an LSTM


def unroll(module: torch.nn.Module) -> None:
    """Give every recurrent module within `module` a forward pass that computes the same and can be vectorised."""
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.RNNBase):
            if type(part) not in STEPS or part.proj_size:
                raise EvornnError(f"{name or 'your module'}, {part!r}, can't be vectorised: use RNN, LSTM or GRU")
            part.forward = partial(forward, part)


def forward(rnn: torch.nn.RNNBase, x: Tensor, start: Any = None) -> tuple[Tensor, Any]:
    """What `rnn(x, start)` returns for a batch of sequences. Dropout between layers is not applied.

    Args:
        rnn: one of `STEPS`.
        x: [B, T, I], or [T, B, I] as the module has it.
        start: the module's initial state; None: zeros.

    Returns:
        Outputs and final state, as the module returns them.
    """
    x = x if rnn.batch_first else x.transpose(0, 1)
    directions, lstm = 1 + rnn.bidirectional, isinstance(rnn, torch.nn.LSTM)
    initial = (start if lstm else (start,)) if start is not None else None
    zero, ends = (x.new_zeros(len(x), rnn.hidden_size),) * (1 + lstm), []
    for layer in range(rnn.num_layers):
        directional = []
        for back in range(directions):
            # torch numbers its states layer by layer, direction by direction
            state = zero if initial is None else tuple(h[layer * directions + back] for h in initial)
            outputs, state = run_direction(
                rnn, f"_l{layer}{'_reverse' if back else ''}", x.flip(1) if back else x, state
            )
            directional.append(outputs.flip(1) if back else outputs)
            ends.append(state)
        x = torch.cat(directional, -1)
    end = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
    return x if rnn.batch_first else x.transpose(0, 1), end if lstm else end[0]


def run_direction(rnn: torch.nn.RNNBase, suffix: str, x: Tensor, state: State) -> tuple[Tensor, State]:
    """One direction of one layer.

    Args:
        rnn: one of `STEPS`.
        suffix: of the names of its weights, such as "_l0_reverse".
        x: [B, T, ·] in the order in which it is read.
        state: [B, H] h, and c of an LSTM.

    Returns:
        [B, T, H], and the state after the last step.
    """
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, c = (getattr(rnn, name + suffix, None) for name in names)
    outputs = []
    for now in linear(x, w, b).unbind(1):  # type: ignore[arg-type]
        state = STEPS[type(rnn)](rnn, now, linear(state[0], u, c), state)  # type: ignore[arg-type]
        outputs.append(state[0])
    return torch.stack(outputs, 1), state


def _rnn(rnn: Any, x: Tensor, h: Tensor, state: State) -> State:
    return (torch.tanh(x + h) if rnn.nonlinearity == "tanh" else torch.relu(x + h),)


def _lstm(rnn: Any, x: Tensor, h: Tensor, state: State) -> State:
    i, f, z, o = (x + h).chunk(4, -1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(z)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(rnn: Any, x: Tensor, h: Tensor, state: State) -> State:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
    z, n = torch.sigmoid(xz + hz), torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return ((1 - z) * n + z * state[0],)


STEPS: dict[type[torch.nn.Module], Callable[..., State]] = {
    torch.nn.RNN: _rnn,
    torch.nn.LSTM: _lstm,
    torch.nn.GRU: _gru,
}
