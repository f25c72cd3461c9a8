"""A wrapped library's state is its log of losses: replaying the log on the same random streams rebuilds the library.

Nothing of the library's own is ever saved. The log holds the loss of every genome that was evaluated and, where a
hybrid's oracle changed a genome, the new one; all else follows from the settings and the seed, bit for bit.
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
"""Genomes [P, n] asked → the genomes to go on with [P, n] and their losses [P]."""


class LibrarySearch(Protocol):
    """A library's live search."""

    def advance(self, step: int, streams: Streams, evaluate: EvaluateFunction) -> None:
        """One generation, with random numbers from `streams` at `step` only; its losses come from `answer`."""

    def statistics(self) -> dict[str, float]: ...


class ReplayTrainer(PopulationTrainer):
    """A population trainer around a library. State: the step, the log, the best genome, and the live search."""

    @abstractmethod
    def make_search(self, oracle: Oracle, streams: Streams) -> LibrarySearch:
        """A fresh search; evaluates nothing yet."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return self._state(
            self.initial_best(oracle), LiveSearch(self.make_search(oracle, streams), EvaluationLog.empty(oracle.n))
        )

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        """A step that raises leaves the state that came in as it was: the half-stepped library is thrown away."""
        live = state.get("_live")
        if live is None or live.steps != state["step"]:
            live = LiveSearch.replay(self.make_search(oracle, streams), state, streams)
        batch = oracle.batch(state["step"], self.batch)
        genomes, losses = live.next_generation(streams, lambda asked: oracle.evaluate(asked, batch))
        return self._state(self.update_best(state, genomes, losses, batch), live)

    def _state(self, best: State, live: LiveSearch) -> State:
        finite = {name: value for name, value in live.search.statistics().items() if np.isfinite(value)}
        return {"step": live.steps, **best, "log": live.log.arrays(), "statistics": finite, "_live": live}

    def statistics(self, state: State) -> dict[str, float]:
        return dict(state.get("statistics", {}))


class LiveSearch:
    """A search and the log that rebuilds it. `steps` is how many generations lie behind it, −1 when one broke off."""

    def __init__(self, search: LibrarySearch, log: EvaluationLog) -> None:
        self.search, self.log, self.steps = search, log, 0

    @classmethod
    def replay(cls, search: LibrarySearch, state: State, streams: Streams) -> LiveSearch:
        live = cls(search, EvaluationLog(**state["log"]))
        evaluate = live.log.replay()
        for _ in range(state["step"]):
            live._advance(streams, evaluate)
        return live

    def next_generation(self, streams: Streams, evaluate: EvaluateFunction) -> tuple[Genomes, Losses]:
        """Goes on by one generation and logs its answers; all genomes [P, n] and losses [P] of the generation."""
        records: list[tuple[Genomes, Genomes, Losses]] = []

        def record(genomes: Genomes) -> tuple[Genomes, Losses]:
            new_genomes, losses = evaluate(genomes)
            records.append((genomes, new_genomes, losses))
            return new_genomes, losses

        self._advance(streams, record)
        genomes, new_genomes, losses = (np.concatenate(parts) for parts in zip(*records, strict=True))
        self.log.append(genomes, new_genomes, losses)
        return new_genomes, losses

    def _advance(self, streams: Streams, evaluate: EvaluateFunction) -> None:
        step, self.steps = self.steps, -1
        self.search.advance(step, streams, evaluate)
        self.steps = step + 1


class EvaluationLog:
    """All answers of a run as three growing arrays, counting every genome ever asked from 0.

    A state holds views of them, as long as they were at its step; so an old state stays what it was.
    """

    def __init__(self, losses: Losses, changed: NDArray[np.int64], genomes: Genomes) -> None:
        self.losses = GrowableArray(losses)  # one per genome asked
        self.changed = GrowableArray(changed)  # the numbers of the genomes that the oracle changed, ascending
        self.genomes = GrowableArray(genomes)  # [changed, n] what it changed them into

    @classmethod
    def empty(cls, n: int) -> EvaluationLog:
        return cls(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, n), np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"losses": self.losses.rows, "changed": self.changed.rows, "genomes": self.genomes.rows}

    def append(self, genomes: Genomes, new_genomes: Genomes, losses: Losses) -> None:
        rows = changed_rows(genomes, new_genomes)
        self.changed.extend(rows + len(self.losses.rows))
        self.genomes.extend(new_genomes[rows])
        self.losses.extend(losses)

    def replay(self) -> EvaluateFunction:
        """Answers again what was answered, in the same order."""
        losses, changed, genomes = (part.rows for part in (self.losses, self.changed, self.genomes))
        at = 0

        def evaluate(queried: Genomes) -> tuple[Genomes, Losses]:
            nonlocal at
            begin, at = at, at + len(queried)
            new_genomes, first, last = queried.copy(), *np.searchsorted(changed, [begin, at])
            new_genomes[changed[first:last] - begin] = genomes[first:last]
            return new_genomes, losses[begin:at]

        return evaluate


class GrowableArray:
    """An array that grows at its end; doubling its room keeps the copying linear."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._buffer, self._length = rows.copy(), len(rows)

    @property
    def rows(self) -> NDArray[Any]:
        """A view, which later growth leaves as it is."""
        return self._buffer[: self._length]

    def extend(self, rows: NDArray[Any]) -> None:
        end = self._length + len(rows)
        if end > len(self._buffer):
            buffer = np.empty((max(end, 2 * len(self._buffer)), *self._buffer.shape[1:]), self._buffer.dtype)
            buffer[: self._length] = self.rows
            self._buffer = buffer
        self._buffer[self._length : end] = rows
        self._length = end
