"""What all problems of control share: episodes have losses, but neither gradients nor targets."""

from __future__ import annotations

from evornn.arrays import Batch, Genomes, Losses
from evornn.errors import EvornnError
from evornn.layout import Layout
from evornn.trainers.core.trainer import Carry, NoGradient, Window
from evornn.training.problem import Costs, Segment

NO_READOUT = "episodes have no targets to solve a read-out from: use neither ridge nor evolino"
NO_GRADIENT = "episodes have no gradient: use an evolutionary trainer, such as cma_es"


class EpisodeProblem:
    """Refuses what episodes can't answer."""

    def check(self, gradients: bool, readouts: bool) -> None:
        if readouts:
            raise EvornnError(NO_READOUT)
        if gradients:
            raise NoGradient(NO_GRADIENT)

    @property
    def readout(self) -> Layout:
        raise EvornnError(NO_READOUT)

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        raise EvornnError(NO_READOUT)

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        raise NoGradient(NO_GRADIENT)

    def segment(self, begin: int, length: int, batch: Batch | None = None, exact: bool = False) -> Segment:
        raise NoGradient(NO_GRADIENT)

    def window(self, genomes: Genomes, segment: Segment, carry: Carry | None, batch: Batch | None = None) -> Window:
        raise NoGradient(NO_GRADIENT)
