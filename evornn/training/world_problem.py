"""A world as a problem: losses from episodes in environments that are Python programs, all in lock step.

The environments take their steps one after the other, the networks of a tile of members all at once. A member's bits
don't depend on its tile, on how full that is or on what was computed before, so a population may be split anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evornn.arrays import Batch, Floats, Genome, Genomes, Losses
from evornn.errors import EvornnError
from evornn.kernels.closed_loop import EpisodeResults
from evornn.kernels.evaluate import TILE, pad_to_tile, single_thread
from evornn.kernels.stepping import NetworkStepper
from evornn.layout import Layout
from evornn.networks.loss import CustomLoss
from evornn.networks.network import Network
from evornn.settings import BadSetting
from evornn.tasks.core.checked_environment import CheckedEnvironment
from evornn.tasks.core.task import Score
from evornn.tasks.core.world import RETURN, Environment, Rollouts
from evornn.trainers.core.query import Costs, Query
from evornn.training.episode_problem import EpisodeProblem

FLOPS_PER_STEP = 10**6  # a step of an environment takes Python longer than a network step with so many parameters


class WorldProblem(EpisodeProblem):
    """A problem whose cases are episodes, identified by their seeds and the same for all members of a call.

    A member costs the steps that its episodes lasted, at least one each even if its weights are not finite. An episode
    ends when an output of the network is not finite; the member's loss is then NaN, as it is for a return beyond
    float32.
    """

    def __init__(self, network: Network, rollouts: Rollouts, loss: str | CustomLoss) -> None:
        if loss != RETURN:
            raise BadSetting("loss", f"a task with a world is judged by its rewards: leave it out, got {loss!r}")
        self.network, self.rollouts = network, rollouts
        self._open: list[Environment] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_open": []}

    @property
    def backend(self) -> str:
        return "torch"

    @property
    def flops_per_step(self) -> int:
        return FLOPS_PER_STEP

    @property
    def default_batch_size(self) -> int | None:
        return self.rollouts.default_batch_size

    @property
    def is_separable(self) -> bool:
        return True

    @property
    def sizes(self) -> tuple[int, int]:
        return self.rollouts.sizes

    @property
    def num_cases(self) -> int:
        return len(self.rollouts.seeds)

    def min_cost(self, query: Query) -> int:
        return self.num_cases if query.batch is None else len(query.batch)

    def check(self, gradients: bool, readouts: bool) -> None:
        super().check(gradients, readouts)
        _ = self.layout

    @property
    def layout(self) -> Layout:
        """The network's layout. Raises EvornnError if it is not made of cells."""
        if not isinstance(self.network.layout, Layout):
            raise EvornnError("only a network made of cells can act in a world: use elman, lstm, gru or another cell")
        return self.network.layout

    def run(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        episodes = self.episodes(genomes, batch)
        with np.errstate(over="ignore"):
            losses = (-episodes.rewards.mean(axis=1)).astype(np.float32)
        losses[~np.isfinite(losses)] = np.nan  # a return beyond float32 must not win
        return losses, np.maximum(episodes.steps, 1).sum(axis=1)

    def score(self, genome: Genome, score: Score) -> float:
        return score.judge(self.episodes(genome[None]), self.rollouts)

    def episodes(self, genomes: Genomes, batch: Batch | None = None) -> EpisodeResults:
        """Run the episodes [P, E] of genomes [P, n]; `final_states` are the last observations [P, E, R]."""
        seeds = self.rollouts.seeds if batch is None else self.rollouts.seeds[batch]
        shape = len(genomes), len(seeds)
        episodes = EpisodeResults(
            np.zeros(shape, np.int64),
            np.full(shape, np.nan),
            np.zeros((*shape, self.rollouts.world.observation_size), np.float32),
        )
        # Members with infinite or undefined weights take no step, and keep the reward NaN.
        members, size = np.flatnonzero(np.isfinite(genomes).all(axis=1)), TILE[self.network.device.type]
        with torch.no_grad(), single_thread():
            for begin in range(0, len(members), size):
                rows = members[begin : begin + size]
                loop = RolloutLoop(self, genomes[rows], seeds)
                while loop.alive.any():
                    loop.step()
                episodes.steps[rows], episodes.rewards[rows], episodes.final_states[rows] = (
                    loop.count,
                    loop.rewards,
                    loop.observations,
                )
        return episodes

    def path(self, genome: Genome, steps: int) -> Floats:
        """[T + 1, R] the observations in the first episode of a genome [n], of at most `steps` steps."""
        with torch.no_grad(), single_thread():
            loop = RolloutLoop(self, genome[None], self.rollouts.seeds[:1])
            observations = [loop.observations[0, 0].copy()]
            while loop.alive.any() and len(observations) <= steps:
                loop.step()
                observations.append(loop.observations[0, 0].copy())
        return np.stack(observations)

    def environments(self, count: int) -> list[Environment]:
        """`count` environments, which are kept for the next call."""
        world = self.rollouts.world
        self._open += [CheckedEnvironment(world, world.open()) for _ in range(count - len(self._open))]
        return self._open[:count]


class RolloutLoop:
    """M members, at most a tile, in E episodes each: their last observations [M, E, R], rewards and steps [M, E]."""

    def __init__(self, problem: WorldProblem, genomes: Genomes, seeds: NDArray[np.int64]) -> None:
        self.world, self.steps = problem.rollouts.world, problem.rollouts.steps
        # Always a whole tile: if all operations have the same shape, a member's bits don't depend on the others.
        members = pad_to_tile(torch.as_tensor(problem.network.arguments.genomes(genomes)), single=False)
        self.networks = NetworkStepper(problem.layout, members, len(seeds))
        shape = len(genomes), len(seeds)
        self.environments = problem.environments(len(genomes) * len(seeds))
        self.observations = np.zeros((*shape, self.world.observation_size), np.float32)
        self.rewards, self.count, self.alive = np.zeros(shape), np.zeros(shape, np.int64), np.ones(shape, bool)
        for k, (p, e) in enumerate(np.ndindex(shape)):
            self.observations[p, e] = self.environments[k].reset(int(seeds[e]))

    def step(self) -> None:
        """One step of all episodes that have not ended."""
        outputs, (members, episodes) = self._outputs(), self.alive.shape
        finite: NDArray[np.bool_] = np.asarray(np.isfinite(outputs).all(axis=-1))
        actions = self.world.actions(np.where(finite[..., None], outputs, 0))
        self.count += self.alive
        self.rewards[self.alive & ~finite[:members]] = np.nan
        self.alive &= finite[:members]
        for p, e in np.argwhere(self.alive).tolist():
            observation, reward, over = self.environments[p * episodes + e].step(actions[p][e])
            self.observations[p, e] = observation
            self.rewards[p, e] += reward
            self.alive[p, e] = not over and self.count[p, e] < self.steps

    def _outputs(self) -> Floats:
        """[tile, E, O] the networks' outputs; the rows that only fill the tile get inputs of 0."""
        members, episodes = self.alive.shape
        x = self.networks.y.new_zeros(len(self.networks.genomes), episodes, self.world.inputs)
        x[:members] = torch.as_tensor(self.world.observe(self.observations)).to(x)
        t = x.new_full((*x.shape[:2], 1), int(self.count.max()))
        outputs: Floats = self.networks.act(x, t).cpu().numpy()
        return outputs
