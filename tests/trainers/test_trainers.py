"""Every trainer keeps one contract; then what is particular to some of them, against references where there are any."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cma
import numpy as np
import psutil
import pytest
import torch
from cma.recombination_weights import RecombinationWeights
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from evornn.arrays import Streams
from evornn.errors import EvornnError, UnknownName
from evornn.settings import BadSetting, names
from evornn.trainers import TRAINERS
from evornn.trainers.core.breeding import recombine, select_parents
from evornn.trainers.core.coordinates import Coordinates, reflect
from evornn.trainers.core.covariance.adaptation import MatrixAdaptation
from evornn.trainers.core.covariance.constants import constants
from evornn.trainers.core.covariance.eigen import EigenCovariance
from evornn.trainers.core.covariance.form import Selection
from evornn.trainers.core.covariance.limited import LimitedMemoryCovariance
from evornn.trainers.core.covariance.separable import SeparableCovariance
from evornn.trainers.core.gradient import GradientTrainer
from evornn.trainers.core.hybrid import EliteOracle, HybridTrainer, InjectingOracle, OracleWrapper
from evornn.trainers.core.memory import keep_freed_memory
from evornn.trainers.core.population import PopulationTrainer
from evornn.trainers.core.ranks import centred_ranks, utilities
from evornn.trainers.core.replay import EvaluationLog, GrowableArray
from evornn.trainers.core.restarts import grow_population
from evornn.trainers.core.schedule import Schedule
from evornn.trainers.core.search import points_around, recover_steps
from evornn.trainers.core.sequential import PartOfBudget
from evornn.trainers.core.trainer import BudgetExhausted, State, Trainer, Window
from evornn.trainers.differential_evolution import distinct_triples
from evornn.trainers.memetic import RefiningOracle, elite_indices

N, READOUT, SEQUENCES = 6, 2, 10
ROOT = Path(__file__).parents[2]


def sphere(genomes: np.ndarray) -> np.ndarray:
    return ((genomes - 2) ** 2).sum(axis=1)


def constant(genomes: np.ndarray) -> np.ndarray:
    return np.zeros(len(genomes))


def broken(genomes: np.ndarray) -> np.ndarray:
    """The sphere with a region of NaN and one of infinity."""
    return np.where(genomes[:, 0] > 1, np.nan, np.where(genomes[:, 1] < 0, np.inf, sphere(genomes)))


class Fake:
    """A sphere as an oracle: counts members (a gradient 3), and keeps to a budget of them."""

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

    def window(
        self, genomes: np.ndarray, begin: int, length: int, carry: Any = None, batch: Any = None, exact: bool = False
    ) -> Window:
        """Sequences of one step: a window is all there is."""
        return Window(*self.gradients(genomes, batch), None, None)


class Pulling(Fake):
    """Moves the best of each population half-way to the optimum before it answers, as a hybrid's oracle does."""

    def evaluate(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
        losses, genomes = self.losses(genomes, batch), genomes.copy()
        best = np.argmin(losses)
        genomes[best] = (genomes[best] + 2) / 2
        losses[best] = self.loss(genomes[best : best + 1])[0]
        return genomes, losses


SPECS: dict[str, dict[str, Any]] = {
    "weight_guessing": {"kind": "weight_guessing", "population": 8},
    "weight_guessing, range": {"kind": "weight_guessing", "population": 8, "initial_range": [-1, 3]},
    "ridge": {"kind": "ridge", "population": 8},
    "ridge, batch": {"kind": "ridge", "population": 8, "batch": 4, "ridge": 0.0},
    "simulated_annealing": {"kind": "simulated_annealing"},
    "simulated_annealing, batch": {"kind": "simulated_annealing", "batch": 4},
    "particle_swarm": {"kind": "particle_swarm", "population": 10},
    "particle_swarm, batch": {"kind": "particle_swarm", "population": 8, "neighbours": "all", "batch": 4},
    "differential_evolution": {"kind": "differential_evolution", "population": 12},
    "differential_evolution, best": {
        "kind": "differential_evolution",
        "population": 12,
        "strategy": "best",
        "weight": 0.7,
    },
    "differential_evolution, batch": {
        "kind": "differential_evolution",
        "population": 8,
        "strategy": "current_to_best",
        "weight": 0.8,
        "batch": 4,
    },
    "genetic_algorithm": {"kind": "genetic_algorithm", "population": 9},
    "genetic_algorithm, batch": {"kind": "genetic_algorithm", "batch": 4, "crossover": "one_point"},
    "genetic_algorithm, children": {
        "kind": "genetic_algorithm",
        "survivors": "children",
        "crossover": "two_point",
        "selection": "truncation",
        "population": 16,
    },
    "genetic_algorithm, no crossover": {"kind": "genetic_algorithm", "crossover": "none", "selection": "ranking"},
    "cosyne": {"kind": "cosyne", "population": 16},
    "cosyne, range": {"kind": "cosyne", "population": 16, "initial_range": [-1, 3], "batch": 4},
    "cross_entropy_method": {"kind": "cross_entropy_method", "population": 16},
    "cma_es": {"kind": "cma_es"},
    "cma_es, separable": {"kind": "cma_es", "covariance": "separable", "population": 7},
    "cma_es, limited memory": {"kind": "cma_es", "covariance": "limited_memory", "growth": 1},
    "cma_es, batch": {"kind": "cma_es", "batch": 4, "bounds": [-3, 3]},
    "pycma": {"kind": "pycma"},
    "pycma, separable": {"kind": "pycma", "separable": True, "population": 7},
    "pycma, batch": {"kind": "pycma", "batch": 4},
    "evotorch": {"kind": "evotorch", "population": 20},
    "evotorch, batch": {"kind": "evotorch", "algorithm": "xnes", "batch": 4},
    "evotorch, pgpe": {"kind": "evotorch", "algorithm": "pgpe"},
    "evotorch, cem": {"kind": "evotorch", "algorithm": "cem"},
    "xnes": {"kind": "xnes"},
    "snes": {"kind": "snes", "population": 12},
    "pgpe": {"kind": "pgpe", "population": 16},
    "openai_es": {"kind": "openai_es", "population": 16, "learning_rate": 0.2},
    "sgd": {"kind": "sgd", "restarts": 3},
    "sgd, nesterov": {"kind": "sgd", "nesterov": True, "batch": 4, "clip": None},
    "rmsprop": {"kind": "rmsprop", "restarts": 2, "schedule": "step"},
    "adam": {"kind": "adam", "restarts": 2, "learning_rate": 0.05},
    "adamw": {"kind": "adamw", "learning_rate": 0.05, "schedule": {"shape": "cosine", "warm_up": 0.1}},
    "rtrl": {"kind": "rtrl", "restarts": 2, "learning_rate": 0.05},
    "lbfgs": {"kind": "lbfgs", "restarts": 2},
    "islands": {"kind": "islands", "every": 2},
    "islands of one kind": {"kind": "islands", "trainer": {"kind": "snes", "population": 8}, "count": 3, "every": 1},
    "islands of several": {
        "kind": "islands",
        "trainer": [
            {"kind": "pycma", "population": 6, "batch": 4},
            {"kind": "genetic_algorithm", "population": 9, "batch": 4},
            {"kind": "simulated_annealing"},
        ],
        "every": 2,
    },
    "memetic of islands": {"kind": "memetic", "evolve": {"kind": "islands", "count": 2}, "refine": {"kind": "sgd"}},
    "memetic": {"kind": "memetic", "refine": {"kind": "adam", "learning_rate": 0.05}},
    "memetic, baldwinian": {
        "kind": "memetic",
        "lamarckian": False,
        "evolve": {"kind": "genetic_algorithm"},
        "elites": 0.1,
        "every": 3,
    },
    "memetic of snes and sgd": {"kind": "memetic", "evolve": {"kind": "snes"}, "refine": {"kind": "sgd", "batch": 2}},
    "memetic of cma_es and snes": {
        "kind": "memetic",
        "refine": {"kind": "snes", "population": 4, "sigma": 0.1},
        "every": 2,
        "updates": 3,
    },
    "memetic of guessing and pycma": {
        "kind": "memetic",
        "evolve": {"kind": "weight_guessing"},
        "refine": {"kind": "pycma", "population": 4, "sigma": 0.3},
    },
    "memetic of memetic": {"kind": "memetic", "evolve": {"kind": "memetic", "updates": 1}, "refine": {"kind": "sgd"}},
    "evolve_then_refine": {"kind": "evolve_then_refine", "refine": {"kind": "adam", "learning_rate": 0.05}},
    "evolve_then_refine, pycma and swarm": {
        "kind": "evolve_then_refine",
        "evolve": {"kind": "pycma", "population": 6},
        "refine": {"kind": "particle_swarm", "population": 6},
        "split": 0.3,
    },
    "gradient_then_evolve": {
        "kind": "gradient_then_evolve",
        "gradient": {"kind": "sgd", "batch": 4},
        "evolve": {"kind": "snes", "population": 8},
    },
    "gradient_injection": {"kind": "gradient_injection", "updates": 2, "every": 2},
    "evolino": {"kind": "evolino"},
    "evolino of cosyne": {"kind": "evolino", "evolve": {"kind": "cosyne", "batch": 4}},
    "evolino of memetic": {
        "kind": "evolino",
        "evolve": {"kind": "memetic", "evolve": {"kind": "pycma"}, "refine": {"kind": "adam", "learning_rate": 0.05}},
    },
    "memetic of evolino": {"kind": "memetic", "evolve": {"kind": "evolino", "evolve": {"kind": "snes"}}},
}
every = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
POPULATIONS = [name for name in TRAINERS if issubclass(TRAINERS[name], PopulationTrainer)]
GUESSING = [name for name in TRAINERS if TRAINERS[name].family == "guessing"]
SMALL = {
    "openai_es": {"sigma": 0.3, "learning_rate": 0.1},
    "xnes": {"sigma": 0.5},
}  # settings with which 12 generations of 10 get somewhere


def run(trainer: Trainer, steps: int, oracle: Any = None, seed: int = 1, state: State | None = None) -> State:
    oracle = oracle or Fake()
    state = trainer.start(oracle, Streams(seed)) if state is None else state
    for _ in range(steps):
        state = trainer.step(state, oracle, Streams(seed))
    return state


def saved(value: Any) -> Any:
    """Through bytes and back, as a checkpoint goes: no key that starts with "_", arrays as .npy, the rest as JSON."""
    if isinstance(value, dict):
        return {key: saved(part) for key, part in value.items() if not key.startswith("_")}
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
def untouched() -> Iterator[None]:
    """Torch's, numpy's and Python's global generators, and torch's threads, are afterwards what they were."""

    def globals_() -> tuple[Any, ...]:
        legacy = np.random.get_state(legacy=False)
        state = legacy["state"]["key"].tobytes(), legacy["state"]["pos"], legacy["gauss"]
        return torch.random.get_rng_state().numpy().tobytes(), state, random.getstate(), torch.get_num_threads()

    before = globals_()
    yield
    assert globals_() == before


def test_every_trainer_of_the_catalog_is_tested() -> None:
    assert {spec["kind"] for spec in SPECS.values()} == set(TRAINERS)


def test_families() -> None:
    families = {name: TRAINERS[name].family for name in TRAINERS}
    assert families.pop("weight_guessing") == families.pop("ridge") == "guessing"
    assert {name for name in families if issubclass(TRAINERS[name], GradientTrainer)} == {
        name for name in families if families[name] == "gradient"
    }
    assert {name for name in families if issubclass(TRAINERS[name], HybridTrainer)} == {
        name for name in families if families[name] == "hybrid"
    }
    assert set(families.values()) == {"gradient", "evolution", "hybrid"}


@every
def test_lowers_the_loss(spec: dict[str, Any]) -> None:
    oracle, trainer = Fake(budget=2000), TRAINERS.build(spec)
    state = run(trainer, 0, oracle)
    assert_array_equal(trainer.best(state), oracle.centre)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    start, end = sphere(oracle.centre[None])[0], sphere(trainer.best(state)[None])[0]
    assert end < (0.7 if spec["kind"] in GUESSING else 0.1) * start


@every
def test_same_seed_same_run(spec: dict[str, Any]) -> None:
    trainer = TRAINERS.build(spec)
    first, again, other = (saved(run(trainer, 5, seed=seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


@every
def test_resumed_equals_unbroken(spec: dict[str, Any]) -> None:
    trainer, other = TRAINERS.build(spec), TRAINERS.build(spec)
    unbroken, broken_off = Fake(), Fake()
    a = run(trainer, 9, unbroken)
    b = run(other, 5, broken_off, state=saved(run(trainer, 4, broken_off)))
    assert same(saved(a), saved(b))
    assert broken_off.spent == unbroken.spent, "a resumed run pays nothing twice"


@every
def test_a_state_stays_what_it_was(spec: dict[str, Any]) -> None:
    trainer = TRAINERS.build(spec)
    state = run(trainer, 3)
    before = saved(state)
    once, again = saved(run(trainer, 2, state=state)), saved(run(trainer, 2, state=state))
    assert same(saved(state), before)
    assert same(once, again)


@every
def test_a_step_beyond_the_budget_leaves_the_state(spec: dict[str, Any]) -> None:
    trainer, unbroken = TRAINERS.build(spec), Fake()
    ends = run(trainer, 4, unbroken)
    oracle = Fake(budget=unbroken.spent - 1)
    oracle.horizon = unbroken.horizon
    state = run(trainer, 3, oracle)
    before = saved(state)
    with pytest.raises(BudgetExhausted):
        trainer.step(state, oracle, Streams(1))
    assert oracle.spent <= oracle.budget
    assert same(saved(state), before)
    assert trainer.best(state).shape == (N,)
    oracle.budget = np.inf
    assert same(saved(run(trainer, 1, oracle, state=state)), saved(ends))


@every
@pytest.mark.parametrize("loss", [broken, lambda g: np.full(len(g), np.nan), lambda g: np.full(len(g), -np.inf)])
def test_losses_may_be_nan_or_infinite(spec: dict[str, Any], loss: Callable[..., np.ndarray]) -> None:
    oracle, trainer = Fake(loss), TRAINERS.build(spec)
    state = run(trainer, 30, oracle)
    assert np.isfinite(trainer.best(state)).all()
    assert all(np.isfinite(value) for value in trainer.statistics(state).values())
    descending = isinstance(trainer, GradientTrainer) or spec["kind"] == "evolve_then_refine"
    if loss is broken and not descending:  # those may walk into it, and stay there
        assert np.isfinite(broken(trainer.best(state)[None]))


@every
def test_touches_nothing_global_and_prints_nothing(spec: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    with untouched():
        trainer = TRAINERS.build(spec)
        run(trainer, 2, state=saved(run(trainer, 3)))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@every
def test_spec_builds_the_same_trainer(spec: dict[str, Any]) -> None:
    trainer = TRAINERS.build(spec)
    again = json.loads(json.dumps(TRAINERS.spec_of(trainer)))
    assert TRAINERS.build(again) == trainer
    assert again["kind"] == spec["kind"]


@every
def test_genomes_are_float32(spec: dict[str, Any]) -> None:
    oracle, trainer = Fake(), TRAINERS.build(spec)
    state = run(trainer, 3, oracle)
    assert {genomes.dtype for genomes in oracle.asked} == {np.dtype(np.float32)}
    assert trainer.best(state).dtype == trainer.candidates(state).dtype == np.float32
    assert trainer.candidates(state).shape[1:] == trainer.best(state).shape == (N,)


@every
def test_needs_gradient_says_whether_it_asks_for_one(spec: dict[str, Any]) -> None:
    class NoGradients(Fake):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> Any:
            raise AssertionError("no gradient here")

    trainer = TRAINERS.build(spec)
    with pytest.raises(AssertionError) if trainer.needs_gradient else untouched():
        run(trainer, 15, NoGradients())


# Populations


@pytest.mark.parametrize("kind", POPULATIONS)
def test_best_ever_on_all_data_and_best_of_the_generation_on_batches(kind: str) -> None:
    """The oracle's losses rise from call to call, so the best ever is in the first generation."""
    for batch, generation in ((None, 0), (SEQUENCES, 0), (4, -1)):
        oracle, trainer = Fake(), TRAINERS.build({"kind": kind, "population": 8, "batch": batch})
        oracle.loss = lambda genomes, oracle=oracle: sphere(genomes) + 1000 * len(oracle.asked)
        state = run(trainer, 4, oracle)
        among = oracle.asked[generation]
        assert_array_equal(trainer.best(state), among[np.argmin(sphere(among))])


def test_a_genetic_algorithm_judges_parents_again_on_a_new_batch_only() -> None:
    for batch, costs in ((None, [8, 8, 8]), (4, [8, 16, 16])):
        oracle = Fake()
        run(TRAINERS.build({"kind": "genetic_algorithm", "population": 8, "batch": batch}), 3, oracle)
        assert [len(genomes) for genomes in oracle.asked] == costs
        expected = [None if batch is None else oracle.batch(k, batch) for k in range(3)]
        assert all(np.array_equal(a, b) for a, b in zip(oracle.batches, expected, strict=True))


def test_a_genetic_algorithm_starts_from_the_initial_distribution_and_keeps_its_elite() -> None:
    oracle = Fake()
    trainer = TRAINERS.build({"kind": "genetic_algorithm", "population": 8})
    run(trainer, 6, oracle)
    first = oracle.sample(8, Streams(1).at(0))
    np.testing.assert_allclose(oracle.asked[0], first, rtol=1e-6)


@pytest.mark.parametrize("kind", [name for name in POPULATIONS if name not in (*GUESSING, "simulated_annealing")])
def test_improved_genomes_live_on(kind: str) -> None:
    """With one member pulled towards the optimum in every generation the whole population gets there sooner; but for
    guesses and chains, who don't learn from one another."""
    trainer = TRAINERS.build({"kind": kind, "population": 10, **SMALL.get(kind, {})})
    ends = {}
    for oracle in (Pulling, Fake):
        asked = []
        for seed in range(3):
            run(trainer, 12, asking := oracle(), seed=seed)
            asked += asking.asked[-1:]
        ends[oracle] = sphere(np.concatenate(asked)).mean()
    assert ends[Pulling] < 0.8 * ends[Fake]


def test_an_improved_genome_changes_no_other_members_step() -> None:
    """Around a mean of 1 points are rounded off to 1e-7, a tenth of a step."""
    mean, sigma, steps = np.ones(3), np.full(3, 1e-6), np.full((4, 3), 0.3, np.float32)
    asked = points_around(mean, sigma, steps)
    points = asked.copy()
    points[2] = 1.5
    found = recover_steps(points, asked, steps, mean, sigma)
    assert_array_equal(found[[0, 1, 3]], steps[[0, 1, 3]])
    np.testing.assert_allclose(found[2], 0.5 / 1e-6)
    assert recover_steps(asked, asked, steps, mean, sigma) is steps


@pytest.mark.parametrize("kind", POPULATIONS)
def test_resumed_equals_unbroken_with_improved_genomes(kind: str) -> None:
    trainer, oracle = TRAINERS.build({"kind": kind, "population": 10}), Pulling()
    whole = run(trainer, 9, Pulling())
    assert same(saved(run(trainer, 5, oracle, state=saved(run(trainer, 4, oracle)))), saved(whole))


def test_an_improved_genome_is_a_survivor_and_best() -> None:
    for kind in ("genetic_algorithm", "differential_evolution", "simulated_annealing"):
        trainer = TRAINERS.build({"kind": kind, "population": 10})
        state = run(trainer, 3, Pulling())
        best = Coordinates.of(Fake()).z(trainer.best(state)[None])
        assert np.abs(state["search"]["points"] - best).max(axis=1).min() < 1e-12


@pytest.mark.parametrize("kind", POPULATIONS)
def test_the_oracle_computes_as_the_caller_does(kind: str) -> None:
    """On as many BLAS threads, and with numpy's warnings."""
    from threadpoolctl import threadpool_info, threadpool_limits

    seen = []

    def loss(genomes: np.ndarray) -> np.ndarray:
        threads = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
        seen.append((threads, np.geterr()["divide"]))
        return sphere(genomes)

    oracle = Fake(loss)
    oracle.losses = lambda genomes, batch=None: loss(genomes).astype(np.float32)  # type: ignore[method-assign]
    for count in (3, 2):
        with threadpool_limits(count, "blas"), np.errstate(divide="raise"):
            run(TRAINERS.build({"kind": kind}), 2, oracle)
    assert seen == [({3}, "raise")] * 2 + [({2}, "raise")] * 2


@pytest.mark.parametrize("kind", [name for name in POPULATIONS if "bounds" in names(TRAINERS[name])])
def test_bounds_hold_and_the_optimum_at_one_is_found(kind: str) -> None:
    oracle = Fake(budget=4000)
    trainer = TRAINERS.build({"kind": kind, "bounds": [0.0, 2.0], **SMALL.get(kind, {})})
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    assert all(genomes.min() >= 0 and genomes.max() <= 2 for genomes in oracle.asked)
    assert sphere(trainer.best(state)[None])[0] < 0.1 * sphere(oracle.centre[None])[0]


@given(st.lists(st.floats(-50, 50), min_size=1), st.floats(-3, 3), st.floats(0.1, 5))
def test_reflection(values: list[float], low: float, width: float) -> None:
    x, high = np.array(values), low + width
    inside = reflect(x, low, high)
    assert ((low <= inside) & (inside <= high)).all()
    within = (low <= x) & (x <= high)
    assert_array_equal(inside[within], x[within])
    near = (low - width < x) & (x < low)
    np.testing.assert_allclose(inside[near], 2 * low - x[near], atol=1e-9)


# CMA-ES


@pytest.mark.parametrize("separable", [False, True])
def test_pycma_equals_the_plain_library_with_the_same_random_numbers(separable: bool) -> None:
    oracle, streams, step = Fake(), Streams(5), 0
    settings = {"kind": "pycma", "population": 9, "sigma": 0.7, "separable": separable}
    run(TRAINERS.build(settings), 40, oracle, seed=5)

    def randn(*shape: int) -> np.ndarray:
        return streams.at(step).standard_normal(shape)

    options = {"popsize": 9, "CMA_diagonal": separable, "randn": randn, "seed": np.nan, "verbose": -9}
    plain = cma.CMAEvolutionStrategy(np.zeros(N), 0.7, options)
    for step, asked in enumerate(oracle.asked):  # noqa: B007  # randn reads it
        points = plain.ask()
        genomes = (oracle.centre.astype(np.float64) + oracle.scale.astype(np.float64) * points).astype(np.float32)
        assert_array_equal(asked, genomes)
        plain.tell(points, sphere(genomes.astype(np.float64)).astype(np.float32).tolist())


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "cma_es"},
        {"kind": "cma_es", "covariance": "separable"},
        {"kind": "cma_es", "covariance": "limited_memory"},
        {"kind": "pycma"},
        {"kind": "pycma", "separable": True},
    ],
    ids=lambda form: " ".join(map(str, form.values())),
)
@pytest.mark.parametrize(
    "loss",
    [
        constant,
        lambda g: g[:, 0],  # no optimum: the distribution grows for ever
        lambda g: np.floor(sphere(g)),
        lambda g: (g**2) @ 1e3 ** np.arange(N),  # ill-conditioned, and solved long before the end
    ],
    ids=["constant", "slope", "steps", "cigar"],
)
def test_cma_es_goes_on_when_it_degenerates(loss: Callable[..., np.ndarray], form: dict[str, Any]) -> None:
    oracle, trainer = Fake(loss, budget=20_000), TRAINERS.build({**form, "population": 6})
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    assert all(np.isfinite(genomes).all() for genomes in oracle.asked)
    assert 0 < trainer.statistics(state)["sigma"] < np.inf


@pytest.mark.parametrize("kind", ["cma_es", "pycma"])
def test_cma_es_starts_again_once_it_has_converged(kind: str) -> None:
    oracle, trainer = Fake(), TRAINERS.build({"kind": kind})
    state = run(trainer, 700, oracle)
    widths = [genomes.std(axis=0).max() for genomes in oracle.asked]
    assert min(widths) < 1e-3, "it must have converged"
    assert max(widths[np.argmin(widths) :]) > 0.3, "and started again"
    assert sphere(trainer.best(state)[None])[0] < 1e-9, "and kept the best"


def test_cma_es_never_takes_smaller_steps_than_it_may() -> None:
    least = []
    for floor in (0.0, 0.5):
        oracle, trainer = Fake(), TRAINERS.build({"kind": "cma_es", "sigma": 0.8, "sigma_floor": floor})
        state, sigmas = trainer.start(oracle, Streams(0)), []
        for _ in range(60):
            state = trainer.step(state, oracle, Streams(1))
            sigmas.append(trainer.statistics(state)["sigma"])
        least.append(min(sigmas))
    assert least[0] < 0.4 and least[1] == 0.4


def test_cma_es_doubles_its_population_at_a_restart() -> None:
    oracle, growing, constant_ = Fake(constant, budget=5000), {"kind": "cma_es", "population": 5}, {"growth": 1.0}
    for settings, sizes in ((growing, [5, 10, 20, 40]), ({**growing, **constant_}, [5])):
        oracle.asked, oracle.spent = [], 0
        with pytest.raises(BudgetExhausted):
            run(TRAINERS.build(settings), 2000, oracle)
        assert list(dict.fromkeys(len(genomes) for genomes in oracle.asked))[:4] == sizes
    assert grow_population(1000, 2, 10_000) == 1677 and grow_population(1000, 2, 10**6) == 1000, "as much as fits"


@pytest.mark.parametrize(
    "settings", [{}, {"covariance": "separable"}, {"covariance": "limited_memory"}, {"bounds": [0, 1]}]
)
def test_a_restart_is_resumed_to_the_bit(settings: dict[str, Any]) -> None:
    trainer, whole, parts = TRAINERS.build({"kind": "cma_es", **settings}), Fake(constant), Fake(constant)
    state = run(trainer, 60, whole)
    assert trainer.statistics(state)["restarts"] >= 1
    assert same(saved(run(trainer, 31, parts, state=saved(run(trainer, 29, parts)))), saved(state))


@pytest.mark.parametrize(
    "spec", [{"kind": "cma_es"}, {"kind": "cma_es", "covariance": "limited_memory"}, {"kind": "xnes"}]
)
def test_blas_threads_change_no_bit(spec: dict[str, Any]) -> None:
    from threadpoolctl import threadpool_limits

    ends = []
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            ends.append(saved(run(TRAINERS.build({**spec, "population": 40}), 3, Fake(n=150))))
    assert same(*ends)


def test_cma_es_too_large_for_the_memory_names_the_other_forms() -> None:
    n = int(np.sqrt(psutil.virtual_memory().total / 4))
    for kind, message in (("cma_es", "covariance: separable"), ("pycma", "separable: true"), ("xnes", "use snes")):
        trainer = TRAINERS.build({"kind": kind})
        with pytest.raises(EvornnError, match=message):
            trainer.check(n, 1)
        with pytest.raises(EvornnError, match=message):
            TRAINERS.build({"kind": "memetic", "evolve": {"kind": kind}}).check(n, 1)
        trainer.check(100, 1)
    for covariance in ("separable", "limited_memory"):
        TRAINERS.build({"kind": "cma_es", "covariance": covariance}).check(n, 1)


def test_pycma_of_one_parameter_is_refused() -> None:
    with pytest.raises(EvornnError, match="at least 2 parameters"):
        TRAINERS.build({"kind": "pycma"}).check(1, 1)


@pytest.mark.parametrize("kind", POPULATIONS)
def test_one_parameter_is_enough(kind: str) -> None:
    if kind == "pycma":
        return
    oracle, trainer = Fake(n=1, budget=600), TRAINERS.build({"kind": kind, "population": 10, **SMALL.get(kind, {})})
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    assert sphere(trainer.best(state)[None])[0] < 0.02


@pytest.mark.parametrize("n", [2, 10, 1185])
@pytest.mark.parametrize("population", [2, 3, 11, 256])
def test_constants_are_those_of_pycma(n: int, population: int) -> None:
    """Its own path has another c_σ since 2015 and its weights end where ours do; both keep C positive definite."""
    ours = constants(n, population)
    theirs = RecombinationWeights(population)
    np.testing.assert_allclose(ours.weights[: theirs.mu], theirs[: theirs.mu], rtol=1e-12)
    assert ours.mu_eff == pytest.approx(theirs.mueff)
    assert ours.c_1 + ours.c_mu <= 1 and ours.weights.sum() >= -(1 - ours.c_1 - ours.c_mu) / ours.c_mu / n
    assert constants(n, population, (n + 2) / 3).c_1 >= ours.c_1


def test_matrix_adaptation_learns_what_the_eigendecomposition_learns() -> None:
    """To first order in the learning rates, A Aᵀ is C: Beyer & Sendhoff 2017, §III."""
    n, P = 5, 400
    rng, slow = np.random.default_rng(0), constants(n, P)
    slow = replace(slow, c_1=1e-4, c_mu=1e-4)
    z = rng.standard_normal((P, n))
    forms = {}
    for form in (EigenCovariance(), MatrixAdaptation()):
        # the path of the y is that of the z as long as C is the identity
        path = rng.standard_normal(n) if not forms else forms["path"]
        forms["path"] = path
        steps = z.astype(form.dtype)
        chosen = Selection(steps, steps, slow.weights @ z, slow.weights, path, path, 0.0, 0)
        learned = form.update(form.identity(n), slow, chosen)
        A = learned["A"].astype(np.float64)
        forms[type(form)] = learned.get("C", A @ A.T)  # the eigendecomposition is not renewed at once
    np.testing.assert_allclose(forms[EigenCovariance], forms[MatrixAdaptation], atol=1e-6)
    assert np.abs(forms[EigenCovariance] - np.eye(n)).max() > 3e-5, "there must be something to agree about"


@pytest.mark.parametrize(
    "form",
    [EigenCovariance(), MatrixAdaptation(), SeparableCovariance(), LimitedMemoryCovariance()],
    ids=lambda f: type(f).__name__,
)
def test_steps_and_their_inverse(form: Any) -> None:
    n, P = 7, 9
    rng, state, c = np.random.default_rng(0), form.identity(n), form.constants(n, P)
    for generation in range(30):
        z = rng.standard_normal((P, n)).astype(form.dtype)
        path = rng.standard_normal(n)
        y = form.steps(state, z)
        state = form.update(state, c, Selection(z, y, c.weights @ z, c.weights, path, path, 0.0, generation))
    y = form.steps(state, z)
    assert np.abs(y - z).max() > 0.1, "something must have been learned"
    assert y.dtype == form.dtype
    np.testing.assert_allclose(form.whiten(state, y), z, atol=1e-3 if form.dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("covariance", ["full", "separable", "limited_memory"])
def test_cma_es_of_many_parameters(covariance: str) -> None:
    """Above 100 parameters the full covariance is learned by matrix adaptation."""
    oracle, trainer = Fake(n=120), TRAINERS.build({"kind": "cma_es", "covariance": covariance, "population": 20})
    state = run(trainer, 150, oracle)
    assert sphere(trainer.best(state)[None])[0] < 0.1 * sphere(oracle.centre[None])[0]
    again = run(trainer, 1, oracle, state=saved(state))
    assert same(saved(again), saved(run(trainer, 1, oracle, state=state)))


ILL = 10.0 ** np.linspace(0, 4, N)


def expected_running_time(kind: str, loss: Callable[..., np.ndarray]) -> float:
    """Evaluations of all runs, failures included, for each that gets below 1e-6."""
    spent, hits, trainer = 0, 0, TRAINERS.build({"kind": kind})
    for seed in range(8):
        oracle = Fake(loss)
        state = run(trainer, 0, oracle)
        while not state["best_loss"] <= 1e-6 and oracle.spent < 5000:
            state = trainer.step(state, oracle, Streams(seed))
        spent, hits = spent + oracle.spent, hits + bool(state["best_loss"] <= 1e-6)
    return spent / hits


@pytest.mark.parametrize(
    "loss",
    [
        sphere,
        lambda g: ((g - 2) ** 2) @ ILL,
        lambda g: (100 * (g[:, 1:] - g[:, :-1] ** 2) ** 2 + (1 - g[:, :-1]) ** 2).sum(1),
    ],
    ids=["sphere", "ellipsoid", "rosenbrock"],
)
def test_cma_es_needs_as_many_evaluations_as_pycma(loss: Callable[..., np.ndarray]) -> None:
    assert 0.7 < expected_running_time("cma_es", loss) / expected_running_time("pycma", loss) < 1.3


# Natural evolution strategies


def test_snes_makes_the_steps_of_evotorch() -> None:
    """The same samples, the same losses, the same next distribution."""
    from evotorch.distributions import ExpSeparableGaussian

    n, P = 4, 12
    oracle, trainer = Fake(n=n), TRAINERS.build({"kind": "snes", "population": P, "sigma_change": None})
    state = run(trainer, 1, oracle)
    z = Coordinates.of(oracle).z(oracle.asked[0])
    theirs = ExpSeparableGaussian(
        {"mu": torch.zeros(n, dtype=torch.float64), "sigma": torch.ones(n, dtype=torch.float64)}
    )
    losses = torch.from_numpy(sphere(oracle.asked[0].astype(np.float64)))
    found = theirs.compute_gradients(torch.from_numpy(z), losses, objective_sense="min", ranking_method="nes")
    rate = (3 + np.log(n)) / (5 * np.sqrt(n))
    after = theirs.update_parameters(found, learning_rates={"mu": 1.0, "sigma": rate})
    np.testing.assert_allclose(state["search"]["mean"], after.mu.numpy(), atol=1e-6)
    np.testing.assert_allclose(state["search"]["sigma"], after.sigma.numpy(), atol=1e-6)


def test_utilities_sum_to_nothing_and_equals_are_treated_alike() -> None:
    for weights in (utilities, centred_ranks):
        found = weights(np.array([3.0, 1, 2, 5, 4]))
        assert found.sum() == pytest.approx(0) and np.argsort(-found, kind="stable")[0] == 1
        assert_array_equal(weights(np.zeros(5)).round(12), np.zeros(5))
        tied = weights(np.array([3.0, 1, 1, 5, 4]))
        assert tied[1] == tied[2] == pytest.approx((found[1] + found[2]) / 2)


@pytest.mark.parametrize("kind", ["pgpe", "openai_es"])
def test_half_of_the_population_is_the_mirror_image_of_the_other(kind: str) -> None:
    oracle = Fake()
    run(TRAINERS.build({"kind": kind, "population": 6}), 1, oracle)
    z = Coordinates.of(oracle).z(oracle.asked[0])
    np.testing.assert_allclose(z[:3], -z[3:], atol=1e-6)


# Other populations


def test_three_others_are_distinct_and_equally_likely() -> None:
    rng, counts = np.random.default_rng(0), np.zeros((6, 6, 6))
    for _ in range(4000):
        a, b, c = distinct_triples(6, rng)
        members = np.arange(6)
        assert (np.diff(np.sort(np.stack([members, a, b, c]), axis=0), axis=0) > 0).all()
        np.add.at(counts, (a[0], b[0], c[0]), 1)
    assert (counts > 0).sum() == 5 * 4 * 3
    assert counts[counts > 0].max() < 2 * 4000 / 60


@pytest.mark.parametrize("selection", ["tournament", "truncation", "ranking"])
def test_better_members_become_parents_more_often(selection: str) -> None:
    losses, rng = np.array([4.0, 0, 3, 1, 2]), np.random.default_rng(0)
    size = 2 if selection == "tournament" else 0.4
    chosen = np.bincount(select_parents(selection, losses, 9000, size, rng), minlength=5)[[1, 3, 4, 2, 0]] / 9000
    expected = [0.5, 0.5, 0, 0, 0] if selection == "truncation" else np.array([9, 7, 5, 3, 1]) / 25
    np.testing.assert_allclose(chosen, expected, atol=0.02)


@pytest.mark.parametrize("crossover", ["uniform", "one_point", "two_point", "simulated_binary", "none"])
def test_children_keep_what_their_parents_have_between_them(crossover: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 500, 4))
    c, d = recombine(crossover, a, b, 8.0, rng)
    np.testing.assert_allclose(c + d, a + b, atol=1e-12)
    if crossover != "simulated_binary":
        assert ((c == a) | (c == b)).all()
    from_b = (c == b).mean(axis=0)
    places = {"one_point": [0, 1 / 3, 2 / 3, 1], "uniform": [0.5] * 4, "none": [0] * 4, "simulated_binary": [0] * 4}
    if crossover in places:
        np.testing.assert_allclose(from_b, places[crossover], atol=0.08)
    if crossover == "simulated_binary":  # the mean of the two is kept, and so is, over many, their distance
        np.testing.assert_allclose(np.abs((c - d) / (a - b)).mean(), 1, atol=0.05)


def test_all_but_the_elites_of_a_genetic_algorithm_are_replaced() -> None:
    oracle = Fake()
    trainer = TRAINERS.build(
        {"kind": "genetic_algorithm", "population": 8, "survivors": "children", "elites": 2, "mutation": 5}
    )
    before = run(trainer, 2, oracle)["search"]
    after = run(trainer, 3)["search"]
    best = np.argsort(before["losses"], kind="stable")[:2]
    assert_array_equal(after["points"][:2], before["points"][best])
    assert not (after["points"][2:, None] == before["points"]).all(axis=2).any()
    assert len(after["points"]) == 8


def test_cosyne_keeps_every_weight_of_all_but_the_worst() -> None:
    """Permuted within its own subpopulation; the offspring come last, and have the parents' weights."""
    oracle, trainer = Fake(), TRAINERS.build({"kind": "cosyne", "population": 12, "mutation_probability": 1e-9})
    state = run(trainer, 1, oracle)
    before = state["search"]["points"]
    run(trainer, 1, oracle, state=state)
    asked = Coordinates.of(oracle).z(oracle.asked[1])
    np.testing.assert_allclose(np.sort(asked[:9], axis=0), np.sort(before[:9], axis=0), atol=1e-6)
    assert np.abs(asked[:9] - before[:9]).max() > 0.1, "they must have been permuted"
    for child in asked[9:]:
        assert (np.abs(child - before[:3]).min(axis=0) < 1e-6).all()


def test_a_colder_chain_takes_fewer_steps_that_make_worse() -> None:
    worse = {}
    for temperature in (1e-9, 1e3):
        trainer = TRAINERS.build({"kind": "simulated_annealing", "population": 40, "temperature": temperature})
        state = run(trainer, 1)
        after = run(trainer, 1, state=state)
        worse[temperature] = (after["search"]["losses"] > state["search"]["losses"]).mean()
    assert worse[1e-9] == 0 and worse[1e3] > 0.3


def test_a_member_of_a_ring_knows_its_neighbours_only() -> None:
    losses = np.array([5.0, 4, 3, 9, 8, 0])
    guides = {kind: TRAINERS["particle_swarm"](neighbours=kind)._guides(losses) for kind in ("ring", "all")}
    assert guides["ring"].tolist() == [5, 2, 2, 2, 5, 5] and guides["all"].tolist() == [5] * 6


def test_guesses_may_come_from_a_range() -> None:
    for kind in ("weight_guessing", "cosyne"):
        oracle = Fake()
        run(TRAINERS.build({"kind": kind, "population": 200, "initial_range": [3, 7]}), 1, oracle)
        assert 3 <= oracle.asked[0].min() < 3.1 and 6.9 < oracle.asked[0].max() <= 7.001


# Islands


class Timeless(Fake):
    """What cools over the budget doesn't notice that others spend it too."""

    elapsed = 0.0  # type: ignore[assignment]


def shores(state: State) -> list[State]:
    return list(state["islands"].values())


@pytest.mark.parametrize("kind", POPULATIONS)
def test_islands_that_nobody_leaves_are_trainers_of_their_own(kind: str) -> None:
    """Whether they are asked together or one after the other."""
    trainer, streams = TRAINERS.build({"kind": kind, "population": 6}), Streams(1)
    state = run(TRAINERS["islands"](trainer=trainer, count=3, every=100), 5, Timeless())
    for k, own in enumerate(shores(state)):
        alone = trainer.start(Timeless(), streams.child(f"island/{k}"))
        for _ in range(5):
            alone = trainer.step(alone, Timeless(), streams.child(f"island/{k}"))
        assert same(saved(own), saved(alone))
    assert not same(saved(shores(state)[0]), saved(shores(state)[1]))


@pytest.mark.parametrize("kind", POPULATIONS)
def test_the_best_of_an_island_arrives_at_the_next_one(kind: str) -> None:
    """As the last member it asks about: that of the epoch before, whatever the neighbour does now."""
    spec = {"kind": "islands", "trainer": {"kind": kind, "population": 6}, "count": 3, "every": 2}
    oracle, trainer, arrived = Fake(), TRAINERS.build(spec), []
    state = run(trainer, 0, oracle)
    for _ in range(7):
        before, asked = [own["best"] for own in shores(state)], len(oracle.asked)
        state = run(trainer, 1, oracle, state=state)
        asked_now = np.split(np.concatenate(oracle.asked[asked:]), 3)
        arrived.append([np.array_equal(asked_now[i][-1], before[i - 1]) for i in range(3)])
    assert arrived == [[k > 0 and k % 2 == 0] * 3 for k in range(7)]


def test_a_generation_of_all_islands_is_one_question() -> None:
    oracle = Fake()
    run(TRAINERS.build({"kind": "islands", "trainer": {"kind": "snes", "population": 5}, "count": 4}), 6, oracle)
    assert [len(genomes) for genomes in oracle.asked] == [20] * 6
    oracle, batched = Fake(), {"kind": "genetic_algorithm", "population": 5, "batch": 4}
    run(TRAINERS.build({"kind": "islands", "trainer": [{"kind": "snes", "population": 6}, batched]}), 3, oracle)
    assert [len(genomes) for genomes in oracle.asked] == [6, 5, 6, 10, 6, 10], "one for each batch"


def test_an_island_waits_for_nothing_but_the_epoch_before() -> None:
    """Computed one by one, an epoch at a time and the last one first, from what there was at the epoch's beginning."""
    inner, K, every = TRAINERS.build({"kind": "cma_es"}), 3, 4
    state = run(TRAINERS["islands"](trainer=inner, count=K, every=every), 3 * every)
    streams = [Streams(1).child(f"island/{k}") for k in range(K)]
    states = [inner.start(Fake(), s) for s in streams]
    for epoch in range(3):
        after = list(states)
        for k in reversed(range(K)):
            for generation in range(every):
                comes = epoch > 0 and generation == 0
                oracle = InjectingOracle(Fake(), states[k - 1]["best"]) if comes else Fake()
                after[k] = inner.step(after[k], oracle, streams[k])
        states = after
    assert all(same(saved(a), saved(b)) for a, b in zip(shores(state), states, strict=True))


def test_islands_answer_with_the_best_of_all() -> None:
    oracle = Fake()
    trainer = TRAINERS.build({"kind": "islands", "trainer": {"kind": "snes", "population": 6}, "every": 3})
    state = run(trainer, 8, oracle)
    judged = np.concatenate(oracle.asked)
    assert_array_equal(trainer.best(state), judged[np.argmin(sphere(judged))])
    found = sphere(trainer.candidates(state))
    assert len(found) == 4 and (np.diff(found) >= 0).all()


# Gradient


def optimizer(spec: dict[str, Any], weights: torch.Tensor) -> torch.optim.Optimizer:
    kinds = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
    settings = {key: value for key, value in spec.items() if key != "kind"}
    return getattr(torch.optim, kinds[spec["kind"]])([weights], lr=0.05, **settings)


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "adam", "betas": [0.8, 0.95], "eps": 1e-6},
        {"kind": "adamw", "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.1},
        {"kind": "rmsprop", "alpha": 0.9, "eps": 1e-6},
        {"kind": "rmsprop", "alpha": 0.9, "eps": 1e-6, "momentum": 0.5},
        {"kind": "sgd", "momentum": 0.0},
        {"kind": "sgd", "momentum": 0.8, "nesterov": False},
        {"kind": "sgd", "momentum": 0.8, "nesterov": True},
    ],
    ids=str,
)
def test_updates_equal_torch_optim(spec: dict[str, Any], clip: float | None) -> None:
    trainer = TRAINERS.build({**spec, "learning_rate": 0.05, "clip": clip, "restarts": 3, "batch": None})
    state = run(trainer, 0)
    weights = [torch.tensor(genome, requires_grad=True) for genome in state["genomes"]]
    optimizers = [optimizer(spec, w) for w in weights]
    for _ in range(30):
        state = run(trainer, 1, state=state)
        for w, o in zip(weights, optimizers, strict=True):
            o.zero_grad()
            ((w - 2) ** 2).sum().backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_([w], clip)
            o.step()
    np.testing.assert_allclose(state["genomes"], np.stack([w.detach().numpy() for w in weights]), rtol=2e-5, atol=2e-6)


