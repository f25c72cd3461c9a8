"""Two trainers, one after the other: what evolve_then_refine and gradient_then_evolve share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from annotated_types import Gt, Lt

from evornn.arrays import Genome, Genomes, Streams
from evornn.settings import settings
from evornn.trainers.core.hybrid import HybridTrainer, OracleWrapper
from evornn.trainers.core.trainer import Oracle, State, Trainer


@settings
class SequentialTrainer(HybridTrainer):
    """The first trainer spends a share `split` of the budget, the second the rest, starting from the first one's
    result. The schedules of each refer to its own part of the budget."""

    split: Annotated[float, Gt(0), Lt(1)] = 0.5

    @abstractmethod
    def phases(self) -> tuple[Trainer, Trainer]:
        """The first and the second trainer."""

    @abstractmethod
    def second_oracle(self, first_state: State, oracle: Oracle) -> Oracle:
        """The oracle of the second trainer, given the last state of the first."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        first, _ = self.phases()
        return {"step": 0, "first": first.start(oracle, streams.child("first")), "second": None}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        first, second = self.phases()
        if state["second"] is None and oracle.elapsed < self.split:
            part = PartOfBudget(oracle, 0, self.split)
            return {**state, "first": first.step(state["first"], part, streams.child("first")), **_next_step(state)}
        second_oracle = self.second_oracle(state["first"], PartOfBudget(oracle, self.split, 1))
        streams = streams.child("second")
        before = second.start(second_oracle, streams) if state["second"] is None else state["second"]
        return {**state, "second": second.step(before, second_oracle, streams), **_next_step(state)}

    def best(self, state: State) -> Genome:
        trainer, part = self._current_phase(state)
        return trainer.best(part)

    def candidates(self, state: State) -> Genomes:
        trainer, part = self._current_phase(state)
        return trainer.candidates(part)

    def has_next_phase(self, state: State) -> bool:
        trainer, part = self._current_phase(state)
        return state["second"] is None or trainer.has_next_phase(part)

    def statistics(self, state: State) -> dict[str, float]:
        """Those of the trainer that is running, and phase: 1 or 2."""
        trainer, part = self._current_phase(state)
        return {**trainer.statistics(part), "phase": 1.0 if state["second"] is None else 2.0}

    def _current_phase(self, state: State) -> tuple[Trainer, State]:
        first, second = self.phases()
        return (first, state["first"]) if state["second"] is None else (second, state["second"])


class PartOfBudget(OracleWrapper):
    """An oracle whose budget is the part of the real one's between two shares, `begin` and `end`."""

    def __init__(self, real: Oracle, begin: float, end: float) -> None:
        super().__init__(real)
        self.begin, self.end = begin, end

    @property
    def elapsed(self) -> float:
        return min(1.0, max(0.0, (self.real.elapsed - self.begin) / (self.end - self.begin)))


def _next_step(state: State) -> State:
    return {"step": state["step"] + 1}
