"""A problem whose large populations several processes compute, to the same bits as one.

Members are cut at whole tiles, and no tile's arithmetic knows of another one (docs/internals/kernels.md). So it doesn't
matter who computes which part: whoever is there gets one, and the part of a helper that dies is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

import numpy as np

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.kernels.evaluate import TILE
from evornn.layout import Layout
from evornn.tasks.core.task import Score
from evornn.trainers.core.trainer import Carry, Window
from evornn.training.problem import Costs, Part, Problem

WORTH = (
    100_000_000  # network steps × parameters of a call; less is done sooner here than sent (docs/results/scaling.md)
)

Arguments: TypeAlias = tuple[Any, ...]


class Lost(Exception):
    """A helper does not answer: its process died or failed."""


class Helper(Protocol):
    """A process that holds the same problem."""

    def ask(self, question: str, arguments: Arguments) -> Callable[[], Any]:
        """Send a question, the name of a method of the problem; returns at once. What it returns waits for the answer,
        and raises Lost."""


class Crew(Protocol):
    """The helpers of a run."""

    def equip(self, problem: Problem) -> None:
        """Say what helpers will be asked about, before the first question."""

    def present(self) -> Sequence[Helper]:
        """Those who can answer now. Asked for the first time, they are called."""


class Sharded:
    """A problem, asked here and of a crew."""

    def __init__(self, problem: Problem, crew: Crew) -> None:
        self.problem, self.network, self.crew = problem, problem.network, crew
        crew.equip(problem)

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Costs]:
        losses, costs = self._joined("losses", genomes, self.least(batch), batch)
        return losses, costs

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes, Costs]:
        losses, gradients, costs = self._joined("gradients", genomes, self.least(batch, gradients=True), batch)
        return losses, gradients, costs

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        parts = self._answers("readouts", len(genomes), self.least(batch), lambda here: (genomes[here], ridge, batch))
        solved: Genomes = joined(parts)
        return solved

    def window(self, genomes: Genomes, part: Part, carry: Carry | None, batch: Batch | None = None) -> Window:
        def arguments(here: slice) -> Arguments:
            return genomes[here], part, members(carry, here), batch

        found: list[Window] = self._answers("window", len(genomes), part.cost, arguments)
        carried = [window.carry for window in found if window.carry is not None]
        return Window(
            joined([window.losses for window in found]),
            joined([window.gradients for window in found]),
            found[0].end,
            together(carried) if carried else None,
        )

    def _joined(self, question: str, genomes: Genomes, steps: int, batch: Batch | None) -> list[Any]:
        """Several arrays [P, …] of an answer, each put together."""
        parts = self._answers(question, len(genomes), steps, lambda here: (genomes[here], batch))
        return [joined(arrays) for arrays in zip(*parts, strict=True)]

    def _answers(self, question: str, count: int, steps: int, arguments: Callable[[slice], Arguments]) -> list[Any]:
        """What all parts of a population are answered, in genome order. A member's network steps are `steps`."""
        helpers = self._helpers(count, steps)
        here, *there = cut(count, 1 + len(helpers), TILE[self.network.device.type])
        waiting = [(k, helper.ask(question, arguments(k))) for k, helper in zip(there, helpers, strict=False)]
        found = [self._own(question, arguments(here))]
        for part, answer in waiting:
            try:
                found.append(answer())
            except Lost:
                found.append(self._own(question, arguments(part)))
        return found

    def _own(self, question: str, arguments: Arguments) -> Any:
        return getattr(self.problem, question)(*arguments)

    def _helpers(self, count: int, steps: int) -> Sequence[Helper]:
        worth = self.separable and count > TILE[self.network.device.type] and count * steps * self.effort >= WORTH
        return self.crew.present() if worth else ()

    # ---- what needs no helpers ---------------------------------------------------------------------------------------

    @property
    def backend(self) -> str:
        return self.problem.backend

    @property
    def effort(self) -> int:
        return self.problem.effort

    @property
    def usual(self) -> int | None:
        return self.problem.usual

    @property
    def sizes(self) -> tuple[int, int]:
        return self.problem.sizes

    @property
    def cases(self) -> int:
        return self.problem.cases

    @property
    def separable(self) -> bool:
        return self.problem.separable

    def least(self, batch: Batch | None, gradients: bool = False) -> int:
        return self.problem.least(batch, gradients)

    @property
    def readout(self) -> Layout:
        return self.problem.readout

    def check(self, gradients: bool, readouts: bool) -> None:
        self.problem.check(gradients, readouts)

    def part(self, begin: int, length: int, batch: Batch | None = None, exact: bool = False) -> Part:
        return self.problem.part(begin, length, batch, exact)

    def score(self, genome: Genome, score: Score) -> float:
        return self.problem.score(genome, score)


def cut(count: int, shards: int, tile: int) -> list[slice]:
    """A population's parts: whole tiles, about as many in each, at most so many parts. A member that would be alone in
    the last one stays with those before it, since torch rounds one alone in another way."""
    tiles = max(1, (count - 2) // tile + 1)
    shards = min(shards, tiles)
    edges = [*(k * tiles // shards * tile for k in range(shards)), count]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def joined(parts: Sequence[Any]) -> Any:
    """Arrays [P, …] one after the other."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def members(carry: Carry | None, here: slice) -> Carry | None:
    """The state of some members."""
    return carry and [{name: values[here] for name, values in layer.items()} for layer in carry]


def together(carries: Sequence[Carry]) -> Carry:
    """The state of all members."""
    layers = zip(*carries, strict=True)
    return [{name: joined([part[name] for part in layer]) for name in layer[0]} for layer in layers]
