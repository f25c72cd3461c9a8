"""The closed loop, reference: a population of networks on torch tensors, each controlling a plant of its own.

Every member runs its episodes until its plant fails or the steps are used up. From time to time, members whose episodes
have all ended are dropped from the computation. Any dtype and device; `simd/runtime/control.py` does the same in SIMD
lanes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evornn.errors import EvornnError
from evornn.kernels.evaluate import single_thread
from evornn.kernels.reference import TORCH_OPS
from evornn.kernels.stepping import NetworkStepper
from evornn.layout import Layout
from evornn.ops import Node, Value, walk
from evornn.plant import PlantTrace

MAX_STEPS = 2**24  # the SIMD kernels count in float32


@dataclass(frozen=True)
class EpisodeResults:
    """The results of P members in E episodes each. A member with a weight that is not finite has 0 steps and reward
    NaN."""

    steps: NDArray[np.int64]  # [P, E] control steps survived
    rewards: NDArray[Any]  # [P, E] sum of the rewards of those steps, or of the last of them (`Plant.window`)
    final_states: NDArray[Any]  # [P, E, states] the plant after the last step, the one that failed included


def run(layout: Layout, plant: PlantTrace, genomes: Tensor, max_steps: int) -> EpisodeResults:
    """Run the episodes of a population.

    Args:
        layout: the networks.
        plant: what they control.
        genomes: [P, n].
        max_steps: control steps of an episode, at most.

    Raises:
        EvornnError: network and plant don't fit together, or the steps can't be counted.
    """
    check(layout, plant, max_steps)
    steps = torch.zeros(len(genomes), len(plant.initial_states), dtype=torch.int64, device=genomes.device)
    rewards = torch.full_like(steps, torch.nan, dtype=genomes.dtype)
    ends = torch.as_tensor(plant.initial_states).to(genomes).repeat(len(genomes), 1, 1)
    finite = genomes.isfinite().all(1)
    with torch.no_grad():
        loop = EpisodeLoop(layout, plant, genomes[finite], torch.nonzero(finite)[:, 0])
        for _ in range(max_steps):
            if not loop.alive.any():
                break
            loop.step()
            # fewer than half of the members still run: save the results and continue with these alone
            if 2 * loop.alive.any(1).sum() < len(loop.members):
                loop.report(steps, rewards, ends)
                loop = loop.survivors()
        loop.report(steps, rewards, ends)
    return EpisodeResults(steps.cpu().numpy(), rewards.cpu().numpy(), ends.cpu().numpy())


def trajectory(layout: Layout, plant: PlantTrace, genome: Tensor, max_steps: int) -> NDArray[Any]:
    """The plant's states in a genome's first episode.

    Args:
        layout: the network.
        plant: what it controls.
        genome: [n].
        max_steps: control steps, at most.

    Returns:
        [T + 1, states] at the start and after each of its T control steps.
    """
    check(layout, plant, max_steps)
    with torch.no_grad(), single_thread():
        loop = EpisodeLoop(layout, plant, genome[None], torch.zeros(1, dtype=torch.int64))
        states = [loop.s[0, 0]]
        while loop.alive[0, 0] and len(states) <= max_steps:
            loop.step()
            states.append(loop.s[0, 0])
    return torch.stack(states).cpu().numpy()


@dataclass(frozen=True)
class ClosedLoop:
    """A network that controls a plant, on torch. Torch's bits depend on the number of threads, so it takes one."""

    layout: Layout
    plant: PlantTrace

    def run(self, genomes: Tensor, max_steps: int) -> EpisodeResults:
        """[P, n] genomes → their episodes of at most `max_steps` control steps."""
        with single_thread():
            return run(self.layout, self.plant, genomes, max_steps)