def test_lbfgs_equals_torch_optim_while_no_step_is_halved() -> None:
    def valley(w: Any) -> Any:
        return sum((1.0 + k) * (w[..., k] - 2) ** 2 + 0.1 * (w[..., k] - 2) ** 4 for k in range(N))

    class Valley(Fake):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            weights = torch.tensor(genomes, requires_grad=True)
            losses = valley(weights)
            return losses.detach().numpy(), torch.autograd.grad(losses.sum(), weights)[0].numpy()

    trainer = TRAINERS.build({"kind": "lbfgs", "learning_rate": 0.5, "history": 3, "restarts": 3})
    state = run(trainer, 0, Valley())
    weights = [torch.tensor(genome, requires_grad=True) for genome in state["genomes"]]
    optimizers = [torch.optim.LBFGS([w], lr=0.5, max_iter=1, history_size=3) for w in weights]
    for _ in range(8):
        state = run(trainer, 1, Valley(), state=state)
        assert (state["search"]["length"] > 0).all()
        for w, o in zip(weights, optimizers, strict=True):

            def closure(w: torch.Tensor = w, o: Any = o) -> torch.Tensor:
                o.zero_grad()
                loss = valley(w)
                loss.backward()
                return loss

            o.step(closure)
        expected = np.stack([w.detach().numpy() for w in weights])
        np.testing.assert_allclose(state["genomes"], expected, rtol=1e-4, atol=1e-5)


