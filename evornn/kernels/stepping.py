"""A population's networks one step at a time, each with inputs of its own: for loops around programs that torch
can't see."""

from __future__ import annotations

from torch import Tensor

from evornn.kernels.reference import NetworkState, Reference
from evornn.layout import Layout


class NetworkStepper:
    """P networks in E episodes each."""

    def __init__(self, layout: Layout, genomes: Tensor, episodes: int) -> None:
        self.layout, self.genomes = layout, genomes
        self.network = Reference(layout, genomes)
        self.states: NetworkState = self.network.initial_state(episodes)
        self.y = genomes.new_zeros(len(genomes), episodes, layout.outputs)

    def act(self, x: Tensor, t: Tensor) -> Tensor:
        """Inputs [P, E, I] and times [P, E, 1] → outputs [P, E, O]. The networks' states advance by one step."""
        now = []
        for layer, state in zip(self.network.layers, self.states, strict=True):
            now.append(layer.step(x, self.y, t, state, {}))
            x = layer.output(now[-1])
        self.states, self.y = now, self.network.readout(x)
        return self.y

    def select(self, mask: Tensor) -> NetworkStepper:
        """The same networks at the same step, only those where `mask` [P] is True."""
        stepper = NetworkStepper(self.layout, self.genomes[mask], self.y.shape[1])
        stepper.states = [{name: values[mask] for name, values in layer.items()} for layer in self.states]
        stepper.y = self.y[mask]
        return stepper
