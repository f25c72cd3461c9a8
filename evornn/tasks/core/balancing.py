"""What the pole balancing tasks share: protocol and fitness of Gomez, Schmidhuber & Miikkulainen 2008, JMLR 9, §4."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from evornn.settings import settings
from evornn.tasks.core.task import EPISODES, ControlEpisodes, Data, EpisodeLengths, GeneralizationTest, Score, Task
from evornn.tasks.plants.poles import Poles

DAMPING_STEPS, REST_STEPS = 1000, 100  # control steps: of an episode under the damping fitness; of its end, to rest in


@settings
class Balancing(Task):
    """Balance for `steps` control steps of 0.02 s. The loss is 0 when that is solved, whatever the fitness.

    `standard`: the loss is the missing share of the steps. `damping` (Gruau et al. 1996) demands rest, in episodes of
    1,000 steps: fitness 0.1 t/1000 + 0.9 f, where f = 0 if t < 100, else 0.75 over the sum of |x| + |ẋ| + |θ₁| + |θ̇₁|
    in the last 100 steps survived; the loss is 1/(1 + fitness). The best of each generation that survives its episode
    is then tested for all steps.
    """

    poles: ClassVar[Literal[1, 2]]

    velocities: bool = False  # whether the network sees ẋ and θ̇
    fitness: Literal["standard", "damping"] = "standard"
    start_angle: float = 4.0  # degrees, of the long pole
    steps: Annotated[int, Ge(DAMPING_STEPS), Le(10**7)] = 100_000  # to survive, to count as solved

    def data(self) -> Data:
        test_episodes = ControlEpisodes(self.plant(), self.steps, self.shortfall, generalization=self.second_test())
        damping_episodes = ControlEpisodes(
            self.plant(sway=True, window=REST_STEPS), DAMPING_STEPS, damping_loss, self.steps, self.second_test()
        )
        train_episodes = test_episodes if self.fitness == "standard" else damping_episodes
        note = "Cart and poles of Wieland 1991 as in Gomez et al. 2008; validation is training: there is one start."
        return Data(
            train_episodes,
            train_episodes,
            test_episodes,
            EPISODES,
            labels=("force, 10 N",),
            note=note,
            score=self.score(),
        )

    def score(self) -> Score:
        return Score("control steps survived", lambda lived, _: float(lived.steps.min()), threshold=self.steps)

    def second_test(self) -> GeneralizationTest | None:
        """What the best of a generation must pass after surviving all steps."""
        return None

    def plant(self, **reward: Any) -> Poles:
        """The cart with its poles; further settings say what a step is rewarded for."""
        return Poles(poles=self.poles, velocities=self.velocities, start_angle=self.start_angle, **reward)

    def shortfall(self, lengths: EpisodeLengths, rewards: NDArray[Any]) -> NDArray[Any]:
        """[P, E] the share of the steps that were not survived."""
        return 1 - lengths / self.steps


def damping_loss(lengths: EpisodeLengths, sway: NDArray[Any]) -> NDArray[Any]:
    """[P, E] 1/(1 + damping fitness). It is never 0, since no plant rests completely."""
    rest = np.where(lengths < REST_STEPS, 0, 0.75 / np.maximum(sway, 1e-6))
    return np.asarray(1 / (1 + 0.1 * lengths / DAMPING_STEPS + 0.9 * rest))