def test_lbfgs_halves_a_step_that_went_too_far_and_answers_with_the_best_place() -> None:
    def valley(genomes: np.ndarray) -> np.ndarray:
        return np.sqrt(1 + 100 * sphere(genomes))

    class Valley(Fake):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            self._pay(genomes, batch, 3)
            losses = valley(genomes.astype(np.float64))
            return losses.astype(np.float32), (100 * (genomes - 2) / losses[:, None]).astype(np.float32)

    oracle, trainer = Valley(), TRAINERS.build({"kind": "lbfgs", "learning_rate": 30.0, "restarts": 2})
    state, losses = run(trainer, 0, oracle), []
    for _ in range(60):
        state = trainer.step(state, oracle, Streams(1))
        losses.append(valley(trainer.best(state)[None])[0])
    asked = [valley(genomes).min() for genomes in oracle.asked]
    assert max(np.diff(asked)) > 0, "some step must have gone too far"
    assert losses == sorted(losses, reverse=True) and losses[-1] < 1.001


SCHEDULES: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "constant": ({}, lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: 1.0)),
    "step": (
        {"shape": "step", "factor": 0.3, "drops": [0.2, 0.4, 0.6, 0.8]},
        lambda o: torch.optim.lr_scheduler.StepLR(o, 20, 0.3),
    ),
    "cosine": (
        {"shape": "cosine", "factor": 0.25},
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 100, eta_min=0.5),
    ),
    "linear": (
        {"shape": "linear", "factor": 0.2},
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.2, 100),
    ),
    "warm-up": (
        {"shape": "cosine", "factor": 0.25, "warm_up": 0.2},
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o,
            [
                torch.optim.lr_scheduler.LinearLR(o, 1e-9, 1.0, 20),
                torch.optim.lr_scheduler.CosineAnnealingLR(o, 80, eta_min=0.5),
            ],
            [20],
        ),
    ),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_those_of_torch(name: str) -> None:
    settings, made = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler, schedule = made(optimizer), Schedule(**settings)
    for k in range(100):
        assert 2 * schedule.at(k / 100) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-6)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("kind", [name for name in TRAINERS if TRAINERS[name].family == "gradient"])
