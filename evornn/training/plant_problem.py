"""A plant as a problem: losses from the episodes in which a network controls it, without gradients."""

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
    """A problem of E episodes. They count as one case, so there are no mini-batches.

    A member costs the steps that its episodes lasted, including the one that failed, and at least one per episode even
    if its weights are not finite. The best of a generation also costs its tests.
    """

    def __init__(self, network: Network, split: ControlEpisodes, loss: str | CustomLoss) -> None:
        if loss != EPISODES:
            raise BadSetting("loss", f"a task of control has a fitness of its own: leave it out, got {loss!r}")
        self.network, self.split, self.plant = network, split, split.plant.trace()

    @property
    def sizes(self) -> tuple[int, int]:
        return self.split.sizes

    @property
    def num_cases(self) -> int:
        return 1

    @property
    def is_separable(self) -> bool:
        return not self.split.test_steps  # which member is tested depends on the whole generation

    def min_cost(self, query: Query) -> int:
        return len(self.plant.initial_states)

    def check(self, gradients: bool, readouts: bool) -> None:
        super().check(gradients, readouts)
        _ = self.closed_loop_runner  # raises where the kernels can't run it

    @cached_property
    def closed_loop_runner(self) -> Any:
        """The kernel that runs the episodes. Raises EvornnError for a network that it can't run."""
        return closed_loop(self.network.evaluator, self.plant)

    def run(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        split, episodes = self.split, self.episodes(genomes, self.split.steps)
        fitness = check_fitness(split.fitness(episodes.steps, episodes.rewards), episodes.steps.shape).mean(axis=1)
        losses = np.where(np.isfinite(genomes).all(axis=1), fitness, np.nan).astype(np.float32)
        losses[np.isneginf(losses)] = np.nan  # no loss is better than all others
        costs = count_steps(episodes, split.steps)
        # If the best member survives all its episodes, it is tested on longer ones; passing is a loss of 0.
        if split.test_steps and np.isfinite(losses).any():
            best = int(np.nanargmin(losses))
            if (episodes.steps[best] == split.steps).all():
                passes, cost = self.test(genomes[best])
                costs[best] += cost
                losses[best] = 0 if passes else losses[best]
        return losses, costs

    def test(self, genome: Genome) -> tuple[bool, int]:
        """Whether a genome [n] passes the test of a generation's best, and the network steps that this took.

        The second test is only run if the first is passed.
        """
        steps, generalization = self.split.test_steps, self.split.generalization
        test = self.episodes(genome[None], steps)
        passes, cost = bool((test.steps == steps).all()), int(count_steps(test, steps)[0])
        if passes and generalization is not None:
            steps = generalization.episodes.steps
            test = self.generalization_problem.episodes(genome[None], steps)
            passes = int((test.steps == steps).sum()) >= generalization.required
            cost += int(count_steps(test, steps)[0])
        return passes, cost

    @cached_property
    def generalization_problem(self) -> PlantProblem:
        """The problem of the second test."""
        assert self.split.generalization is not None
        return PlantProblem(self.network, self.split.generalization.episodes, EPISODES)

    def score(self, genome: Genome, score: Score) -> float:
        split = self.split
        if split.generalization is None:
            return score.judge(self.episodes(genome[None], split.steps), split)
        long_steps = split.test_steps or split.steps
        survives = (self.episodes(genome[None], long_steps).steps == long_steps).all()
        return self.generalization_problem.score(genome, score) if survives else 0.0

    def episodes(self, genomes: Genomes, steps: int) -> EpisodeResults:
        """Run the episodes of genomes [P, n], of at most `steps` control steps each."""
        episodes: EpisodeResults = self.closed_loop_runner.run(self.network.arguments.genomes(genomes), steps)
        return episodes

    def path(self, genome: Genome, steps: int) -> Floats:
        """[T + 1, states] the plant's states in the first episode of a genome [n], of at most `steps` control steps.

        Raises EvornnError for a network that is not made of cells.
        """
        layout = self.network.layout
        if not isinstance(layout, Layout):
            raise EvornnError(f"{self.network!r} can't control a plant: use a network made of cells")
        states: Floats = trajectory(layout, self.plant, self.network.arguments.genome(genome), steps)
        return states


def count_steps(episodes: EpisodeResults, max_steps: int) -> NDArray[np.int64]:
    """[P] network steps of all episodes [P, E], including those that failed."""
    counts: NDArray[np.int64] = np.minimum(episodes.steps + 1, max_steps).sum(axis=1)
    return counts


def check_fitness(fitness: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The losses of episodes [P, E] that a task's fitness returns. Raises EvornnError if they are no numbers, or others
    than one for each episode."""
    losses = np.asarray(fitness)
    if losses.dtype.kind not in "biuf" or losses.shape != shape:
        got = f"{losses.dtype} {list(losses.shape)}"
        raise EvornnError(f"the task's fitness must return one number per episode, {list(shape)}, got {got}: mend it")
    return losses
