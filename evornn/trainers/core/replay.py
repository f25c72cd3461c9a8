"""Trainers around a library, whose state is its log of losses: replaying the log on the same random streams rebuilds
the library's search.

Nothing of the library is ever saved. The log holds the loss of every genome that was evaluated and, where a hybrid's
oracle changed a genome, the new one. Everything else follows from the settings and the seed, bit for bit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Genomes, Losses, Streams
from evornn.trainers.core.population import PopulationTrainer, changed_rows
from evornn.trainers.core.trainer import Oracle, State

EvaluateFunction: TypeAlias = Callable[[Genomes], tuple[Genomes, Losses]]
"""Genomes [P, n] → the genomes [P, n] to continue with, and their losses [P]."""


class LibrarySearch(Protocol):
    """A library's live search, which must be deterministic given the random streams and the losses."""

    def advance(self, step: int, streams: Streams, evaluate: EvaluateFunction) -> None:
        """Compute one generation.

        Args:
            step: Number of the generation, counting from 0.
            streams: Its random numbers come from `streams.at(step)` or `streams.integer(step)` alone.
            evaluate: Its losses come from here; it may be called several times.
        """

    def statistics(self) -> dict[str, float]:
        """Numbers about the search to record and plot, by name."""


class ReplayTrainer(PopulationTrainer):
    """A population trainer around a library. Its state is the step, the log, the best genome, and the live search.

    The live search (`_live`) is not saved. A state without it, or whose live search has gone on to another step, gets
    a new one by replaying its log.
    """

    @abstractmethod
    def make_search(self, oracle: Oracle, streams: Streams) -> LibrarySearch:
        """A new search, which has evaluated nothing yet."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return self._state(
            self.initial_best(oracle), LiveSearch(self.make_search(oracle, streams), EvaluationLog.empty(oracle.n))
        )

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        """As in `Trainer`. A step that raises leaves its input state valid: the interrupted search is discarded."""
        # The live search is shared by all states of a run, so it serves this one only if it stands at its step.
        live = state.get("_live")
        if live is None or live.steps != state["step"]:
            live = LiveSearch.replay(self.make_search(oracle, streams), state, streams)
        batch = oracle.batch(state["step"], self.batch)
        genomes, losses = live.next_generation(streams, lambda proposals: oracle.evaluate(proposals, batch))
        return self._state(self.update_best(state, genomes, losses, batch), live)

    def _state(self, best: State, live: LiveSearch) -> State:
        finite = {name: value for name, value in live.search.statistics().items() if np.isfinite(value)}
        return {"step": live.steps, **best, "log": live.log.arrays(), "statistics": finite, "_live": live}

    def statistics(self, state: State) -> dict[str, float]:
        return dict(state.get("statistics", {}))


class LiveSearch:
    """A search and the log that rebuilds it. `steps` counts its generations; −1 if one was interrupted."""

    def __init__(self, search: LibrarySearch, log: EvaluationLog) -> None:
        self.search, self.log, self.steps = search, log, 0

    @classmethod
    def replay(cls, search: LibrarySearch, state: State, streams: Streams) -> LiveSearch:
        """Rebuild the live search of a state.

        Args:
            search: A new search with the same settings.
            state: The state, with its `step` and its `log`.
            streams: The run's random numbers.

        Returns:
            The search after `step` generations, whose losses came from the log instead of an oracle.
        """
        live = cls(search, EvaluationLog(**state["log"]))
        evaluate = live.log.replay()
        for _ in range(state["step"]):
            live._advance(streams, evaluate)
        return live

    def next_generation(self, streams: Streams, evaluate: EvaluateFunction) -> tuple[Genomes, Losses]:
        """Compute one generation and log its answers. Returns its genomes [P, n] and losses [P]."""
        records: list[tuple[Genomes, Genomes, Losses]] = []

        def record(genomes: Genomes) -> tuple[Genomes, Losses]:
            new_genomes, losses = evaluate(genomes)
            records.append((genomes, new_genomes, losses))
            return new_genomes, losses

        self._advance(streams, record)
        # Logged only now: a generation that was interrupted half-way leaves no trace.
        genomes, new_genomes, losses = (np.concatenate(parts) for parts in zip(*records, strict=True))
        self.log.append(genomes, new_genomes, losses)
        return new_genomes, losses

    def _advance(self, streams: Streams, evaluate: EvaluateFunction) -> None:
        step, self.steps = self.steps, -1  # no state's step: if the search raises, it is never used again
        self.search.advance(step, streams, evaluate)
        self.steps = step + 1


class EvaluationLog:
    """All answers of a run as three growing arrays. Genomes are numbered from 0 in the order of their evaluation.

    A state holds views of the arrays at their length of its step, so an old state stays what it was.
    """

    def __init__(self, losses: Losses, changed: NDArray[np.int64], genomes: Genomes) -> None:
        self.losses = GrowableArray(losses)  # [evaluations]
        self.changed = GrowableArray(changed)  # numbers of the genomes that the oracle changed, ascending
        self.genomes = GrowableArray(genomes)  # [changed, n] the new genomes

    @classmethod
    def empty(cls, n: int) -> EvaluationLog:
        """The log of a run over n parameters before its first evaluation."""
        return cls(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, n), np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The log as an entry of a state: the constructor's arguments by name."""
        return {"losses": self.losses.rows, "changed": self.changed.rows, "genomes": self.genomes.rows}

    def append(self, genomes: Genomes, new_genomes: Genomes, losses: Losses) -> None:
        """Log a generation.

        Args:
            genomes: [P, n] as the library proposed them.
            new_genomes: [P, n] as the oracle returned them.
            losses: [P].
        """
        rows = changed_rows(genomes, new_genomes)
        self.changed.extend(rows + len(self.losses.rows))  # row of the generation → number in the run
        self.genomes.extend(new_genomes[rows])
        self.losses.extend(losses)

    def replay(self) -> EvaluateFunction:
        """A function that repeats the logged answers in the same order."""
        losses, changed, genomes = (part.rows for part in (self.losses, self.changed, self.genomes))
        at = 0  # number of the next genome

        def evaluate(queried: Genomes) -> tuple[Genomes, Losses]:
            nonlocal at
            begin, at = at, at + len(queried)
            # The library proposes the same genomes as before; those that the oracle changed come from the log.
            new_genomes, first, last = queried.copy(), *np.searchsorted(changed, [begin, at])
            new_genomes[changed[first:last] - begin] = genomes[first:last]
            return new_genomes, losses[begin:at]

        return evaluate


class GrowableArray:
    """An array that grows at its end. Its buffer doubles, so that all copying together is linear in its length."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._buffer, self._length = rows.copy(), len(rows)

    @property
    def rows(self) -> NDArray[Any]:
        """A view of the array so far, which later growth leaves unchanged."""
        return self._buffer[: self._length]

    def extend(self, rows: NDArray[Any]) -> None:
        """Append rows."""
        end = self._length + len(rows)
        if end > len(self._buffer):
            buffer = np.empty((max(end, 2 * len(self._buffer)), *self._buffer.shape[1:]), self._buffer.dtype)
            buffer[: self._length] = self.rows
            self._buffer = buffer
        self._buffer[self._length : end] = rows
        self._length = end
