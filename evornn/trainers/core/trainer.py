"""The two forms that all of training takes: a Trainer finds weights, an Oracle answers what weights are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from evornn.arrays import Batch, Genome, Genomes, Losses, Streams
from evornn.errors import EvornnError
from evornn.trainers.core.query import Answer, Kind, Query, Window

State: TypeAlias = dict[str, Any]
"""Plain data: arrays, numbers, strings, lists and nested dicts with string keys: loading a checkpoint runs no code.
A key that starts with "_" holds a live object of a library: it is not saved, and rebuilt from the rest when missing."""


class BudgetExhausted(Exception):
    """Raised by an oracle *instead of* answering a call that would exceed the budget. Trainers let it pass."""


class NoGradient(EvornnError):
    """A gradient was asked of a loss that has none."""


class Oracle(ABC):
    """Answers queries about populations and counts their cost in network steps. A trainer can't tell where it runs.

    Whoever stands between a trainer and the oracle that counts (`hybrid.OracleWrapper`) overrides `answer`."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Parameters of the network."""

    @property
    @abstractmethod
    def centre(self) -> Genome:
        """[n] mean of the architecture's initial distribution."""

    @property
    @abstractmethod
    def scale(self) -> Genome:
        """[n] its standard deviation."""

    @property
    @abstractmethod
    def num_recurrent(self) -> int:
        """How many parameters come before those of the linear read-out, which are the genome's last. Raises EvornnError
        where there is no read-out to solve, like `readouts`."""

    @property
    @abstractmethod
    def elapsed(self) -> float:
        """Share of the budget that is spent, 0 … 1: what schedules go by."""

    @abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """[count, n] genomes from the architecture's initial distribution: every trainer starts here."""

    @abstractmethod
    def batch(self, k: int, size: int | None) -> Batch | None:
        """The k-th mini-batch of the run's data order, the same for every trainer; None, all data, if size is None and
        the task doesn't say otherwise."""

    @abstractmethod
    def answer(self, query: Query) -> Answer:
        """The answer to any kind of query. Raises BudgetExhausted."""

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> Losses:
        """[P] training losses. NaN where a network is not finite."""
        return self.answer(Query(genomes, Kind.LOSSES, batch)).losses

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        """Like `losses`, for populations: the genomes to continue with (a hybrid's oracle may have improved some) and
        their losses. Population trainers must continue with the genomes they get back (Lamarckian)."""
        answer = self.answer(Query(genomes, Kind.POPULATION, batch))
        return answer.genomes, answer.losses

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes]:
        """[P] losses and [P, n] gradients. Raises NoGradient."""
        answer = self.answer(Query(genomes, Kind.GRADIENTS, batch))
        return answer.losses, answer.gradients

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        """[P, n] the same genomes, each with the linear read-out that is best for it by ridge regression. Costs as much
        as their losses. Raises EvornnError for a network without such a read-out, or another loss than mse."""
        return self.answer(Query(genomes, Kind.READOUTS, batch, ridge)).genomes

    def window(self, genomes: Genomes, window: Window, batch: Batch | None = None) -> Answer:
        """Losses and gradients of a window by truncated backpropagation, where the next one begins and the state there.

        Windows where nothing counts are passed without a gradient, up to one where something does; its steps and those
        passed are paid for. With `window.exact` gradients reach back to the start, by sensitivities that are carried
        along with the state; every time step then costs n + 1. Raises NoGradient, and for exact gradients EvornnError
        for a network that is too large or is made of no cells."""
        return self.answer(Query(genomes, Kind.WINDOW, batch, window=window))


class Trainer(ABC):
    """Finds weights. A trainer is its settings (`evornn.settings`), frozen; what changes is in the State it hands on.

    The loop calls `start` once and `step` until the budget ends. `streams.at(step)` gives the random numbers of a step;
    a trainer keeps its step number in `state["step"]` and never draws from anything else, so that a resumed run goes on
    with the very numbers an unbroken one would have used.
    """

    family: ClassVar[str]  # guessing, evolution, gradient or hybrid: what reports group trainers by
    needs_gradient: ClassVar[bool] = False
    solves_readout: ClassVar[bool] = False  # whether it wants a linear read-out, and mse
    memory_hint: ClassVar[str] = ""  # what to set where `covariances` don't fit into memory

    @abstractmethod
    def start(self, oracle: Oracle, streams: Streams) -> State:
        """The first state, before any evaluation beyond what the start needs."""

    @abstractmethod
    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        """One generation or one update. Returns a new state; may change the old one's arrays only if it owns them."""

    @abstractmethod
    def best(self, state: State) -> Genome:
        """[n] what the trainer would answer now; a sample's centre before the first evaluation."""

    def candidates(self, state: State) -> Genomes:
        """[m, n] the genomes the trainer works on: all restarts of a gradient trainer; by default the best alone."""
        return self.best(state)[None]

    def statistics(self, state: State) -> dict[str, float]:
        """What to plot of the searcher itself: sigma, gradient_norm, …"""
        return {}

    @property
    def parallel_trainers(self) -> Sequence[Trainer]:
        """Trainers that it holds at the same time, each with a population of its own; none: there is but one."""
        return ()

    def covariance_bytes(self, parameters: int) -> int:
        """Bytes of the n × n matrices that it holds at its peak, beside its population."""
        return 0

    def check(self, parameters: int, sequences: int) -> None:
        """Refuse, with an EvornnError that says what to do, a network or data set this trainer can't handle."""
