"""The interface of problems: one split of a task bound to one network, be it of sequences, a plant or a world."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.layout import Layout
from evornn.tasks.core.task import Score
from evornn.trainers.core.query import Answer, Query, Segment

if TYPE_CHECKING:
    from evornn.networks.network import Network


class Problem(ABC):
    """Answers queries about genomes [P, n], and says what each answer costs.

    To write one, implement the properties, answer at least queries of the kinds LOSSES and POPULATION, refuse others in
    `check`, and return from `min_cost` what a member costs; a cost that is known only afterwards is `Answer.costs`.
    """

    network: Network

    @property
    def backend(self) -> str:
        """What computes the network, for the run's record: "simd" or "torch"."""
        return self.network.backend

    @property
    def flops_per_step(self) -> int:
        """Floating point operations of a network step in the unit of `min_cost`, roughly: at least its parameters n."""
        return self.network.n

    @property
    def default_batch_size(self) -> int | None:
        """Size of a mini-batch if the trainer doesn't set one; None: all cases."""
        return None

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """The numbers of inputs I and outputs O that a network must have."""

    @property
    @abstractmethod
    def num_cases(self) -> int:
        """Number of cases, from which mini-batches are taken: sequences or episodes."""

    @property
    @abstractmethod
    def is_separable(self) -> bool:
        """Whether a member's answer doesn't depend on the other members, so that populations may be split."""

    @property
    @abstractmethod
    def readout(self) -> Layout:
        """The network's layout, if ridge regression can solve its read-out. Raises EvornnError if not."""

    @abstractmethod
    def check(self, gradients: bool, readouts: bool) -> None:
        """Check that the network can be evaluated on this problem, with `gradients` and solved `readouts` if needed.

        Raises EvornnError if not; NoGradient, a subclass, if there are no gradients.
        """

    @abstractmethod
    def segment(self, query: Query) -> Segment:
        """The time steps of a query's window: those of the first window from its beginning on in which a step counts.

        Raises NoGradient if there are no gradients, EvornnError if no step of the mini-batch counts.
        """

    @abstractmethod
    def min_cost(self, query: Query) -> int:
        """Network steps that a member costs at least; exactly, unless the answer has `costs`."""

    @abstractmethod
    def answer(self, query: Query) -> Answer:
        """The answer to a query. One about a window has its `segment`."""

    @abstractmethod
    def score(self, genome: Genome, score: Score) -> float:
        """The score of a genome [n] on this split, in the task's own measure."""

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> Losses:
        """[P] losses of genomes [P, n] on a mini-batch or all cases, NaN where a network is not finite."""
        return self.answer(Query(genomes, batch=batch)).losses


Sharder: TypeAlias = Callable[[Problem], Problem]
"""A problem → the same problem, whose large populations are computed by several processes, with the same bits."""
