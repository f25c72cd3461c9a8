"""What problems of control share: episodes have losses, but neither gradients nor targets."""

from __future__ import annotations

from abc import abstractmethod

from evornn.arrays import Batch, Genomes, Losses
from evornn.errors import EvornnError
from evornn.layout import Layout
from evornn.trainers.core.query import Answer, Costs, Kind, Query, Segment
from evornn.trainers.core.trainer import NoGradient
from evornn.training.problem import Problem

NO_READOUT = "episodes have no targets to solve a read-out from: use neither ridge nor evolino"
NO_GRADIENT = "episodes have no gradient: use an evolutionary trainer, such as cma_es"


class EpisodeProblem(Problem):
    """A problem whose cases are episodes: answers queries about losses and refuses all others. A subclass implements
    `run` and the properties."""

    @abstractmethod
    def run(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        """Losses [P] of genomes [P, n] from their episodes, and the network steps [P] that these took."""

    def check(self, gradients: bool, readouts: bool) -> None:
        if readouts:
            raise EvornnError(NO_READOUT)
        if gradients:
            raise NoGradient(NO_GRADIENT)

    @property
    def readout(self) -> Layout:
        raise EvornnError(NO_READOUT)

    def segment(self, query: Query) -> Segment:
        raise NoGradient(NO_GRADIENT)

    def answer(self, query: Query) -> Answer:
        self.check(query.kind in (Kind.GRADIENTS, Kind.WINDOW), query.kind is Kind.READOUTS)
        losses, costs = self.run(query.genomes, query.batch)
        return Answer(losses, costs=costs)
