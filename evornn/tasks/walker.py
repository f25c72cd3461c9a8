"""Walking on one leg: an old benchmark of evolved CTRNNs, whose best gait is known."""

from __future__ import annotations

from math import pi, sqrt
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from evornn.settings import settings
from evornn.tasks.core.task import EPISODES, Baseline, ControlEpisodes, Data, EpisodeLengths, Score, Task
from evornn.tasks.plants.walker import FORCE, LENGTH, REACH, TORQUE, Walker

STRIDE = LENGTH / 2 + REACH  # from the foot farthest ahead to farthest behind
SPEED = sqrt(2 * FORCE * LENGTH)  # after pushing from one limit of the swing to the other
TIME = SPEED / FORCE + (STRIDE - LENGTH) / SPEED + sqrt(2 * (pi / 3) / (TORQUE * FORCE))  # pushing, coasting, swinging
IDEAL = STRIDE / TIME  # 0.627, the best steady gait
SOLVED = 0.55  # mean speed


@settings
class LeggedWalker(Task):
    """Walk as far as possible on one leg in `time`, from rest (Beer & Gallagher 1992, "Evolving dynamical neural
    networks for adaptive behavior"). The loss is 1 − mean speed / 0.627, the speed of the best steady gait."""

    time: Annotated[float, Ge(1), Le(10**5)] = 220.0
    outputs: Literal[2, 3] = 3  # foot, forwards, backwards; with 2 the first is foot and forwards
    sensor: bool = False  # whether the network feels the leg's angle; otherwise its input is always 0

    def data(self) -> Data:
        plant = Walker(outputs=self.outputs, sensor=self.sensor)
        episodes = ControlEpisodes(plant, round(self.time / plant.dt), self.shortfall)
        names = ("foot down and force forwards" if self.outputs == 2 else "foot down", "force forwards")
        labels = (*names[: self.outputs - 1], "force backwards")
        note = f"Best steady gait {IDEAL:.4f}; validation and test are training: there is one start."
        score = Score("mean speed", lambda lived, _: float(self.speed(lived.rewards).min()), threshold=SOLVED)
        return Data(episodes, episodes, episodes, EPISODES, self._baselines(), labels, note, score=score)

    def speed(self, distances: NDArray[Any]) -> NDArray[Any]:
        """Mean speeds of episodes that end at these distances."""
        return np.asarray(distances / self.time)

    def shortfall(self, lengths: EpisodeLengths, distances: NDArray[Any]) -> NDArray[Any]:
        """[P, E] the missing share of the best gait's speed; more than 1 for walking backwards."""
        return 1 - self.speed(distances) / IDEAL

    def _baselines(self) -> tuple[Baseline, ...]:
        """Standing still, and one push with full force on a foot that is never raised."""
        push_time = min(self.time, SPEED / FORCE)
        push = min(STRIDE, FORCE * push_time**2 / 2 + SPEED * (self.time - push_time))
        losses = {"standing still": 1.0, "one push": 1 - push / self.time / IDEAL}
        return tuple(Baseline(name, loss, loss) for name, loss in losses.items())