def test_a_schedule_goes_by_the_budget(kind: str) -> None:
    """A rate of zero at the end: the last steps are the smallest."""
    spec = {"kind": kind, "schedule": {"shape": "linear", "factor": 0.0}, "learning_rate": 0.01}
    oracle, trainer = Fake(budget=300), TRAINERS.build(spec)
    with pytest.raises(BudgetExhausted):
        run(trainer, 101, oracle)
    sizes = np.abs(np.diff(np.concatenate(oracle.asked), axis=0)).sum(axis=1)
    fixed = Fake(budget=300)
    with pytest.raises(BudgetExhausted):
        run(TRAINERS.build({**spec, "schedule": "constant"}), 101, fixed)
    assert_array_equal(fixed.asked[1], oracle.asked[1], "the first step is not smaller yet")
    assert sizes[-1] < 0.1 * sizes[0]


@pytest.mark.parametrize("kind", ["sgd", "rmsprop", "adam", "adamw", "rtrl"])
def test_a_restart_without_a_finite_gradient_stays_and_ranks_last(kind: str) -> None:
    class OneBad(Fake):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            losses, gradients = super().gradients(genomes, batch)
            gradients[1] = np.inf
            losses[0] = np.nan
            return losses, gradients

    trainer = TRAINERS.build({"kind": kind, "restarts": 3})
    start = run(trainer, 3)
    state = run(trainer, 5, OneBad(), state=start)
    assert_array_equal(state["genomes"][:2], start["genomes"][:2])
    assert not np.array_equal(state["genomes"][2], start["genomes"][2])
    for name, moments in state["moments"].items():
        assert_array_equal(moments[:2], start["moments"][name][:2])
        assert not np.array_equal(moments[2], start["moments"][name][2])
    assert not np.array_equal(trainer.best(state), state["genomes"][0])
    alone = run(trainer, 5, state={**start, "genomes": start["genomes"][2:], **_third(start)})
    assert_array_equal(alone["genomes"][0], state["genomes"][2])


