"""A sphere as a trainer's oracle, and what tests of trainers do with it: run, save and compare."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch

from evornn.arrays import Streams
from evornn.trainers import TRAINERS
from evornn.trainers.core.query import Answer, Kind, Query
from evornn.trainers.core.trainer import BudgetExhausted, Oracle, State, Trainer

N, READOUT, SEQUENCES = 6, 2, 10


def sphere(genomes: np.ndarray) -> np.ndarray:
    return ((genomes - 2) ** 2).sum(axis=1)


def constant(genomes: np.ndarray) -> np.ndarray:
    return np.zeros(len(genomes))


def broken(genomes: np.ndarray) -> np.ndarray:
    """The sphere with a region of NaN and one of infinity."""
    return np.where(genomes[:, 0] > 1, np.nan, np.where(genomes[:, 1] < 0, np.inf, sphere(genomes)))


class SphereOracle(Oracle):
    """A sphere as an oracle: counts members (a gradient 3), and keeps to a budget of them."""

    n: int = N
    centre: np.ndarray = np.zeros(N)
    scale: np.ndarray = np.ones(N)

    def __init__(self, loss: Callable[..., np.ndarray] = sphere, budget: float = np.inf, n: int = N) -> None:
        self.loss, self.budget, self.spent, self.n = loss, budget, 0, n
        self.horizon = budget if np.isfinite(budget) else 100.0  # what schedules go by
        self.centre, self.scale = np.full(n, 0.5, np.float32), np.linspace(0.5, 1, n, dtype=np.float32)
        self.asked: list[np.ndarray] = []
        self.batches: list[Any] = []

    @property
    def elapsed(self) -> float:
        return min(1.0, self.spent / self.horizon)

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return (self.centre + self.scale * rng.standard_normal((count, self.n))).astype(np.float32)

    def batch(self, k: int, size: int | None) -> np.ndarray | None:
        return None if size is None or size >= SEQUENCES else np.arange(k * size, (k + 1) * size) % SEQUENCES

    def _pay(self, genomes: np.ndarray, batch: Any, cost: int) -> None:
        if self.spent + cost * len(genomes) > self.budget:
            raise BudgetExhausted
        self.spent += cost * len(genomes)
        self.asked.append(genomes.copy())
        self.batches.append(batch)

    def losses(self, genomes: np.ndarray, batch: Any = None) -> np.ndarray:
        self._pay(genomes, batch, 1)
        with np.errstate(all="ignore"):
            return self.loss(genomes.astype(np.float64)).astype(np.float32)

    def evaluate(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
        return genomes, self.losses(genomes, batch)

    @property
    def num_recurrent(self) -> int:
        return self.n - READOUT

    def readouts(self, genomes: np.ndarray, ridge: float, batch: Any = None) -> np.ndarray:
        """The last parameters are where the sphere, plus ridge times their squares, is lowest."""
        if self.spent + len(genomes) > self.budget:
            raise BudgetExhausted
        self.spent += len(genomes)
        solved = genomes.copy()
        solved[:, -READOUT:] = 2 / (1 + ridge)
        return solved

    def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
        self._pay(genomes, batch, 3)
        with np.errstate(all="ignore"):
            losses = self.loss(genomes.astype(np.float64)).astype(np.float32)
            return losses, np.where(np.isfinite(losses)[:, None], 2 * (genomes - 2), np.nan).astype(np.float32)

    def answer(self, query: Query) -> Answer:
        """By the method of its kind. Sequences have one step: a window is all there is."""
        if query.kind is Kind.READOUTS:
            return Answer(genomes=self.readouts(query.genomes, query.ridge, query.batch))
        if query.kind is Kind.POPULATION:
            genomes, losses = self.evaluate(query.genomes, query.batch)
            return Answer(losses, genomes=genomes)
        if query.kind is Kind.LOSSES:
            return Answer(self.losses(query.genomes, query.batch))
        return Answer(*self.gradients(query.genomes, query.batch))


class PullingOracle(SphereOracle):
    """Moves the best of each population half-way to the optimum before it answers, as a hybrid's oracle does."""

    def evaluate(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
        losses, genomes = self.losses(genomes, batch), genomes.copy()
        best = np.argmin(losses)
        genomes[best] = (genomes[best] + 2) / 2
        losses[best] = self.loss(genomes[best : best + 1])[0]
        return genomes, losses


def run(trainer: Trainer, steps: int, oracle: Any = None, seed: int = 1, state: State | None = None) -> State:
    oracle = oracle or SphereOracle()
    state = trainer.start(oracle, Streams(seed)) if state is None else state
    for _ in range(steps):
        state = trainer.step(state, oracle, Streams(seed))
    return state


def round_trip(value: Any) -> Any:
    """Through bytes and back, as a checkpoint goes: no key that starts with "_", arrays as .npy, the rest as JSON."""
    if isinstance(value, dict):
        return {key: round_trip(part) for key, part in value.items() if not key.startswith("_")}
    if isinstance(value, np.ndarray):
        file = BytesIO()
        np.save(file, value, allow_pickle=False)
        return np.load(BytesIO(file.getvalue()), allow_pickle=False)
    return json.loads(json.dumps(value, allow_nan=False))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


@contextmanager
def unchanged_globals() -> Iterator[None]:
    """Torch's, numpy's and Python's global generators, and torch's threads, are afterwards what they were."""

    def globals_() -> tuple[Any, ...]:
        legacy = np.random.get_state(legacy=False)
        state = legacy["state"]["key"].tobytes(), legacy["state"]["pos"], legacy["gauss"]
        return torch.random.get_rng_state().numpy().tobytes(), state, random.getstate(), torch.get_num_threads()

    before = globals_()
    yield
    assert globals_() == before


def budgeted(spec: dict[str, Any], budget: int) -> tuple[SphereOracle, State, Trainer]:
    oracle, trainer = SphereOracle(budget=budget), TRAINERS.build(spec)
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    return oracle, state, trainer
