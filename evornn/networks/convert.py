"""Weights from and to torch's own recurrent modules: RNN ↔ elman, also in layers as recurrent_multilayer_perceptron,
LSTM ↔ lstm, GRU ↔ gru, with a Linear as read-out.

torch keeps two biases where one suffices: from torch they are added, to torch the second one is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from evornn.arrays import Genome
from evornn.errors import EvornnError
from evornn.layout import Layout
from evornn.networks import NETWORKS
from evornn.networks.architectures.elman import Elman
from evornn.networks.network import Network

RMLP = "recurrent_multilayer_perceptron"
GATES = {"elman": ["h"], RMLP: ["h"], "lstm": ["i", "f", "z", "o"], "gru": ["r", "z", "n"]}  # in torch's order of rows
MODULES: dict[str, Callable[..., torch.nn.RNNBase]] = {
    "elman": torch.nn.RNN,
    RMLP: torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}


def from_torch(network: Network, recurrent: torch.nn.RNNBase, readout: torch.nn.Linear) -> Genome:
    """The genome with which `network` computes what `readout(recurrent(x)[0])` does.

    Args:
        network: an architecture of `GATES`, with the sizes of the modules.
        recurrent: torch's module of the same kind.
        readout: a linear layer with bias.

    Returns:
        [n].

    Raises:
        EvornnError: network and modules don't compute the same.
    """
    kind = _kind(network)
    _check(network, kind, recurrent, readout)
    parts = {"readout.weight": readout.weight, "readout.bias": readout.bias}
    for layer in range(network.layout.layers):
        wx, wh, bx, bh = (
            dict(zip(GATES[kind], getattr(recurrent, f"{name}_l{layer}").chunk(len(GATES[kind])), strict=True))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        for gate in GATES[kind]:
            # GRU applies the reset gate to the hidden part of n, which is therefore a map m of its own with its own
            # bias; elsewhere torch's two biases are added
            hidden = "m" if (kind, gate) == ("gru", "n") else gate
            parts[f"{layer}.{gate}.x"], parts[f"{layer}.{hidden}.h"] = wx[gate], wh[gate]
            parts[f"{layer}.{gate}.bias"] = bx[gate] + (0 if hidden != gate else bh[gate])
            if hidden != gate:
                parts[f"{layer}.{hidden}.bias"] = bh[gate]
    genome = np.zeros(network.n, np.float32)
    for name, block in network.layout.blocks.items():
        if parts[name].shape != block.shape:
            ours, theirs = list(block.shape), list(parts[name].shape)
            raise EvornnError(f"{name} is {ours} in {network!r} but {theirs} in torch: make the sizes equal")
        genome[block.slice] = parts[name].detach().cpu().numpy().ravel()
    return genome


def to_torch_modules(network: Network, genome: Genome) -> tuple[torch.nn.RNNBase, torch.nn.Linear]:
    """torch's own recurrent module and read-out with the weights of `genome` [n]."""
    kind, layout = _kind(network), network.layout
    assert isinstance(layout, Layout)
    settings = {"num_layers": layout.layers, "batch_first": True, **_nonlinearity(network)}
    recurrent = MODULES[kind](layout.inputs, layout.units, **settings)
    readout = torch.nn.Linear(layout.units, layout.outputs)

    def block(name: str) -> torch.Tensor:
        b = layout.blocks[name]
        return torch.as_tensor(genome[b.slice]).view(b.shape)

    with torch.no_grad():
        readout.weight.copy_(block("readout.weight"))
        readout.bias.copy_(block("readout.bias"))
        for layer in range(layout.layers):
            hidden = ["m" if (kind, gate) == ("gru", "n") else gate for gate in GATES[kind]]
            getattr(recurrent, f"weight_ih_l{layer}").copy_(torch.cat([block(f"{layer}.{g}.x") for g in GATES[kind]]))
            getattr(recurrent, f"weight_hh_l{layer}").copy_(torch.cat([block(f"{layer}.{g}.h") for g in hidden]))
            getattr(recurrent, f"bias_ih_l{layer}").copy_(torch.cat([block(f"{layer}.{g}.bias") for g in GATES[kind]]))
            second = [block(f"{layer}.m.bias") if g == "m" else torch.zeros(layout.units) for g in hidden]
            getattr(recurrent, f"bias_hh_l{layer}").copy_(torch.cat(second))
    return recurrent, readout


def _check(network: Network, kind: str, recurrent: torch.nn.RNNBase, readout: torch.nn.Linear) -> None:
    """Raises EvornnError unless `network` computes what the modules do."""
    if type(recurrent) is not MODULES[kind]:
        raise EvornnError(f"{kind} takes its weights from torch.nn.{MODULES[kind].__name__}, got {recurrent!r}")
    required: dict[str, object] = {
        "num_layers": network.layout.layers,
        "bias": True,
        "bidirectional": False,
        "proj_size": 0,
    }
    for name, value in (required | _nonlinearity(network)).items():
        if getattr(recurrent, name) != value:
            raise EvornnError(f"{network!r} needs {name}={value} in torch's module, got {getattr(recurrent, name)}")
    if not isinstance(readout, torch.nn.Linear) or readout.bias is None:
        raise EvornnError(f"the read-out must be a torch.nn.Linear with bias, got {readout!r}")


def _kind(network: Network) -> str:
    kind, layout = NETWORKS.name_of(network.cell), network.layout
    convertible = kind in GATES and isinstance(layout, Layout) and layout.initial_state == "zero"
    if not convertible or "sigmoid" in _nonlinearity(network).values():
        names = ", ".join(GATES)
        raise EvornnError(
            f"torch has no module equal to {network!r}: only {names} with zero initial state convert, none with sigmoid"
        )
    return kind


def _nonlinearity(network: Network) -> dict[str, object]:
    """What torch.nn.RNN calls the activation; nothing for other modules."""
    return {"nonlinearity": network.cell.activation} if isinstance(network.cell, Elman) else {}