def _third(state: State) -> State:
    return {"smoothed": state["smoothed"][2:], "moments": {k: m[2:] for k, m in state["moments"].items()}}


def test_best_is_the_restart_with_the_lowest_smoothed_loss() -> None:
    class Noisy(Fake):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            k = len(self.asked)
            _, gradients = super().gradients(genomes, batch)
            return np.array([1, 3 if k < 9 else 0, 2], np.float32), gradients  # the second is lucky once

    trainer = TRAINERS.build({"kind": "sgd", "restarts": 3})
    state = run(trainer, 10, Noisy())
    assert_array_equal(trainer.best(state), state["genomes"][0])


def test_batches_follow_the_order_of_the_data() -> None:
    oracle = Fake()
    run(TRAINERS.build({"kind": "adam", "batch": 4}), 3, oracle)
    assert_array_equal(oracle.batches, [oracle.batch(k, 4) for k in range(3)])


# Memetic


def test_lamarck_writes_genomes_back_and_baldwin_losses_only() -> None:
    population = Fake().sample(6, np.random.default_rng(0))
    before = Fake().losses(population)
    for lamarckian in (True, False):
        trainer = TRAINERS.build({"kind": "memetic", "elites": 2, "lamarckian": lamarckian})
        genomes, losses = RefiningOracle(Fake(), trainer, 0, Streams(1)).evaluate(population)
        elites, others = np.argsort(before)[:2], np.argsort(before)[2:]
        assert (losses[elites] < before[elites]).all()
        assert_array_equal(losses[others], before[others])
        assert_array_equal(genomes[others], population[others])
        assert np.array_equal(genomes[elites], population[elites]) == (not lamarckian)
        if lamarckian:
            np.testing.assert_allclose(sphere(genomes), losses, rtol=1e-5)
    assert_array_equal(population, Fake().sample(6, np.random.default_rng(0)), "the population asked is not changed")


