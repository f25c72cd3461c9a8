"""A trained network as arrays to plot: weights, recurrent matrices, activity over a sequence, forecast or trajectory.

Everything is computed on this machine's CPU, from the genome and the task's test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evornn.arrays import Floats, Genome
from evornn.experiments.reporting.charts import ForecastLines
from evornn.layout import BaseLayout, Layout
from evornn.networks.network import Network
from evornn.tasks.core.task import ControlEpisodes, Data, EvaluationData, Sequences
from evornn.tasks.core.world import Rollouts
from evornn.training.plant_problem import PlantProblem
from evornn.training.sequence_problem import last_outputs
from evornn.training.world_problem import WorldProblem

MAX_STEPS = 200  # time steps of the activity
MAX_EPISODE_STEPS = 1000  # control steps of a trajectory
NO_STATE = ("y", "t")  # carried from call to call, but not activity


@dataclass(frozen=True)
class Trajectory:
    """The first episode of a control task: the states of a plant, or the observations of an environment."""

    states: tuple[str, ...]
    path: Floats  # [T + 1, states]


@dataclass(frozen=True)
class NetworkSummary:
    """Arrays of a network. Parts that its architecture or its task doesn't have are empty."""

    weights: Mapping[str, Floats]  # block → [rows, columns]; vectors are one column
    recurrent: Mapping[str, Floats]  # square matrices from a layer's state to itself
    activity: Mapping[str, Floats]  # state → [T, units] over the first test sequence
    forecast: ForecastLines | None = None
    trajectory: Trajectory | None = None


def summarise_network(
    network: Network, data: Data | EvaluationData, genome: Genome, name: str = "network"
) -> NetworkSummary:
    """Compute the summary of a network.

    Args:
        network: The network.
        data: Its task's data, of which the test split is used.
        genome: Parameters [n].
        name: Label of its forecast.
    """
    layout = network.layout
    weights = {block: matrix(layout, genome, block) for block in (*layout.blocks, *layout.fixed_weights)}
    weights = {block: values for block, values in weights.items() if values.size}
    recurrent = {block: weights[block] for block in _recurrent_blocks(layout) if block in weights}
    if data.test is None:  # too large to be kept, and its file is gone
        return NetworkSummary(weights, recurrent, {})
    if not isinstance(data.test, Sequences):
        return NetworkSummary(weights, recurrent, {}, trajectory=_trajectory(network, data.test, data.loss, genome))
    return NetworkSummary(
        weights, recurrent, _activity(network, data.test, genome), _forecast(network, data, genome, name)
    )


def matrix(layout: BaseLayout, genome: Genome, name: str) -> Floats:
    """The weights of one block.

    Args:
        layout: Layout of the network.
        genome: Parameters [n].
        name: Name of a block, or of weights that the architecture fixes.

    Returns:
        Weights [rows, columns]; 0 where a mask leaves out a weight.
    """
    if name in layout.fixed_weights:
        return layout.fixed_weights[name]
    block = layout.blocks[name]
    if block.mask is None:
        values = genome[block.slice].reshape(block.shape)
    else:
        values = np.zeros(block.shape, np.float32)
        values[block.mask] = genome[block.slice]
    return values.reshape(len(values), -1)


def _recurrent_blocks(layout: BaseLayout) -> list[str]:
    """Square blocks whose source is a state of their own layer."""
    if not isinstance(layout, Layout):
        return [name for name, block in layout.blocks.items() if len(set(block.shape)) == 1 and len(block.shape) == 2]
    states = layout.trace.states
    shapes = {name: block.shape for name, block in layout.blocks.items()}
    shapes |= {name: values.shape for name, values in layout.fixed_weights.items()}
    return [
        name
        for name, shape in shapes.items()
        if name.split(".")[-1] in states and len(shape) == 2 and shape[0] == shape[1]
    ]


def _activity(network: Network, test: Sequences, genome: Genome) -> dict[str, Floats]:
    """The states of all layers after each step."""
    if not network.layout.states:
        return {}
    inputs, state = test.inputs[:1, :MAX_STEPS], None
    traces: dict[str, list[Any]] = {}
    for step in range(inputs.shape[1]):
        _, state = network.predict(genome[None], inputs[:, step : step + 1], state=state, return_state=True)
        for layer, values in enumerate(state):
            for name in (name for name in values if name not in NO_STATE):
                key = f"{layer}.{name}" if len(state) > 1 else name
                traces.setdefault(key, []).append(np.asarray(values[name])[0, 0].reshape(-1))
    return {name: np.stack(steps) for name, steps in traces.items()}


def _forecast(network: Network, data: Data | EvaluationData, genome: Genome, name: str) -> ForecastLines | None:
    if data.chart is None or not isinstance(data.test, Sequences):
        return None
    predicted = last_outputs(network, genome, data.test)
    return ForecastLines(data.chart, {name: data.chart.inverse_transform(predicted)})


def _trajectory(network: Network, split: ControlEpisodes | Rollouts, loss: str, genome: Genome) -> Trajectory:
    max_steps = min(split.steps, MAX_EPISODE_STEPS)
    if isinstance(split, ControlEpisodes):
        return Trajectory(split.plant.state, PlantProblem(network, split, loss).path(genome, max_steps))
    path = WorldProblem(network, split, loss).path(genome, max_steps)
    return Trajectory(tuple(f"observation {k}" for k in range(path.shape[1])), path)
