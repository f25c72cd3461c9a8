"""Environments of gymnasium, and of packages that register theirs with it, such as popgym's partially observed ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le, Len
from numpy.typing import NDArray

from evornn.arrays import Floats, Streams
from evornn.settings import settings
from evornn.tasks.core.gymnasium_world import GymnasiumWorld
from evornn.tasks.core.task import Baseline, Data, Score, Task
from evornn.tasks.core.world import RETURN, Rollouts

MAX_EPISODES = 10_000  # episodes of a split
SCALING_EPISODES = 32  # training episodes under random actions that observations are measured in
SPLITS = ("train", "valid", "test")


@settings
class Gymnasium(Task):
    """Act so as to maximise the sum of rewards, seeing only what is `observed`. Needs the extra `gym`. The loss is
    minus the mean return. In each generation all members face the same `episodes`, drawn from those of training;
    validation and test have seeds of their own.

    `normalise_observations` scales them to mean 0 and standard deviation 1 in training episodes under random actions.
    It is measured once, when the task is built, so an input means the same to every member, trainer and seed; running
    statistics would make losses depend on what was computed before.
    """

    environment: Annotated[str, Len(1)] = "CartPole-v1"  # the registered name, or my_package:name for one of your own
    arguments: dict[str, Any] | None = None  # of its constructor
    observed: list[Annotated[int, Ge(0)]] | None = None  # numbers of the flattened observation; None: all
    normalise_observations: bool = True
    steps: Annotated[int, Ge(1), Le(10**6)] = 1000  # of an episode, at most; the environment's own limit holds too
    episodes: Annotated[int, Ge(1), Le(MAX_EPISODES)] = 8  # of an evaluation, where the trainer has no `batch`
    train: Annotated[int, Ge(1), Le(MAX_EPISODES)] = 200  # episodes to draw from
    valid: Annotated[int, Ge(1), Le(MAX_EPISODES)] = 20
    test: Annotated[int, Ge(1), Le(MAX_EPISODES)] = 100
    data_seed: Annotated[int, Ge(0)] = 0  # of the episodes' seeds

    def data(self) -> Data:
        world = GymnasiumWorld(self.environment, self.observed, self.arguments)
        seeds = {split: self._seeds(split) for split in SPLITS}
        if self.normalise_observations:
            world.fit_scaling([shown for shown, _ in self._random_episodes(world, seeds["train"][:SCALING_EPISODES])])
        train, valid, test = (
            Rollouts(world, seeds[split], self.steps, self.episodes if split == "train" else None) for split in SPLITS
        )
        valid_loss, test_loss = (-np.mean([r for _, r in self._random_episodes(world, seeds[k])]) for k in SPLITS[1:])
        score = Score("mean return", lambda lived, _: float(lived.rewards.mean()), threshold=world.threshold)
        note = f"{world.full_name} of gymnasium; episodes differ by their seeds, data_seed {self.data_seed}."
        labels = tuple(f"output {k}" for k in range(world.outputs))
        baseline = Baseline("random actions", float(valid_loss), float(test_loss))
        return Data(train, valid, test, RETURN, (baseline,), labels, note, score=score)

    def _seeds(self, split: str) -> NDArray[np.int64]:
        streams = Streams(self.data_seed, f"gymnasium/{split}")
        return np.array([streams.integer(k) for k in range(getattr(self, split))], np.int64)

    def _random_episodes(self, world: GymnasiumWorld, seeds: NDArray[np.int64]) -> Iterator[tuple[Floats, float]]:
        return world.random_episodes(seeds.tolist(), self.steps, Streams(self.data_seed, "gymnasium/random"))