def test_refinement_that_makes_worse_is_not_written_back() -> None:
    refine = {"kind": "sgd", "learning_rate": 1e3, "clip": None}
    trainer = TRAINERS.build({"kind": "memetic", "refine": refine})
    population = Fake().sample(6, np.random.default_rng(0))
    oracle = RefiningOracle(Fake(), trainer, 0, Streams(1))
    genomes, losses = oracle.evaluate(population)
    assert_array_equal(genomes, population)
    assert_array_equal(losses, Fake().losses(population))
    assert oracle.improved == 0


def test_all_that_a_refinement_asks_is_paid() -> None:
    spec = {"kind": "memetic", "evolve": {"kind": "snes", "population": 8}, "every": 2, "elites": 3, "updates": 4}
    oracle, trainer = Fake(), TRAINERS.build(spec)
    state, spent = run(trainer, 0, oracle), []
    for _ in range(4):
        before = oracle.spent
        state = run(trainer, 1, oracle, state=state)
        spent.append(oracle.spent - before)
    plain, refined = 8, 8 + 4 * 3 * 3 + 3
    assert spent == [plain, refined, plain, refined]


def test_refinement_goes_on_in_the_order_of_the_data() -> None:
    spec = {"kind": "memetic", "refine": {"kind": "sgd", "batch": 2}, "updates": 3}
    oracle = Fake()
    run(TRAINERS.build(spec), 2, oracle)
    assert_array_equal([b for b in oracle.batches if b is not None], [oracle.batch(k, 2) for k in range(6)])


