"""The two interfaces of training: a Trainer finds weights, an Oracle says what weights are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from evornn.arrays import Batch, Genome, Genomes, Losses, Streams
from evornn.errors import EvornnError
from evornn.trainers.core.query import Answer, Kind, Query, Window

State: TypeAlias = dict[str, Any]
"""Plain data: arrays, numbers, strings, lists and nested dicts with string keys, so that loading a checkpoint runs no
code. A key that starts with "_" holds a live object of a library: it is not saved, and rebuilt from the rest."""


class BudgetExhausted(Exception):
    """Raised by an oracle *instead of* answering a call that would exceed the budget. Trainers don't catch it."""


class NoGradient(EvornnError):
    """A gradient was requested of a loss or a network that has none."""


class Oracle(ABC):
    """Answers queries about populations and counts their cost in network steps, wherever they are computed.

    A trainer calls `losses`, `evaluate`, `gradients`, `readouts` or `window`, which all go through `answer`. To change
    what a trainer sees, derive from `OracleWrapper` (`evornn.trainers.core.hybrid`), which overrides `answer` alone.
    """

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of parameters of the network."""

    @property
    @abstractmethod
    def centre(self) -> Genome:
        """[n] mean of the architecture's initial distribution."""

    @property
    @abstractmethod
    def scale(self) -> Genome:
        """[n] standard deviation of the architecture's initial distribution."""

    @property
    @abstractmethod
    def num_recurrent(self) -> int:
        """Number of parameters before those of the linear read-out, which come last in a genome.

        Raises EvornnError where there is no read-out to solve, as `readouts` does.
        """

    @property
    @abstractmethod
    def elapsed(self) -> float:
        """Share of the budget that is spent, 0 … 1; schedules depend on it."""

    @abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """[count, n] genomes from the architecture's initial distribution, from which every trainer starts."""

    @abstractmethod
    def batch(self, k: int, size: int | None) -> Batch | None:
        """The k-th mini-batch, `size` case numbers in the run's data order, which is the same for every trainer.

        None stands for all data: `size` is None and the task has no default size, or there are no more cases than that.
        """

    @abstractmethod
    def answer(self, query: Query) -> Answer:
        """The answer to any kind of query. Raises BudgetExhausted."""

    def losses(self, genomes: Genomes, batch: Batch | None = None) -> Losses:
        """[P] training losses of genomes [P, n] on a mini-batch or all data, NaN where a network is not finite."""
        return self.answer(Query(genomes, Kind.LOSSES, batch)).losses

    def evaluate(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Genomes, Losses]:
        """The genomes [P, n] to continue with and their losses [P].

        Population trainers call it instead of `losses`, and continue with the genomes they get back: a hybrid's oracle
        may have improved some (Lamarckian evolution).
        """
        answer = self.answer(Query(genomes, Kind.POPULATION, batch))
        return answer.genomes, answer.losses

    def gradients(self, genomes: Genomes, batch: Batch | None = None) -> tuple[Losses, Genomes]:
        """[P] losses and [P, n] gradients of genomes [P, n] on a mini-batch or all data. Raises NoGradient."""
        answer = self.answer(Query(genomes, Kind.GRADIENTS, batch))
        return answer.losses, answer.gradients

    def readouts(self, genomes: Genomes, ridge: float, batch: Batch | None = None) -> Genomes:
        """Solve each genome's linear read-out by ridge regression. It costs as much as their losses.

        Args:
            genomes: [P, n].
            ridge: λ of mean squared error + λ·‖weights of the read-out‖².
            batch: Cases to solve it on; None: all data.

        Returns:
            [P, n] the same genomes with the solved read-outs.

        Raises:
            EvornnError: The network has no linear read-out, or the loss is not mse.
            BudgetExhausted: The call would exceed the budget.
        """
        return self.answer(Query(genomes, Kind.READOUTS, batch, ridge)).genomes

    def window(self, genomes: Genomes, window: Window, batch: Batch | None = None) -> Answer:
        """Losses and gradients of a window of time steps, by truncated backpropagation.

        Windows in which no step counts are skipped without a gradient; their steps are charged as well. With
        `window.exact` gradients reach back to the start of the sequences, by real-time recurrent learning, and every
        time step costs n + 1.

        Args:
            genomes: [P, n].
            window: The time steps, and the state before them.
            batch: Cases; None: all data.

        Returns:
            Losses [P], gradients [P, n], the first step of the next window and the state there.

        Raises:
            NoGradient: The loss or the network has none.
            EvornnError: For exact gradients, the network is too large or not made of cells.
            BudgetExhausted: The call would exceed the budget.
        """
        return self.answer(Query(genomes, Kind.WINDOW, batch, window=window))


