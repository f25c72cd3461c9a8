"""EvoTorch: its RNN and LSTM with flat parameters, vmapped over the population and stepped by a loop over time.

That is how its own problems run a recurrent network. It has no GRU, no CTRNN and no gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.func import vmap

from benchmarks.timing import Contestant
from benchmarks.workloads import Problem
from evornn.arrays import Genomes


def contestants(problem: Problem) -> Iterator[Contestant]:
    if problem.operation == "forward" and problem.cell in ("elman", "lstm"):
        yield Contestant("evotorch", "vmap twice", _losses(problem, twice=True), lambda losses: losses.numpy())
        if problem.cell == "elman":
            yield Contestant("evotorch", "vmap", _losses(problem, twice=False), lambda losses: losses.numpy())


@torch.no_grad()
def _losses(problem: Problem, twice: bool) -> Callable[[], torch.Tensor]:
    """Losses [P]; its LSTM takes one sequence, so that it needs a second vmap, its RNN also a batch of them."""
    net, members = _network(problem), torch.from_numpy(parameters(problem))
    over_batch = vmap(net, (None, 0, 0)) if twice else net
    step = vmap(over_batch, (0, None, 0))
    x, y = (torch.from_numpy(values).transpose(0, 1) for values in (problem.inputs, problem.targets))
    zeros = torch.zeros(len(members), len(x[0]), problem.sizes.units)
    start = {0: zeros if problem.cell == "elman" else (zeros, zeros)}

    @torch.no_grad()
    def losses() -> torch.Tensor:
        state, total = start, torch.zeros(len(members))
        for now, wanted in zip(x, y, strict=True):
            outputs, state = step(members, now, state)
            total += (outputs - wanted).square().mean((1, 2))
        return total / len(x)

    return losses


def _network(problem: Problem) -> Any:
    from evotorch.neuroevolution.net import make_functional_module
    from evotorch.neuroevolution.net.layers import LSTM, RNN
    from evotorch.neuroevolution.net.multilayered import MultiLayered

    s, kind = problem.sizes, RNN if problem.cell == "elman" else LSTM
    net = MultiLayered(kind(s.inputs, s.units), torch.nn.Linear(s.units, s.outputs))
    return make_functional_module(net, disable_autograd_tracking=True)


def parameters(problem: Problem) -> Genomes:
    """[P, n′] our genomes in EvoTorch's order: weights of x, of h, biases, second biases (zero), read-out."""
    blocks, genomes = problem.network.layout.blocks, problem.genomes
    gates = ("h",) if problem.cell == "elman" else ("i", "f", "z", "o")
    names = [f"0.{gate}.{part}" for part in ("x", "h", "bias") for gate in gates]
    second = np.zeros((len(genomes), len(gates) * problem.sizes.units), np.float32)
    readout = [genomes[:, blocks[f"readout.{part}"].slice] for part in ("weight", "bias")]
    return np.concatenate([*(genomes[:, blocks[name].slice] for name in names), second, *readout], 1)
