"""What an oracle asks: one split of a task, put to one network; sequences, plants and other worlds alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.layout import Layout
from evornn.networks.network import Network
from evornn.tasks.core.task import Score
from evornn.trainers.core.trainer import Carry, Window

Costs: TypeAlias = NDArray[np.int64]  # [P] network steps taken for each member


@dataclass(frozen=True)
class Segment:
    """Time steps begin … end of sequences that end at `last`; nothing counts before `first`, which a window is. A
    member's network steps through it cost `cost`. Its gradient reaches back to `first`, or if it is `exact` to the
    start of the sequences."""

    begin: int
    first: int
    end: int
    last: int
    cost: int
    exact: bool = False


class Problem(Protocol):
    """Answers what genomes are worth, and says what each answer cost."""

    network: Network

    @property
    def backend(self) -> str: ...  # what really computes the network

    @property
    def flops_per_step(
        self,
    ) -> int: ...  # of a network step as `least` counts it, about: the network's parameters, or more

    @property
    def default_batch_size(
        self,
    ) -> int | None: ...  # size of a mini-batch where a trainer asks for none; None: all cases

    @property
    def sizes(self) -> tuple[int, int]: ...  # inputs and outputs that a network must have

    @property
    def num_cases(self) -> int: ...  # that a mini-batch can be taken from

    @property
    def is_separable(self) -> bool: ...  # whether a member's answers are the same in any company

    def min_cost(self, batch: Batch | None, gradients: bool = False) -> int:
        """Network steps that a member costs at least; for sequences exactly."""

    @property
    def readout(self) -> Layout:
        """The layout of a network whose read-out ridge regression can solve; raises EvornnError where there is none."""

    def check(self, gradients: bool, readouts: bool) -> None:
        """Raises EvornnError where the network can't be asked this; NoGradient where there are no gradients."""

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        """[P] losses, NaN where a network is not finite."""

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        """[P] losses and [P, n] gradients."""

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        """[P, n] the same genomes with their read-outs solved; each member costs what its loss does."""

    def segment(self, begin: int, length: int, batch: Batch | None = None, exact: bool = False) -> Segment:
        """The first window from `begin` on in which something counts."""

    def window(self, genomes: Genomes, segment: Segment, carry: Carry | None, batch: Batch | None = None) -> Window:
        """Losses and gradients of a part of the sequences; `carry` is the state where it begins."""

    def score(self, genome: Genome, score: Score) -> float:
        """A genome [n] in the task's own terms."""


Sharder: TypeAlias = Callable[[Problem], Problem]
"""A problem → the same one, whose large populations are computed by several processes, to the same bits."""