class Trainer(ABC):
    """Finds weights. A trainer is its settings, frozen; everything that changes is in the state it returns.

    The loop calls `start` once and `step` until the budget ends. The random numbers of a step come from
    `streams.at(state["step"])` and nowhere else, so that a resumed run draws the same ones as an uninterrupted run.

    To write a trainer, derive from this class, make the settings fields of a class with `@settings`, and implement
    `start`, `step` and `best`:

    >>> import numpy as np
    >>> from evornn import Network, train
    >>> from evornn.settings import settings
    >>> from evornn.trainers.core.trainer import Trainer
    >>> @settings
    ... class HillClimbing(Trainer):
    ...     family = "evolution"
    ...     population: int = 8
    ...     sigma: float = 0.1  # in standard deviations of the initial distribution
    ...
    ...     def start(self, oracle, streams):
    ...         return {"step": 0, "best": oracle.centre}
    ...
    ...     def step(self, state, oracle, streams):
    ...         noise = streams.at(state["step"]).standard_normal((self.population, oracle.n), np.float32)
    ...         noise[0] = 0  # the best so far competes
    ...         genomes = state["best"] + np.float32(self.sigma) * oracle.scale * noise
    ...         losses = oracle.losses(genomes)
    ...         return {"step": state["step"] + 1, "best": genomes[np.nanargmin(losses)]}
    ...
    ...     def best(self, state):
    ...         return state["best"]
    >>> network = Network("elman", inputs=1, units=4, outputs=1)
    >>> train(network, "sunspots", HillClimbing(sigma=0.2), budget=200_000).result.stopped_by
    'budget'

    Most trainers derive from a more specific base: `SearchTrainer` for a search over whole populations,
    `FirstOrderTrainer` for gradient descent, `HybridTrainer` for a trainer that holds trainers.
    """

    family: ClassVar[str]  # guessing, evolution, gradient or hybrid: reports group trainers by it
    needs_gradient: ClassVar[bool] = False
    solves_readout: ClassVar[bool] = False  # whether it needs a linear read-out and the loss mse
    stored_populations: ClassVar[int] = 0  # arrays [members, n] of float32 in its state, at least
    memory_hint: ClassVar[str] = ""  # what to set if the matrices of `covariance_bytes` don't fit into memory

    @abstractmethod
    def start(self, oracle: Oracle, streams: Streams) -> State:
        """The first state, before the first step. Evaluations that the start needs are charged like any other."""

    @abstractmethod
    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        """One generation or one update.

        Args:
            state: What `start` or the last step returned. It must stay unchanged: a step may be repeated from it.
            oracle: Answers queries and counts their cost.
            streams: The run's random numbers; draw from `streams.at(state["step"])`.

        Returns:
            The new state, whose "step" is one higher.

        Raises:
            BudgetExhausted: The oracle refused a call; the loop then ends the run with the old state.
        """

    @abstractmethod
    def best(self, state: State) -> Genome:
        """[n] the trainer's answer now; `oracle.centre` before the first evaluation."""

    def candidates(self, state: State) -> Genomes:
        """[m, n] the genomes a hybrid may continue with: all restarts of a gradient trainer; by default the best."""
        return self.best(state)[None]

    def has_next_phase(self, state: State) -> bool:
        """Whether another trainer follows, as in a hybrid: early stopping waits for the last one."""
        return False

    def statistics(self, state: State) -> dict[str, float]:
        """Numbers about the search to record and plot, by name: sigma, gradient_norm, …"""
        return {}

    @property
    def parallel_trainers(self) -> Sequence[Trainer]:
        """Trainers that run side by side in this one, each with its own population; empty if there are none."""
        return ()

    def covariance_bytes(self, parameters: int) -> int:
        """Peak size in bytes of its n × n matrices for a network of `parameters` parameters, population excluded."""
        return 0

    def stored_covariance_bytes(self, parameters: int) -> int:
        """Size in bytes of the n × n matrices in its state, which every checkpoint holds."""
        return 0

    def check(self, parameters: int, sequences: int) -> None:
        """Raises EvornnError, which says what to do, for a network or a data set that the trainer can't handle."""
