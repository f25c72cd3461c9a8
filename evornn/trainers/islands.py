"""Islands: populations that evolve separately and from time to time send their best member to the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Len
from pydantic import AfterValidator, BeforeValidator

from evornn.arrays import Genome, Genomes, Streams
from evornn.catalog import Catalog
from evornn.errors import EvornnError
from evornn.memory import check_memory
from evornn.settings import settings
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import InjectingOracle, OracleWrapper, TrainerPart
from evornn.trainers.core.population import PopulationTrainer
from evornn.trainers.core.replay import ReplayTrainer
from evornn.trainers.core.simultaneous import Step, step_jointly
from evornn.trainers.core.trainer import Oracle, State, Trainer


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _check_population(trainer: Trainer) -> Trainer:
    if not isinstance(trainer, PopulationTrainer):
        kind = TRAINERS.name_of(trainer)
        raise ValueError(f"{kind} is no population trainer; use one such as cma_es, or make islands a part of {kind}")
    return trainer


IslandTrainers = Annotated[
    tuple[Annotated[TrainerPart, AfterValidator(_check_population)], ...], Len(1), BeforeValidator(_to_tuple)
]


@settings
class Islands(Trainer):
    """An island model (Tanese 1989, "Distributed genetic algorithms"; Whitley, Rana & Heckendorn 1999, "The island
    model genetic algorithm"): `count` population trainers search separately, each with its own random numbers. They
    form a ring: after every `every` generations the best genome of each island replaces the last member of the next
    island's population.

    `trainer` is one trainer for all islands, or a list that the islands take in turn; `count` defaults to 4, or to the
    length of the list. An island depends on its neighbour only through the migrant, so the result depends on the seed
    alone. A generation of all islands is one call of the oracle; trainers that wrap a library or solve read-outs
    evaluate theirs one after the other.
    """

    family = "evolution"
    parts: ClassVar[Mapping[str, Catalog[Trainer]]] = {"trainer": TRAINERS}

    trainer: IslandTrainers = field(default_factory=lambda: (TRAINERS["cma_es"](),))
    count: Annotated[int, Ge(2)] | None = None
    every: Annotated[int, Ge(1)] = 10  # generations

    def __post_init__(self) -> None:
        if self.count is not None and self.count < len(self.trainer):
            raise EvornnError(f"islands: {len(self.trainer)} trainers for {self.count} islands: raise count")
        object.__setattr__(self, "solves_readout", any(trainer.solves_readout for trainer in self.trainer))

    @property
    def parallel_trainers(self) -> list[Trainer]:
        return self.island_trainers

    @property
    def island_trainers(self) -> list[Trainer]:
        """The trainer of each island."""
        count = self.count or (len(self.trainer) if len(self.trainer) > 1 else 4)
        return [self.trainer[k % len(self.trainer)] for k in range(count)]

    def check(self, parameters: int, sequences: int) -> None:
        """Raises EvornnError for what one of the trainers can't handle, and if all together don't fit into memory."""
        for trainer in self.trainer:
            trainer.check(parameters, sequences)
        heavy = [trainer for trainer in self.trainer if trainer.covariance_bytes(parameters)]
        lighter = "".join(f"; {TRAINERS.name_of(trainer)}: {trainer.memory_hint}" for trainer in heavy)
        what = f"islands: the covariances of {len(self.island_trainers)} islands of {parameters:,} parameters"
        needed = sum(trainer.covariance_bytes(parameters) for trainer in self.island_trainers)
        check_memory(what, needed, f"lower count{lighter}")

    def start(self, oracle: Oracle, streams: Streams) -> State:
        started = (trainer.start(oracle, _island_streams(streams, k)) for k, trainer in enumerate(self.island_trainers))
        return {"step": 0, "islands": {str(k): state for k, state in enumerate(started)}}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        oracle, steps = (
            FrozenTimeOracle(oracle),
            [self._step(state, k, streams) for k in range(len(self.island_trainers))],
        )
        # Islands whose steps can be repeated share one call of the oracle; the others go first, one by one.
        joint = [k for k, trainer in enumerate(self.island_trainers) if _is_restartable(trainer)]
        states = {k: steps[k](oracle) for k in range(len(steps)) if k not in joint}
        states |= dict(zip(joint, step_jointly([steps[k] for k in joint], oracle), strict=True))
        return {"step": state["step"] + 1, "islands": {str(k): states[k] for k in range(len(steps))}}

    def _step(self, state: State, k: int, streams: Streams) -> Step:
        """The next generation of island k, as a function of an oracle."""
        trainer, island_state = self.island_trainers[k], state["islands"][str(k)]
        migrates = state["step"] and state["step"] % self.every == 0
        before = (k or len(self.island_trainers)) - 1  # the island before it in the ring
        migrant = self.island_trainers[before].best(state["islands"][str(before)])

        def step(oracle: Oracle) -> State:
            return trainer.step(
                island_state, InjectingOracle(oracle, migrant) if migrates else oracle, _island_streams(streams, k)
            )

        return step

    def best(self, state: State) -> Genome:
        best: Genome = self.candidates(state)[0]
        return best

    def candidates(self, state: State) -> Genomes:
        """[K, n] the answer of each of the K islands, best first."""
        states = list(state["islands"].values())
        order = np.argsort([float(island_state["best_loss"]) for island_state in states], kind="stable")
        return np.stack([states[k]["best"] for k in order])

    def statistics(self, state: State) -> dict[str, float]:
        """Those of the trainers, each averaged over the islands that have it."""
        each = [t.statistics(state["islands"][str(k)]) for k, t in enumerate(self.island_trainers)]
        names = dict.fromkeys(name for numbers in each for name in numbers)
        return {name: float(np.mean([numbers[name] for numbers in each if name in numbers])) for name in names}


class FrozenTimeOracle(OracleWrapper):
    """An oracle whose `elapsed` stays constant within a generation, whatever the order of the islands."""

    def __init__(self, real: Oracle) -> None:
        super().__init__(real)
        self.now = real.elapsed

    @property
    def elapsed(self) -> float:
        return self.now


def _is_restartable(trainer: Trainer) -> bool:
    """Whether a step of the trainer is cheap to repeat and makes no query but `evaluate`."""
    return not (isinstance(trainer, ReplayTrainer) or trainer.solves_readout)


def _island_streams(streams: Streams, island: int) -> Streams:
    return streams.child(f"island/{island}")
