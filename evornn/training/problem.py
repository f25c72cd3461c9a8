"""What an oracle asks: one split of a task, put to one network; sequences, plants and other worlds alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.layout import Layout
from evornn.networks.network import Network
from evornn.tasks.core.task import Score
from evornn.trainers.core.query import Answer, Query, Segment


class Problem(ABC):
    """Answers queries about genomes, and says what each answer cost.

    A problem of your own answers at least queries of the kinds LOSSES and POPULATION, refuses the others in `check`,
    and announces in `min_cost` what a member costs."""

    network: Network

    @property
    @abstractmethod
    def backend(self) -> str:
        """What really computes the network."""

    @property
    @abstractmethod
    def flops_per_step(self) -> int:
        """About the floating point operations of a network step as `min_cost` counts it: the network's parameters, or
        more."""

    @property
    @abstractmethod
    def default_batch_size(self) -> int | None:
        """The size of a mini-batch where a trainer asks for none; None: all cases."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Inputs I and outputs O that a network must have."""

    @property
    @abstractmethod
    def num_cases(self) -> int:
        """How many cases a mini-batch can be taken from."""

    @property
    @abstractmethod
    def is_separable(self) -> bool:
        """Whether a member's answers are the same in any company."""

    @property
    @abstractmethod
    def readout(self) -> Layout:
        """The layout of a network whose read-out ridge regression can solve; raises EvornnError where there is none."""

    @abstractmethod
    def check(self, gradients: bool, readouts: bool) -> None:
        """Raises EvornnError where the network can't be asked this; NoGradient where there are no gradients."""

    @abstractmethod
    def segment(self, query: Query) -> Segment:
        """What a query's window covers: the first one from its beginning on in which a step counts."""

    @abstractmethod
    def min_cost(self, query: Query) -> int:
        """Network steps that a member costs at least; for sequences exactly."""

    @abstractmethod
    def answer(self, query: Query) -> Answer:
        """What is asked of each member. A query about a window has its segment."""

    @abstractmethod
    def score(self, genome: Genome, score: Score) -> float:
        """A genome [n] in the task's own terms."""

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> Losses:
        """[P] losses, NaN where a network is not finite."""
        return self.answer(Query(genomes, batch=batch)).losses


Sharder: TypeAlias = Callable[[Problem], Problem]
"""A problem → the same one, whose large populations are computed by several processes, to the same bits."""
