"""Every trainer keeps one contract; then what is particular to some of them, against references where there are any."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import cma
import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from evornn.arrays import Streams
from evornn.errors import EvornnError, UnknownName
from evornn.settings import BadSetting
from evornn.trainers import TRAINERS
from evornn.trainers.coordinates import Coordinates
from evornn.trainers.gradient import GradientTrainer
from evornn.trainers.memetic import LocalOracle, RefiningOracle, lowest
from evornn.trainers.replay import Growing, Log
from evornn.trainers.trainer import BudgetExhausted, State, Trainer

N, SEQUENCES = 6, 10


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
        self.centre, self.scale = np.full(n, 0.5, np.float32), np.linspace(0.5, 1, n, dtype=np.float32)
        self.asked: list[np.ndarray] = []
        self.batches: list[Any] = []

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

    def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
        self._pay(genomes, batch, 3)
        with np.errstate(all="ignore"):
            losses = self.loss(genomes.astype(np.float64)).astype(np.float32)
            return losses, np.where(np.isfinite(losses)[:, None], 2 * (genomes - 2), np.nan).astype(np.float32)


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
    "cma_es": {"kind": "cma_es"},
    "cma_es, separable": {"kind": "cma_es", "separable": True, "population": 7},
    "cma_es, batch": {"kind": "cma_es", "batch": 4},
    "genetic_algorithm": {"kind": "genetic_algorithm", "population": 9},
    "genetic_algorithm, batch": {"kind": "genetic_algorithm", "batch": 4, "crossover": "one_point"},
    "genetic_algorithm, not elitist": {"kind": "genetic_algorithm", "elitist": False, "crossover": "two_point"},
    "snes": {"kind": "snes", "population": 12},
    "sgd": {"kind": "sgd", "restarts": 3},
    "sgd, nesterov": {"kind": "sgd", "nesterov": True, "batch": 4, "clip": None},
    "adam": {"kind": "adam", "restarts": 2, "learning_rate": 0.05},
    "memetic": {"kind": "memetic", "refine": {"kind": "adam", "learning_rate": 0.05}},
    "memetic, baldwinian": {
        "kind": "memetic",
        "lamarckian": False,
        "evolve": {"kind": "genetic_algorithm"},
        "every": 3,
    },
    "memetic of snes and sgd": {"kind": "memetic", "evolve": {"kind": "snes"}, "refine": {"kind": "sgd", "batch": 2}},
    "memetic of cma_es and snes": {
        "kind": "memetic",
        "refine": {"kind": "snes", "population": 4, "sigma": 0.1},
        "every": 2,
        "updates": 3,
    },
    "memetic of guessing and cma_es": {
        "kind": "memetic",
        "evolve": {"kind": "weight_guessing"},
        "refine": {"kind": "cma_es", "population": 4, "sigma": 0.3},
    },
    "memetic of memetic": {"kind": "memetic", "evolve": {"kind": "memetic", "updates": 1}, "refine": {"kind": "sgd"}},
}
every = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
wrapping = pytest.mark.parametrize("kind", ["cma_es", "genetic_algorithm", "snes"])


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
    assert families.pop("weight_guessing") == "guessing"
    assert families.pop("memetic") == "hybrid"
    assert {name for name in families if families[name] == "gradient"} == {"sgd", "adam"}
    assert set(families.values()) == {"gradient", "evolution"}


@every
def test_lowers_the_loss(spec: dict[str, Any]) -> None:
    oracle, trainer = Fake(budget=2000), TRAINERS.build(spec)
    state = run(trainer, 0, oracle)
    assert_array_equal(trainer.best(state), oracle.centre)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    start, end = sphere(oracle.centre[None])[0], sphere(trainer.best(state)[None])[0]
    assert end < (0.7 if spec["kind"] == "weight_guessing" else 0.1) * start


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
    if loss is broken and not isinstance(trainer, GradientTrainer):  # those may walk into it, and stay there
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
        run(trainer, 6, NoGradients())


# Populations


@pytest.mark.parametrize("kind", ["weight_guessing", "cma_es", "genetic_algorithm", "snes"])
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
    first = oracle.sample(8, Streams(1).child("start").at(0))
    np.testing.assert_allclose(oracle.asked[0], first, rtol=1e-6)


@wrapping
def test_improved_genomes_live_on(kind: str) -> None:
    """With one member pulled towards the optimum in every generation the whole population gets there sooner."""
    trainer = TRAINERS.build({"kind": kind, "population": 10})
    pulled, plain = Pulling(), Fake()
    run(trainer, 12, pulled)
    run(trainer, 12, plain)
    assert sphere(pulled.asked[-1]).mean() < 0.7 * sphere(plain.asked[-1]).mean()


@wrapping
def test_resumed_equals_unbroken_with_improved_genomes(kind: str) -> None:
    trainer = TRAINERS.build({"kind": kind, "population": 10})
    whole = run(trainer, 9, Pulling())
    assert len(whole["log"]["changed"]) == 9
    assert same(saved(run(trainer, 5, Pulling(), state=saved(run(trainer, 4, Pulling())))), saved(whole))


def test_an_improved_genome_is_a_genetic_algorithms_survivor_and_best() -> None:
    trainer = TRAINERS.build({"kind": "genetic_algorithm", "population": 10})
    state = run(trainer, 3, Pulling())
    population = state["_live"].search.algorithm.population.values.numpy()
    best = Coordinates.of(Fake()).z(trainer.best(state)[None])
    assert np.abs(population - best).max(axis=1).min() < 1e-12


@pytest.mark.parametrize("kind", ["genetic_algorithm", "snes"])
def test_the_oracle_computes_on_as_many_threads_as_the_caller_allows(kind: str) -> None:
    before, seen = torch.get_num_threads(), []

    def loss(genomes: np.ndarray) -> np.ndarray:
        seen.append(torch.get_num_threads())
        return sphere(genomes)

    try:
        for count in (3, 2):
            torch.set_num_threads(count)
            run(TRAINERS.build({"kind": kind}), 2, Fake(loss))
    finally:
        torch.set_num_threads(before)
    assert seen == [3, 3, 2, 2]


# CMA-ES


@pytest.mark.parametrize("separable", [False, True])
def test_cma_es_equals_plain_pycma_with_the_same_random_numbers(separable: bool) -> None:
    oracle, streams, step = Fake(), Streams(5), 0
    settings = {"kind": "cma_es", "population": 9, "sigma": 0.7, "separable": separable}
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


@pytest.mark.parametrize("separable", [False, True])
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
def test_cma_es_goes_on_when_it_degenerates(loss: Callable[..., np.ndarray], separable: bool) -> None:
    oracle, trainer = Fake(loss), TRAINERS.build({"kind": "cma_es", "population": 6, "separable": separable})
    state = run(trainer, 600, oracle)
    assert all(np.isfinite(genomes).all() for genomes in oracle.asked)
    assert 0 < trainer.statistics(state)["sigma"] < np.inf


def test_cma_es_starts_again_once_it_has_converged() -> None:
    oracle, trainer = Fake(), TRAINERS.build({"kind": "cma_es"})
    state = run(trainer, 700, oracle)
    widths = [genomes.std(axis=0).max() for genomes in oracle.asked]
    assert min(widths) < 1e-6, "it must have converged"
    assert max(widths[np.argmin(widths) :]) > 0.3, "and started again"
    assert sphere(trainer.best(state)[None])[0] < 1e-9, "and kept the best"


def test_cma_es_of_a_network_too_large_for_the_memory_names_the_separable_form() -> None:
    n = int(np.sqrt(psutil.virtual_memory().total / 8))
    with pytest.raises(EvornnError, match="separable: true"):
        TRAINERS.build({"kind": "cma_es"}).check(n, 1)
    TRAINERS.build({"kind": "cma_es", "separable": True}).check(n, 1)
    TRAINERS.build({"kind": "cma_es"}).check(100, 1)
    with pytest.raises(EvornnError, match="separable: true"):
        TRAINERS.build({"kind": "memetic"}).check(n, 1)


def test_cma_es_of_one_parameter_is_refused() -> None:
    with pytest.raises(EvornnError, match="at least 2 parameters"):
        TRAINERS.build({"kind": "cma_es"}).check(1, 1)


# Gradient


def optimizer(spec: dict[str, Any], weights: torch.Tensor) -> torch.optim.Optimizer:
    if spec["kind"] == "adam":
        return torch.optim.Adam([weights], lr=0.05, betas=(0.8, 0.95), eps=1e-6)
    return torch.optim.SGD([weights], lr=0.05, momentum=0.8, nesterov=spec["nesterov"])


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "adam", "betas": [0.8, 0.95], "eps": 1e-6},
        {"kind": "sgd", "momentum": 0.8, "nesterov": False},
        {"kind": "sgd", "momentum": 0.8, "nesterov": True},
    ],
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


@pytest.mark.parametrize("kind", ["sgd", "adam"])
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
    oracle = LocalOracle(Fake(), elites, 0)
    assert_array_equal(oracle.sample(7, np.random.default_rng(0)), elites)
    assert_array_equal(oracle.centre, elites[0])


def test_elites_are_finite() -> None:
    assert lowest(np.array([3, np.nan, 1, -np.inf, np.inf, 2], np.float32), 2).tolist() == [2, 5]
    assert lowest(np.array([np.nan, 2], np.float32), 2).tolist() == [1]


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


# Settings


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"kind": "cma_es", "population": 1}, BadSetting, r"trainer\.population: .*greater than or equal to 2, got 1"),
        ({"kind": "snes", "population": 1}, BadSetting, r"trainer\.population"),
        ({"kind": "adam", "learning_rate": 0}, BadSetting, r"trainer\.learning_rate"),
        ({"kind": "adam", "betas": [0.9, 1.0]}, BadSetting, r"trainer\.betas\.1: .*less than 1"),
        ({"kind": "adam", "betas": [0.9]}, BadSetting, r"trainer\.betas"),
        ({"kind": "genetic_algorithm", "crossover": "uniform"}, BadSetting, r"trainer\.crossover: .*'one_point'"),
        ({"kind": "sgd", "learnig_rate": 1}, UnknownName, "did you mean 'learning_rate'"),
        ({"kind": "memetic", "evolve": {"kind": "cma_ess"}}, UnknownName, r"trainer\.evolve .*did you mean 'cma_es'"),
        ({"kind": "memetic", "evolve": {"kind": ["adam"]}}, UnknownName, r"trainer\.evolve"),
        ({"kind": "memetic", "refine": {"kind": "adam", "eps": 0}}, BadSetting, r"trainer\.refine\.eps: "),
        ({"kind": "memetic", "refine": {"kind": "adam", "epz": 1}}, UnknownName, r"setting of trainer\.refine .*'eps'"),
        (
            {"kind": "memetic", "refine": {"learning_rate": 1}},
            EvornnError,
            r"trainer\.refine: wants a mapping with a kind",
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
    growing, views = Growing(np.zeros(0, np.int64)), []
    for chunk in chunks:
        growing.extend(np.array(chunk, np.int64))
        views.append((growing.rows, growing.rows.tolist()))
    assert growing.rows.tolist() == [row for chunk in chunks for row in chunk]
    assert all(view.tolist() == then for view, then in views)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), max_size=8))
def test_a_log_answers_what_was_answered(generations: list[list[bool]]) -> None:
    """Each generation is a list of members that the oracle changed or not."""
    rng, log = np.random.default_rng(0), Log.empty(2)
    said = []
    for changed in generations:
        asked = rng.standard_normal((len(changed), 2)).astype(np.float32)
        told, losses = (
            asked + np.array(changed)[:, None].astype(np.float32),
            rng.random(len(changed)).astype(np.float32),
        )
        log.append(asked, told, losses)
        said.append((asked, told, losses))
    answer = Log(**log.arrays()).answers()
    for asked, told, losses in said:
        again, losses_again = answer(asked)
        assert_array_equal(again, told)
        assert_array_equal(losses_again, losses)