def check(layout: Layout, plant: PlantTrace, max_steps: int) -> None:
    """Check that a network can control a plant.

    Args:
        layout: the network.
        plant: the plant.
        max_steps: control steps of an episode, at most.

    Raises:
        EvornnError: inputs or outputs don't fit, or there are too many steps.
    """
    name, inputs, outputs = type(plant.plant).__name__.lower(), len(plant.observations), len(plant.a)
    if (layout.inputs, layout.outputs) != (inputs, outputs):
        got = f"{layout.inputs} and {layout.outputs}"
        raise EvornnError(f"{name} needs a network with inputs {inputs} and outputs {outputs}, got {got}")
    if not 1 <= max_steps <= MAX_STEPS:
        raise EvornnError(f"an episode has 1 … {MAX_STEPS} control steps: set max_steps, got {max_steps}")


class EpisodeLoop:
    """The members that still run (`members`: their numbers): networks, plants [P, E], and their results so far."""

    def __init__(self, layout: Layout, plant: PlantTrace, genomes: Tensor, members: Tensor) -> None:
        self.layout, self.plant, self.genomes, self.members = layout, plant, genomes, members
        self.networks = NetworkStepper(layout, genomes, len(plant.initial_states))
        self.s = torch.as_tensor(plant.initial_states).to(genomes).repeat(len(genomes), 1, 1)
        self.count, self.rewards = torch.zeros_like(self.s[..., 0]), torch.zeros_like(self.s[..., 0])
        self.alive = torch.ones_like(self.count, dtype=torch.bool)
        # a ring of the rewards of the last steps; `row` is the one to overwrite next
        self.recent_rewards, self.row = self.count.new_zeros(plant.window, *self.count.shape), 0

    def step(self) -> None:
        """One control step of all members; episodes that have ended stay as they are."""
        plant, s = self.plant, self.s
        x = self._values(plant.observations, dict(zip(plant.s, s.unbind(-1), strict=True)))
        y = self.networks.act(x, self.count[..., None])
        leaves = dict(zip(plant.a, y.unbind(-1), strict=True))
        for _ in range(plant.substeps):
            s = self._values(plant.new_state, {**leaves, **dict(zip(plant.s, s.unbind(-1), strict=True))})
        leaves |= dict(zip(plant.s, s.unbind(-1), strict=True))
        failed, reward = self._values((plant.is_terminal, plant.reward), leaves).unbind(-1)
        self.s = torch.where(self.alive[..., None], s, self.s)
        # the failing step counts neither as survived nor in the reward, so `alive` is updated first
        self.alive = self.alive & ~(failed > 0) & s.isfinite().all(-1)
        if plant.window:
            self.recent_rewards[self.row] = torch.where(self.alive, reward, self.recent_rewards[self.row])
            self.row = (self.row + 1) % plant.window
        else:
            self.rewards = torch.where(self.alive, self.rewards + reward, self.rewards)
        self.count = self.count + self.alive

    def _values(self, expressions: tuple[Value, ...], leaves: Mapping[Node, Tensor]) -> Tensor:
        """[P, E, …] the values of a plant's equations, from those of its leaves."""
        values: dict[Node, Any] = dict(leaves)
        for node in walk(*expressions):
            if node not in values:
                values[node] = TORCH_OPS[node.op](*(values[a] if isinstance(a, Node) else a for a in node.args))
        results = [values[v] if isinstance(v, Node) else torch.full_like(self.count, v) for v in expressions]
        return torch.stack(results, -1)

    def report(self, steps: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """Write the members' results into those of the population.

        Args:
            steps: [P, E].
            rewards: [P, E].
            ends: [P, E, states].
        """
        steps[self.members] = self.count.to(torch.int64)
        rewards[self.members] = self.recent_rewards.sum(0) if self.plant.window else self.rewards
        ends[self.members] = self.s

    def survivors(self) -> EpisodeLoop:
        """The same loop, only with members that have an episode left."""
        mask = self.alive.any(1)
        loop = EpisodeLoop(self.layout, self.plant, self.genomes[mask], self.members[mask])
        loop.networks, loop.s, loop.alive = self.networks.select(mask), self.s[mask], self.alive[mask]
        loop.count, loop.rewards = self.count[mask], self.rewards[mask]
        loop.recent_rewards, loop.row = self.recent_rewards[:, mask], self.row
        return loop
