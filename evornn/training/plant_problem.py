"""A plant as a problem: losses from the episodes in which a network controls it; there are no gradients."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Floats, Genome, Genomes, Losses
from evornn.errors import EvornnError
from evornn.kernels.backend import closed_loop
from evornn.kernels.closed_loop import EpisodeResults, trajectory
from evornn.layout import Layout
from evornn.networks.loss import CustomLoss
from evornn.networks.network import Network
from evornn.settings import BadSetting
from evornn.tasks.core.task import EPISODES, ControlEpisodes, Score
from evornn.trainers.core.query import Costs, Query
from evornn.training.episode_problem import EpisodeProblem


class PlantProblem(EpisodeProblem):
    """A problem of E episodes, which are one case: there are no mini-batches.

    A member costs the steps that its network has really taken, the failing one of each episode included, and at least
    one per episode even where its weights are not finite; the best of a generation also those of its test.
    """

    def __init__(self, network: Network, split: ControlEpisodes, loss: str | CustomLoss) -> None:
        if loss != EPISODES:
            raise BadSetting("loss", f"a task of control has a fitness of its own: leave it out, got {loss!r}")
        self.network, self.split, self.plant = network, split, split.plant.trace()

    @property
    def backend(self) -> str:
        return self.network.backend

    @property
    def flops_per_step(self) -> int:
        return self.network.n

    @property
    def default_batch_size(self) -> int | None:
        return None

    @property
    def sizes(self) -> tuple[int, int]:
        return self.split.sizes

    @property
    def num_cases(self) -> int:
        return 1

    @property
    def is_separable(self) -> bool:
        return not self.split.test_steps  # the best of a generation is tested

    def min_cost(self, query: Query) -> int:
        return len(self.plant.initial_states)

    def check(self, gradients: bool, readouts: bool) -> None:
        super().check(gradients, readouts)
        _ = self.closed_loop_runner  # raises where the kernels can't run it

    @cached_property
    def closed_loop_runner(self) -> Any:
        """What runs the episodes."""
        return closed_loop(self.network.evaluator, self.plant)

    def run(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        split, episodes = self.split, self.episodes(genomes, self.split.steps)
        fitness = split.fitness(episodes.steps, episodes.rewards).mean(axis=1)
        losses = np.where(np.isfinite(genomes).all(axis=1), fitness, np.nan).astype(np.float32)
        costs = count_steps(episodes, split.steps)
        if split.test_steps and np.isfinite(losses).any():
            best = int(np.nanargmin(losses))
            if (episodes.steps[best] == split.steps).all():
                test = self.episodes(genomes[best : best + 1], split.test_steps)
                costs[best] += count_steps(test, split.test_steps)[0]
                losses[best] = 0 if (test.steps == split.test_steps).all() else losses[best]
        return losses, costs

    def score(self, genome: Genome, score: Score) -> float:
        return float(score.compute(self.episodes(genome[None], self.split.steps), self.split))

    def episodes(self, genomes: Genomes, steps: int) -> EpisodeResults:
        """The episodes of genomes [P, n], of at most so many control steps."""
        episodes: EpisodeResults = self.closed_loop_runner.run(self.network.arguments.genomes(genomes), steps)
        return episodes

    def path(self, genome: Genome, steps: int) -> Floats:
        """[T + 1, states] the plant in the first episode of a genome [n], which lasts for at most so many steps."""
        layout = self.network.layout
        if not isinstance(layout, Layout):
            raise EvornnError(f"{self.network!r} can't control a plant")
        states: Floats = trajectory(layout, self.plant, self.network.arguments.genome(genome), steps)
        return states


def count_steps(episodes: EpisodeResults, max_steps: int) -> NDArray[np.int64]:
    """[P] network steps that were taken."""
    counts: NDArray[np.int64] = np.minimum(episodes.steps + 1, max_steps).sum(axis=1)
    return counts
