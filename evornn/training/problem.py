"""What an oracle asks: one split of a task, put to one network, sequences and plants alike."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.networks.network import Network, OwnLoss
from evornn.tasks.task import Asked, Score, Sequences

Costs: TypeAlias = NDArray[np.int64]  # [P] network steps taken for each member


class Problem(Protocol):
    """Answers what genomes are worth, and says what each answer cost."""

    network: Network

    @property
    def sizes(self) -> tuple[int, int]: ...  # inputs and outputs that a network must have

    @property
    def cases(self) -> int: ...  # that a mini-batch can be taken from

    def least(self, batch: Batch | None, gradients: bool = False) -> int:
        """Network steps that a member costs at least; for sequences exactly."""

    def check(self, gradients: bool) -> None:
        """Raises EvornnError where the network can't be asked this; NoGradient where there are no gradients."""

    def is_prepared(self, gradients: bool) -> bool:
        """Whether all kernels are on disk."""

    def prepare(self, gradients: bool) -> None:
        """Compile or load the kernels."""

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        """[P] losses, NaN where a network is not finite."""

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        """[P] losses and [P, n] gradients."""

    def score(self, genome: Genome, score: Score) -> float:
        """A genome [n] in the task's own terms."""


def problem(network: Network, asked: Asked, loss: str | OwnLoss) -> Problem:
    """Raises EvornnError for a loss that the task can't be judged by."""
    from evornn.training.control import Control
    from evornn.training.mapping import Mapping

    return Mapping(network, asked, loss) if isinstance(asked, Sequences) else Control(network, asked, loss)
