"""Balancing two poles of different length: the standard benchmark of neuroevolution since Wieland 1991."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator

from evornn.settings import settings
from evornn.tasks.core.balancing import DAMPING_STEPS, Balancing
from evornn.tasks.core.task import ControlEpisodes, EpisodeLengths, GeneralizationTest, Score
from evornn.tasks.plants.poles import ScatteredPoles

STARTS_REQUIRED = 200  # of 625, to count as solved


@settings
class DoublePole(Balancing):
    """A pole of 1 m and one of 0.1 m on one cart, which fails beyond 36° or ±2.4 m. Without velocities the task needs
    memory; the damping fitness gives nothing for swinging the cart until the time is over.

    With `generalization` (Gruau et al. 1996) a network that survives all steps must then survive 1,000 steps from at
    least 200 of 625 starts; the score is the number of starts survived, 0 if it does not come to this test.
    """

    poles = 2
    generalization: bool = False  # with the damping fitness: whether a solution must also survive from other starts

    @field_validator("generalization")
    @classmethod
    def _needs_damping(cls, generalization: bool, info: ValidationInfo) -> bool:
        if generalization and info.data.get("fitness") != "damping":
            raise ValueError("belongs to the damping fitness: set fitness to damping")
        return generalization

    def score(self) -> Score:
        if not self.generalization:
            return super().score()
        return Score(
            "starts survived of 625",
            lambda lived, split: float((lived.steps == split.steps).sum()),
            threshold=STARTS_REQUIRED,
        )

    def second_test(self) -> GeneralizationTest | None:
        if not self.generalization:
            return None
        starts = ControlEpisodes(ScatteredPoles(velocities=self.velocities), DAMPING_STEPS, self.start_shortfall)
        return GeneralizationTest(starts, STARTS_REQUIRED)

    def start_shortfall(self, lengths: EpisodeLengths, rewards: NDArray[Any]) -> NDArray[Any]:
        """[P, E] the share of the second test's steps that were not survived."""
        return 1 - lengths / DAMPING_STEPS
