"""Memetic trainers, solved read-outs, and trainers in turn and side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sphere_oracle import READOUT, N, SphereOracle, budgeted, run, sphere

from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import EliteOracle, OracleWrapper
from evornn.trainers.core.sequential import PartOfBudget
from evornn.trainers.core.trainer import BudgetExhausted
from evornn.trainers.memetic import RefiningOracle, elite_indices

# Memetic


def test_lamarck_writes_genomes_back_and_baldwin_losses_only() -> None:
    population = SphereOracle().sample(6, np.random.default_rng(0))
    before = SphereOracle().losses(population)
    for lamarckian in (True, False):
        trainer = TRAINERS.build({"kind": "memetic", "elites": 2, "lamarckian": lamarckian})
        genomes, losses = RefiningOracle(SphereOracle(), trainer, 0, Streams(1)).evaluate(population)
        elites, others = np.argsort(before)[:2], np.argsort(before)[2:]
        assert (losses[elites] < before[elites]).all()
        assert_array_equal(losses[others], before[others])
        assert_array_equal(genomes[others], population[others])
        assert np.array_equal(genomes[elites], population[elites]) == (not lamarckian)
        if lamarckian:
            np.testing.assert_allclose(sphere(genomes), losses, rtol=1e-5)
    assert_array_equal(
        population, SphereOracle().sample(6, np.random.default_rng(0)), "the population asked is not changed"
    )


def test_refinement_that_makes_worse_is_not_written_back() -> None:
    refine = {"kind": "sgd", "learning_rate": 1e3, "clip": None}
    trainer = TRAINERS.build({"kind": "memetic", "refine": refine})
    population = SphereOracle().sample(6, np.random.default_rng(0))
    oracle = RefiningOracle(SphereOracle(), trainer, 0, Streams(1))
    genomes, losses = oracle.evaluate(population)
    assert_array_equal(genomes, population)
    assert_array_equal(losses, SphereOracle().losses(population))
    assert oracle.improved == 0


def test_all_that_a_refinement_asks_is_paid() -> None:
    spec = {"kind": "memetic", "evolve": {"kind": "snes", "population": 8}, "every": 2, "elites": 3, "updates": 4}
    oracle, trainer = SphereOracle(), TRAINERS.build(spec)
    state, spent = run(trainer, 0, oracle), []
    for _ in range(4):
        before = oracle.spent
        state = run(trainer, 1, oracle, state=state)
        spent.append(oracle.spent - before)
    plain, refined = 8, 8 + 4 * 3 * 3 + 3
    assert spent == [plain, refined, plain, refined]


def test_refinement_goes_on_in_the_order_of_the_data() -> None:
    spec = {"kind": "memetic", "refine": {"kind": "sgd", "batch": 2}, "updates": 3}
    oracle = SphereOracle()
    run(TRAINERS.build(spec), 2, oracle)
    assert_array_equal([b for b in oracle.batches if b is not None], [oracle.batch(k, 2) for k in range(6)])


def test_the_elites_are_judged_again_on_the_batch_of_the_population() -> None:
    spec = {
        "kind": "memetic",
        "evolve": {"kind": "cma_es", "batch": 4},
        "refine": {"kind": "sgd", "batch": 2},
        "updates": 1,
    }
    oracle = SphereOracle()
    run(TRAINERS.build(spec), 1, oracle)
    assert [len(batch) for batch in oracle.batches] == [4, 2, 4]


def test_what_refine_samples_are_the_elites() -> None:
    elites = np.arange(2 * N, dtype=np.float32).reshape(2, N)
    oracle = EliteOracle(SphereOracle(), elites, 0)
    assert_array_equal(oracle.sample(7, np.random.default_rng(0)), elites)
    assert_array_equal(oracle.centre, elites[0])


def test_elites_are_finite() -> None:
    assert elite_indices(np.array([3, np.nan, 1, -np.inf, np.inf, 2], np.float32), 2).tolist() == [2, 5]
    assert elite_indices(np.array([np.nan, 2], np.float32), 2).tolist() == [1]


def test_refinement_pays_in_many_dimensions() -> None:
    """A genetic algorithm in 40 dimensions, with and without a gradient's help, for the same price."""
    evolve, losses = {"kind": "genetic_algorithm"}, {}
    for name, spec in {"alone": evolve, "hybrid": {"kind": "memetic", "evolve": evolve}}.items():
        oracle, trainer = SphereOracle(budget=4000, n=40), TRAINERS.build(spec)
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
    oracle, trainer = SphereOracle(), TRAINERS.build({"kind": kind, "ridge": 0.25})
    state = run(trainer, 5, oracle)
    judged = np.concatenate(oracle.asked)
    assert (judged[:, -READOUT:] == np.float32(2 / 1.25)).all()
    assert_array_equal(trainer.best(state), judged[np.argmin(sphere(judged))])
    assert oracle.spent == 2 * len(judged), "a pass to solve, a pass to judge"


def test_evolino_searches_the_recurrent_part_alone() -> None:
    """As the trainer that it wraps does where there is nothing else."""
    oracle, alone = SphereOracle(), SphereOracle(n=N - READOUT)
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
    oracle, trainer = SphereOracle(), TRAINERS.build({"kind": "evolino", "evolve": spec, "ridge": 0.25})
    best = trainer.best(run(trainer, 4, oracle))
    assert (best[-READOUT:] == np.float32(2 / 1.25)).all()
    assert not any((genomes == best).all(axis=1).any() for genomes in oracle.asked)


def test_evolino_refuses_a_network_that_is_nothing_but_a_readout() -> None:
    with pytest.raises(EvornnError, match="no parameters but its read-out: use ridge"):
        run(TRAINERS.build({"kind": "evolino"}), 0, SphereOracle(n=READOUT))


# Trainers in turn and side by side


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
    alone, trainer = SphereOracle(), TRAINERS.build(evolve)
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

    whole = SphereOracle(budget=100)
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
    oracle, trainer = SphereOracle(), TRAINERS.build(spec)
    state = run(trainer, 4, oracle)
    assert [len(genomes) for genomes in oracle.asked] == [6, 2, 2, 2, 6, 6, 2, 2, 2, 6]
    answer = trainer.gradient.best(state["gradient"])
    assert_array_equal(oracle.asked[-1][-1], answer)
    plain = SphereOracle()
    run(TRAINERS.build(spec["evolve"]), 1, plain)
    assert oracle.spent == 4 * 6 + 6 * 2 * 3


def test_an_injected_solution_helps_cma_es() -> None:
    """In 40 dimensions, for the same number of its own evaluations; 0.33 … 0.57 of the loss with 12 seeds."""
    ends, gradient = {}, {"kind": "adam", "learning_rate": 0.1}
    for spec in ({"kind": "cma_es"}, {"kind": "gradient_injection", "gradient": gradient, "updates": 10}):
        oracle = SphereOracle(n=40)
        run(TRAINERS.build(spec), 20, oracle)
        ends[spec["kind"]] = sphere(oracle.asked[-1]).mean()
    assert ends["gradient_injection"] < 0.75 * ends["cma_es"]


def test_a_share_of_the_elites() -> None:
    memetic = TRAINERS["memetic"]
    assert [memetic(elites=share).num_elites(10) for share in (0.01, 0.25, 3, 20)] == [1, 3, 3, 20]