def test_the_elites_are_judged_again_on_the_batch_of_the_population() -> None:
    spec = {
        "kind": "memetic",
        "evolve": {"kind": "cma_es", "batch": 4},
        "refine": {"kind": "sgd", "batch": 2},
        "updates": 1,
    }
    oracle = Fake()
    run(TRAINERS.build(spec), 1, oracle)
    assert [len(batch) for batch in oracle.batches] == [4, 2, 4]


def test_what_refine_samples_are_the_elites() -> None:
    elites = np.arange(2 * N, dtype=np.float32).reshape(2, N)
    oracle = EliteOracle(Fake(), elites, 0)
    assert_array_equal(oracle.sample(7, np.random.default_rng(0)), elites)
    assert_array_equal(oracle.centre, elites[0])


def test_elites_are_finite() -> None:
    assert elite_indices(np.array([3, np.nan, 1, -np.inf, np.inf, 2], np.float32), 2).tolist() == [2, 5]
    assert elite_indices(np.array([np.nan, 2], np.float32), 2).tolist() == [1]


def test_refinement_pays_in_many_dimensions() -> None:
    """A genetic algorithm in 40 dimensions, with and without a gradient's help, for the same price."""
    evolve, losses = {"kind": "genetic_algorithm"}, {}
    for name, spec in {"alone": evolve, "hybrid": {"kind": "memetic", "evolve": evolve}}.items():
        oracle, trainer = Fake(budget=4000, n=40), TRAINERS.build(spec)
        state = run(trainer, 0, oracle)
        with pytest.raises(BudgetExhausted):
            while True:
                state = trainer.step(state, oracle, Streams(1))
        losses[name] = sphere(trainer.best(state)[None])[0]
    assert losses["hybrid"] < 0.2 * losses["alone"]


# Solved read-outs


@pytest.mark.parametrize("kind", ["ridge", "evolino"])
def test_what_is_judged_has_a_solved_readout(kind: str) -> None:
    """And the answer is the best of what was judged, with the read-out that it was judged with."""
    oracle, trainer = Fake(), TRAINERS.build({"kind": kind, "ridge": 0.25})
    state = run(trainer, 5, oracle)
    judged = np.concatenate(oracle.asked)
    assert (judged[:, -READOUT:] == np.float32(2 / 1.25)).all()
    assert_array_equal(trainer.best(state), judged[np.argmin(sphere(judged))])
    assert oracle.spent == 2 * len(judged), "a pass to solve, a pass to judge"


def test_evolino_searches_the_recurrent_part_alone() -> None:
    """As the trainer that it wraps does where there is nothing else."""
    oracle, alone = Fake(), Fake(n=N - READOUT)
    alone.centre, alone.scale = oracle.centre[:-READOUT], oracle.scale[:-READOUT]
    for name in ("cma_es", "snes"):
        oracle.asked, alone.asked = [], []
        run(TRAINERS.build({"kind": "evolino", "evolve": {"kind": name}, "ridge": 0.0}), 5, oracle)
        plain = TRAINERS.build({"kind": name})
        state = plain.start(alone, Streams(1).child("evolve"))
        for _ in range(5):
            state = plain.step(state, alone, Streams(1).child("evolve"))
        for whole, part in zip(oracle.asked, alone.asked, strict=True):
            assert_array_equal(whole[:, :-READOUT], part)


def test_evolino_keeps_the_readout_of_an_answer_that_nobody_judged() -> None:
    """adam's is one update ahead of the last genome that it asked about."""
    spec = {"kind": "evolve_then_refine", "evolve": {"kind": "snes"}, "split": 0.01}
    oracle, trainer = Fake(), TRAINERS.build({"kind": "evolino", "evolve": spec, "ridge": 0.25})
    best = trainer.best(run(trainer, 4, oracle))
    assert (best[-READOUT:] == np.float32(2 / 1.25)).all()
    assert not any((genomes == best).all(axis=1).any() for genomes in oracle.asked)


def test_evolino_refuses_a_network_that_is_nothing_but_a_readout() -> None:
    with pytest.raises(EvornnError, match="no parameters but its read-out: use ridge"):
        run(TRAINERS.build({"kind": "evolino"}), 0, Fake(n=READOUT))


# Trainers in turn and side by side


def budgeted(spec: dict[str, Any], budget: int) -> tuple[Fake, State, Trainer]:
    oracle, trainer = Fake(budget=budget), TRAINERS.build(spec)
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    return oracle, state, trainer


@pytest.mark.parametrize("split", [0.25, 0.8])
def test_the_budget_is_split(split: float) -> None:
    spec = {"kind": "evolve_then_refine", "evolve": {"kind": "snes", "population": 10}, "split": split}
    oracle, _, _ = budgeted(spec, 2000)
    evolved = sum(len(genomes) for genomes in oracle.asked if len(genomes) == 10)
    assert evolved == 2000 * split
    assert [len(genomes) for genomes in oracle.asked] == sorted((len(g) for g in oracle.asked), reverse=True)
    assert sum(3 * len(genomes) for genomes in oracle.asked if len(genomes) == 1) == pytest.approx(
        2000 - evolved, abs=3
    )


def test_refinement_starts_where_evolution_ended() -> None:
    evolve = {"kind": "snes", "population": 10}
    oracle, _, _ = budgeted({"kind": "evolve_then_refine", "evolve": evolve}, 200)
    alone, trainer = Fake(), TRAINERS.build(evolve)
    state = trainer.start(alone, Streams(1).child("first"))
    for _ in range(10):
        state = trainer.step(state, alone, Streams(1).child("first"))
    assert_array_equal(oracle.asked[10][0], trainer.best(state))


def test_evolution_starts_around_what_the_gradient_found() -> None:
    spec = {
        "kind": "gradient_then_evolve",
        "gradient": {"kind": "sgd", "momentum": 0, "learning_rate": 0.1, "clip": None},
        "evolve": {"kind": "genetic_algorithm", "population": 40},
        "spread": 0.01,
        "split": 0.3,
    }
    oracle, _, _ = budgeted(spec, 200)
    descended, population = [g for g in oracle.asked if len(g) == 1], oracle.asked[-1]
    last = descended[-1] - 0.1 * 2 * (descended[-1] - 2)
    assert len(descended) == 20 and len(population) == 40
    first = next(g for g in oracle.asked if len(g) == 40)
    np.testing.assert_allclose(first[:1], last, rtol=1e-6)
    assert 0.003 < (first - last).std() < 0.02


def test_each_part_has_a_schedule_over_its_own_part_of_the_budget() -> None:
    seen = []

    class Telling(OracleWrapper):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> Any:
            return self.real.gradients(genomes, batch)

    whole = Fake(budget=100)
    for spent in (0, 25, 50, 75, 100):
        whole.spent = spent
        seen.append((PartOfBudget(Telling(whole), 0, 0.5).elapsed, PartOfBudget(whole, 0.5, 1).elapsed))
    assert seen == [(0, 0), (0.5, 0), (1, 0), (1, 0.5), (1, 1)]


def test_the_gradients_answer_is_injected_as_the_last_member() -> None:
    spec = {
        "kind": "gradient_injection",
        "evolve": {"kind": "genetic_algorithm", "population": 6},
        "gradient": {"kind": "sgd", "restarts": 2},
        "every": 2,
        "updates": 3,
    }
    oracle, trainer = Fake(), TRAINERS.build(spec)
    state = run(trainer, 4, oracle)
    assert [len(genomes) for genomes in oracle.asked] == [6, 2, 2, 2, 6, 6, 2, 2, 2, 6]
    answer = trainer.gradient.best(state["gradient"])
    assert_array_equal(oracle.asked[-1][-1], answer)
    plain = Fake()
    run(TRAINERS.build(spec["evolve"]), 1, plain)
    assert oracle.spent == 4 * 6 + 6 * 2 * 3


