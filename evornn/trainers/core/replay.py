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

Answer: TypeAlias = Callable[[Genomes], tuple[Genomes, Losses]]
"""Genomes [P, n] asked → the genomes to go on with [P, n] and their losses [P]."""


class Search(Protocol):
    """A library's live search."""

    def generation(self, step: int, streams: Streams, answer: Answer) -> None:
        """One generation, with random numbers from `streams` at `step` only; its losses come from `answer`."""

    def statistics(self) -> dict[str, float]: ...


class ReplayedTrainer(PopulationTrainer):
    """A population trainer around a library. State: the step, the log, the best genome, and the live search."""

    @abstractmethod
    def search(self, oracle: Oracle, streams: Streams) -> Search:
        """A fresh search; evaluates nothing yet."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return self._state(self.nothing_yet(oracle), Live(self.search(oracle, streams), Log.empty(oracle.n)))

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        """A step that raises leaves the state that came in as it was: the half-stepped library is thrown away."""
        live = state.get("_live")
        if live is None or live.steps != state["step"]:
            live = Live.replayed(self.search(oracle, streams), state, streams)
        batch = oracle.batch(state["step"], self.batch)
        genomes, losses = live.generation(streams, lambda asked: oracle.evaluate(asked, batch))
        return self._state(self.remember(state, genomes, losses, batch), live)

    def _state(self, best: State, live: Live) -> State:
        finite = {name: value for name, value in live.search.statistics().items() if np.isfinite(value)}
        return {"step": live.steps, **best, "log": live.log.arrays(), "statistics": finite, "_live": live}

    def statistics(self, state: State) -> dict[str, float]:
        return dict(state.get("statistics", {}))


class Live:
    """A search and the log that rebuilds it. `steps` is how many generations lie behind it, −1 when one broke off."""

    def __init__(self, search: Search, log: Log) -> None:
        self.search, self.log, self.steps = search, log, 0

    @classmethod
    def replayed(cls, search: Search, state: State, streams: Streams) -> Live:
        live = cls(search, Log(**state["log"]))
        answer = live.log.answers()
        for _ in range(state["step"]):
            live._advance(streams, answer)
        return live

    def generation(self, streams: Streams, answer: Answer) -> tuple[Genomes, Losses]:
        """Goes on by one generation and logs its answers; all genomes [P, n] and losses [P] of the generation."""
        said: list[tuple[Genomes, Genomes, Losses]] = []

        def listen(asked: Genomes) -> tuple[Genomes, Losses]:
            told, losses = answer(asked)
            said.append((asked, told, losses))
            return told, losses

        self._advance(streams, listen)
        asked, told, losses = (np.concatenate(parts) for parts in zip(*said, strict=True))
        self.log.append(asked, told, losses)
        return told, losses

    def _advance(self, streams: Streams, answer: Answer) -> None:
        step, self.steps = self.steps, -1
        self.search.generation(step, streams, answer)
        self.steps = step + 1


class Log:
    """All answers of a run as three growing arrays, counting every genome ever asked from 0.

    A state holds views of them, as long as they were at its step; so an old state stays what it was.
    """

    def __init__(self, losses: Losses, changed: NDArray[np.int64], genomes: Genomes) -> None:
        self.losses = Growing(losses)  # one per genome asked
        self.changed = Growing(changed)  # the numbers of the genomes that the oracle changed, ascending
        self.genomes = Growing(genomes)  # [changed, n] what it changed them into

    @classmethod
    def empty(cls, n: int) -> Log:
        return cls(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, n), np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"losses": self.losses.rows, "changed": self.changed.rows, "genomes": self.genomes.rows}

    def append(self, asked: Genomes, told: Genomes, losses: Losses) -> None:
        rows = changed_rows(asked, told)
        self.changed.extend(rows + len(self.losses.rows))
        self.genomes.extend(told[rows])
        self.losses.extend(losses)

    def answers(self) -> Answer:
        """Answers again what was answered, in the same order."""
        losses, changed, genomes = (part.rows for part in (self.losses, self.changed, self.genomes))
        at = 0

        def answer(asked: Genomes) -> tuple[Genomes, Losses]:
            nonlocal at
            begin, at = at, at + len(asked)
            told, first, last = asked.copy(), *np.searchsorted(changed, [begin, at])
            told[changed[first:last] - begin] = genomes[first:last]
            return told, losses[begin:at]

        return answer


class Growing:
    """An array that grows at its end; doubling its room keeps the copying linear."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._room, self._used = rows.copy(), len(rows)

    @property
    def rows(self) -> NDArray[Any]:
        """A view, which later growth leaves as it is."""
        return self._room[: self._used]

    def extend(self, rows: NDArray[Any]) -> None:
        end = self._used + len(rows)
        if end > len(self._room):
            room = np.empty((max(end, 2 * len(self._room)), *self._room.shape[1:]), self._room.dtype)
            room[: self._used] = self.rows
            self._room = room
        self._room[self._used : end] = rows
        self._used = end
