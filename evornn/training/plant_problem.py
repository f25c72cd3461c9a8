"""A plant as a problem: losses from the episodes in which a network controls it; there are no gradients."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Floats, Genome, Genomes, Losses
from evornn.errors import EvornnError
from evornn.kernels.backend import closed_loop
from evornn.kernels.closed_loop import Episodes, path
from evornn.layout import Layout
from evornn.networks.loss import OwnLoss
from evornn.networks.network import Network
from evornn.settings import BadSetting
from evornn.tasks.core.task import EPISODES, Score, Trials
from evornn.training.episode_problem import Episodic
from evornn.training.problem import Costs


class Control(Episodic):
    """A problem of E episodes, which are one case: there are no mini-batches.

    A member costs the steps that its network has really taken, the failing one of each episode included, and at least
    one per episode even where its weights are not finite; the best of a generation also those of its test.
    """

    def __init__(self, network: Network, trials: Trials, loss: str | OwnLoss) -> None:
        if loss != EPISODES:
            raise BadSetting("loss", f"a task of control has a fitness of its own: leave it out, got {loss!r}")
        self.network, self.trials, self.plant = network, trials, trials.plant.trace()
        self.backend, self.effort, self.usual = network.backend_used, network.n, None

    @property
    def sizes(self) -> tuple[int, int]:
        return self.trials.sizes

    @property
    def cases(self) -> int:
        return 1

    @property
    def separable(self) -> bool:
        return not self.trials.tested  # the best of a generation is tested

    def least(self, batch: Batch | None, gradients: bool = False) -> int:
        return len(self.plant.starts)

    def check(self, gradients: bool, readouts: bool) -> None:
        super().check(gradients, readouts)
        _ = self.loop

    @cached_property
    def loop(self) -> Any:
        """What runs the episodes."""
        return closed_loop(self.network.evaluator, self.plant)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        trials, lived = self.trials, self.episodes(genomes, self.trials.steps)
        fitness = trials.fitness(lived.steps, lived.rewards).mean(axis=1)
        losses = np.where(np.isfinite(genomes).all(axis=1), fitness, np.nan).astype(np.float32)
        costs = _stepped(lived, trials.steps)
        if trials.tested and np.isfinite(losses).any():
            best = int(np.nanargmin(losses))
            if (lived.steps[best] == trials.steps).all():
                test = self.episodes(genomes[best : best + 1], trials.tested)
                costs[best] += _stepped(test, trials.tested)[0]
                losses[best] = 0 if (test.steps == trials.tested).all() else losses[best]
        return losses, costs

    def score(self, genome: Genome, score: Score) -> float:
        return float(score.judge(self.episodes(genome[None], self.trials.steps), self.trials))

    def episodes(self, genomes: Genomes, steps: int) -> Episodes:
        """The episodes of genomes [P, n], of at most so many control steps."""
        lived: Episodes = self.loop.run(self.network.given.genomes(genomes), steps)
        return lived

    def path(self, genome: Genome, steps: int) -> Floats:
        """[T + 1, states] the plant in the first episode of a genome [n], which lasts for at most so many steps."""
        layout = self.network.layout
        if not isinstance(layout, Layout):
            raise EvornnError(f"{self.network!r} can't control a plant")
        found: Floats = path(layout, self.plant, self.network.given.genome(genome), steps)
        return found


def _stepped(lived: Episodes, most: int) -> NDArray[np.int64]:
    """[P] network steps that were taken."""
    taken: NDArray[np.int64] = np.minimum(lived.steps + 1, most).sum(axis=1)
    return taken