def test_an_injected_solution_helps_cma_es() -> None:
    """In 40 dimensions, for the same number of its own evaluations; 0.33 … 0.57 of the loss with 12 seeds."""
    ends, gradient = {}, {"kind": "adam", "learning_rate": 0.1}
    for spec in ({"kind": "cma_es"}, {"kind": "gradient_injection", "gradient": gradient, "updates": 10}):
        oracle = Fake(n=40)
        run(TRAINERS.build(spec), 20, oracle)
        ends[spec["kind"]] = sphere(oracle.asked[-1]).mean()
    assert ends["gradient_injection"] < 0.75 * ends["cma_es"]


def test_a_share_of_the_elites() -> None:
    memetic = TRAINERS["memetic"]
    assert [memetic(elites=share).num_elites(10) for share in (0.01, 0.25, 3, 20)] == [1, 3, 3, 20]


# Settings


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"kind": "cma_es", "population": 1}, BadSetting, r"trainer\.population: .*greater than or equal to 2, got 1"),
        ({"kind": "snes", "population": 1}, BadSetting, r"trainer\.population"),
        ({"kind": "adam", "learning_rate": 0}, BadSetting, r"trainer\.learning_rate"),
        ({"kind": "adam", "betas": [0.9, 1.0]}, BadSetting, r"trainer\.betas\.1: .*less than 1"),
        ({"kind": "adam", "betas": [0.9]}, BadSetting, r"trainer\.betas"),
        ({"kind": "genetic_algorithm", "crossover": "unifrom"}, BadSetting, r"trainer\.crossover: .*'one_point'"),
        ({"kind": "cma_es", "bounds": [1, 1]}, BadSetting, r"trainer\.bounds: .*first bound must be below the second"),
        ({"kind": "pgpe", "population": 5}, BadSetting, r"trainer\.population: .*multiple of 2"),
        ({"kind": "sgd", "schedule": "cosin"}, BadSetting, r"trainer\.schedule\.shape: .*'cosine'"),
        ({"kind": "memetic", "elites": 1.5}, BadSetting, r"trainer\.elites"),
        (
            {"kind": "gradient_injection", "gradient": {"kind": "snes"}},
            BadSetting,
            r"trainer\.gradient: snes follows no gradient; use sgd",
        ),
        (
            {"kind": "evolve_then_refine", "evolve": {"kind": "lbfgs"}},
            BadSetting,
            r"trainer\.evolve: lbfgs has no population",
        ),
        ({"kind": "evolino", "evolve": {"kind": "adam"}}, BadSetting, r"trainer\.evolve: adam has no population"),
        (
            {"kind": "evolino", "evolve": {"kind": "ridge"}},
            BadSetting,
            r"trainer\.evolve: ridge solves read-outs itself",
        ),
        (
            {"kind": "evolino", "evolve": {"kind": "memetic", "evolve": {"kind": "evolino"}}},
            BadSetting,
            r"trainer\.evolve: memetic solves read-outs itself",
        ),
        (
            {"kind": "islands", "trainer": {"kind": "memetic"}},
            BadSetting,
            r"trainer\.trainer\.0: memetic is no population trainer; use one such as cma_es",
        ),
        ({"kind": "islands", "trainer": []}, BadSetting, r"trainer\.trainer: .*at least 1 item"),
        ({"kind": "islands", "count": 1}, BadSetting, r"trainer\.count: .*greater than or equal to 2"),
        (
            {"kind": "islands", "trainer": [{"kind": "snes"}, {"kind": "snes", "sigma": 0}]},
            BadSetting,
            r"trainer\.trainer\.1\.sigma: ",
        ),
        ({"kind": "islands", "trainer": [{"kind": "snes"}] * 3, "count": 2}, EvornnError, "3 trainers for 2 islands"),
        ({"kind": "ridge", "ridge": -1}, BadSetting, r"trainer\.ridge: "),
        ({"kind": "sgd", "learnig_rate": 1}, UnknownName, "did you mean 'learning_rate'"),
        ({"kind": "memetic", "evolve": {"kind": "cma_ess"}}, UnknownName, r"trainer\.evolve .*did you mean 'cma_es'"),
        ({"kind": "memetic", "evolve": {"kind": ["adam"]}}, UnknownName, r"trainer\.evolve"),
        ({"kind": "memetic", "refine": {"kind": "adam", "eps": 0}}, BadSetting, r"trainer\.refine\.eps: "),
        ({"kind": "memetic", "refine": {"kind": "adam", "epz": 1}}, UnknownName, r"setting of trainer\.refine .*'eps'"),
        (
            {"kind": "memetic", "refine": {"learning_rate": 1}},
            EvornnError,
            r"trainer\.refine: expects a mapping with a kind",
        ),
        ({"kind": "memetic", "refine": 3}, BadSetting, r"trainer\.refine: .*instance of Trainer"),
        ({"kind": "memetic", "evolve": {"kind": "adam"}}, BadSetting, r"trainer\.evolve: adam has no population"),
        (
            {"kind": "memetic", "evolve": {"kind": "memetic", "evolve": {"kind": "snes", "sigma": -1}}},
            BadSetting,
            r"trainer\.evolve\.evolve\.sigma: ",
        ),
    ],
)
def test_bad_settings_are_named(spec: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        TRAINERS.build(spec)
    assert "\n" not in str(caught.value)


def test_parts_may_be_trainers_or_specs() -> None:
    memetic = TRAINERS["memetic"]
    parts = {"evolve": {"kind": "snes", "population": 4}, "refine": {"kind": "sgd"}}
    built = memetic(**{name: TRAINERS.build(spec) for name, spec in parts.items()})
    assert memetic(**parts) == built == TRAINERS.build({"kind": "memetic", **parts})
    assert TRAINERS.spec_of(built)["evolve"] == {**TRAINERS.spec_of(TRAINERS.build(parts["evolve"]))}
    with pytest.raises(ValidationError):
        memetic(elites=0)


# Helpers


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3))
def test_coordinates_and_back(z: list[float]) -> None:
    oracle = Fake(n=3)
    coordinates = Coordinates.of(oracle)
    genomes = coordinates.genomes(np.array([z]))
    np.testing.assert_allclose(coordinates.z(genomes), [z], rtol=1e-5, atol=1e-5)
    assert_array_equal(coordinates.genomes(coordinates.z(genomes)), genomes)


def test_a_constant_parameter_can_move_in_normalised_coordinates() -> None:
    oracle = Fake(n=4)
    oracle.scale = np.array([0, 0.1, 0.2, 0.4], np.float32)
    np.testing.assert_allclose(Coordinates.of(oracle).scale, [0.2, 0.1, 0.2, 0.4], rtol=1e-6)
    oracle.scale = np.zeros(4, np.float32)
    assert_array_equal(Coordinates.of(oracle).scale, np.ones(4))


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=20))
def test_growing_keeps_everything_and_leaves_old_views(chunks: list[list[int]]) -> None:
    growing, views = GrowableArray(np.zeros(0, np.int64)), []
    for chunk in chunks:
        growing.extend(np.array(chunk, np.int64))
        views.append((growing.rows, growing.rows.tolist()))
    assert growing.rows.tolist() == [row for chunk in chunks for row in chunk]
    assert all(view.tolist() == then for view, then in views)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), max_size=8))
def test_a_log_answers_what_was_answered(generations: list[list[bool]]) -> None:
    """Each generation is a list of members that the oracle changed or not."""
    rng, log = np.random.default_rng(0), EvaluationLog.empty(2)
    said = []
    for changed in generations:
        asked = rng.standard_normal((len(changed), 2)).astype(np.float32)
        told, losses = (
            asked + np.array(changed)[:, None].astype(np.float32),
            rng.random(len(changed)).astype(np.float32),
        )
        log.append(asked, told, losses)
        said.append((asked, told, losses))
    answer = EvaluationLog(**log.arrays()).replay()
    for asked, told, losses in said:
        again, losses_again = answer(asked)
        assert_array_equal(again, told)
        assert_array_equal(losses_again, losses)


# Memory

GENERATIONS = """
import resource
import numpy as np
from benchmarks.peer_optimizers import ours
losses = np.arange(256.0)
generation = ours("cma_es separable", lambda points: losses, 1185, 256, 0)
for _ in range(5):
    generation()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    generation()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="no glibc")
def test_a_generation_gets_no_new_pages() -> None:
    """256 × 1,185 numbers of 4 bytes are 296 pages, and each of some ten arrays would have them anew."""
    found = subprocess.run([sys.executable, "-c", GENERATIONS], cwd=ROOT, capture_output=True, text=True)
    assert float(found.stdout) < 100, found.stderr
