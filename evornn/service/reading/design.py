"""How the network of a run is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evornn.networks.network import Network
    from evornn.store.records import StoredRun
    from evornn.tasks.core.task import EvaluationData


@dataclass(frozen=True)
class Design:
    """How to build a network: its fragment of the spec, and the sizes of its task."""

    run: int
    network: dict[str, Any]  # the fragment of the spec: kind, units, …
    inputs: int
    outputs: int
    parameters: int

    def build(self) -> Network:
        """Build the network, to compute on this machine's CPU."""
        from evornn.experiments.execute import build_network

        return build_network({"network": self.network}, self.inputs, self.outputs)


def design_of(run: StoredRun, data: EvaluationData) -> Design:
    """The design of a run's network, whose inputs and outputs are those of its data."""
    from evornn.experiments.execute import build_network_for

    inputs, outputs = data.sizes
    parameters = run.parameters or build_network_for(run.fragments, data).n
    return Design(run.id, run.fragments["network"], inputs, outputs, parameters)
