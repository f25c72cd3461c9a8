"""What population trainers have in common: the best, improved genomes, bounds, coordinates, logs and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sphere_oracle import SEQUENCES, PullingOracle, SphereOracle, round_trip, run, same, sphere
from trainer_specs import CHAINS, GUESSING, POPULATIONS, SMALL, build_small

from evornn.arrays import Streams
from evornn.settings import names
from evornn.trainers import TRAINERS
from evornn.trainers.core.coordinates import Coordinates, reflect
from evornn.trainers.core.memory import keep_freed_memory
from evornn.trainers.core.replay import EvaluationLog, GrowableArray
from evornn.trainers.core.search import points_around, recover_steps
from evornn.trainers.core.trainer import BudgetExhausted

ROOT = Path(__file__).parents[2]
SLOW = "it is too slow on a sphere, or needs settings in SMALL in tests/support/trainer_specs.py"


@pytest.mark.parametrize("kind", POPULATIONS)
def test_best_ever_on_all_data_and_best_of_the_generation_on_batches(kind: str) -> None:
    """The oracle's losses rise from call to call, so the best ever is in the first generation."""
    for batch, generation in ((None, 0), (SEQUENCES, 0), (4, -1)):
        oracle, trainer = SphereOracle(), build_small(kind, population=8, batch=batch)
        oracle.loss = lambda genomes, oracle=oracle: sphere(genomes) + 1000 * len(oracle.asked)
        state = run(trainer, 4, oracle)
        among = oracle.asked[generation]
        assert_array_equal(trainer.best(state), among[np.argmin(sphere(among))])


def test_a_genetic_algorithm_judges_parents_again_on_a_new_batch_only() -> None:
    for batch, costs in ((None, [8, 8, 8]), (4, [8, 16, 16])):
        oracle = SphereOracle()
        run(TRAINERS.build({"kind": "genetic_algorithm", "population": 8, "batch": batch}), 3, oracle)
        assert [len(genomes) for genomes in oracle.asked] == costs
        expected = [None if batch is None else oracle.batch(k, batch) for k in range(3)]
        assert all(np.array_equal(a, b) for a, b in zip(oracle.batches, expected, strict=True))


def test_a_genetic_algorithm_starts_from_the_initial_distribution_and_keeps_its_elite() -> None:
    oracle = SphereOracle()
    trainer = TRAINERS.build({"kind": "genetic_algorithm", "population": 8})
    run(trainer, 6, oracle)
    first = oracle.sample(8, Streams(1).at(0))
    np.testing.assert_allclose(oracle.asked[0], first, rtol=1e-6)


@pytest.mark.parametrize("kind", [name for name in POPULATIONS if name not in (*GUESSING, *CHAINS)])
def test_improved_genomes_live_on(kind: str) -> None:
    """With one member pulled towards the optimum in every generation the whole population gets there sooner; but for
    guesses and chains, who don't learn from one another."""
    trainer = build_small(kind, population=10, **SMALL.get(kind, {}))
    ends = {}
    for oracle in (PullingOracle, SphereOracle):
        asked = []
        for seed in range(3):
            run(trainer, 12, asking := oracle(), seed=seed)
            asked += asking.asked[-1:]
        ends[oracle] = sphere(np.concatenate(asked)).mean()
    rule = "members go on from what the oracle gives back, or are CHAINS in tests/support/trainer_specs.py"
    assert ends[PullingOracle] < 0.8 * ends[SphereOracle], f"{rule}, or {SLOW}"


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
    trainer, oracle = build_small(kind, population=10), PullingOracle()
    whole = run(trainer, 9, PullingOracle())
    assert same(round_trip(run(trainer, 5, oracle, state=round_trip(run(trainer, 4, oracle)))), round_trip(whole))


def test_an_improved_genome_is_a_survivor_and_best() -> None:
    for kind in ("genetic_algorithm", "differential_evolution", "simulated_annealing"):
        trainer = TRAINERS.build({"kind": kind, "population": 10})
        state = run(trainer, 3, PullingOracle())
        best = Coordinates.of(SphereOracle()).z(trainer.best(state)[None])
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

    oracle = SphereOracle(loss)
    oracle.losses = lambda genomes, batch=None: loss(genomes).astype(np.float32)  # type: ignore[method-assign]
    for count in (3, 2):
        with threadpool_limits(count, "blas"), np.errstate(divide="raise"):
            run(TRAINERS.build({"kind": kind}), 2, oracle)
    assert seen == [({3}, "raise")] * 2 + [({2}, "raise")] * 2


@pytest.mark.parametrize("kind", [name for name in POPULATIONS if "bounds" in names(TRAINERS[name])])
def test_bounds_hold_and_the_optimum_at_one_is_found(kind: str) -> None:
    oracle = SphereOracle(budget=4000)
    trainer = TRAINERS.build({"kind": kind, "bounds": [0.0, 2.0], **SMALL.get(kind, {})})
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    assert all(genomes.min() >= 0 and genomes.max() <= 2 for genomes in oracle.asked)
    assert sphere(trainer.best(state)[None])[0] < 0.1 * sphere(oracle.centre[None])[0], SLOW


@given(st.lists(st.floats(-50, 50), min_size=1), st.floats(-3, 3), st.floats(0.1, 5))
def test_reflection(values: list[float], low: float, width: float) -> None:
    x, high = np.array(values), low + width
    inside = reflect(x, low, high)
    assert ((low <= inside) & (inside <= high)).all()
    within = (low <= x) & (x <= high)
    assert_array_equal(inside[within], x[within])
    near = (low - width < x) & (x < low)
    np.testing.assert_allclose(inside[near], 2 * low - x[near], atol=1e-9)


@pytest.mark.parametrize("kind", POPULATIONS)
def test_one_parameter_is_enough(kind: str) -> None:
    if kind == "pycma":
        return
    oracle = SphereOracle(n=1, budget=600)
    trainer = build_small(kind, population=10, **SMALL.get(kind, {}))
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    assert sphere(trainer.best(state)[None])[0] < 0.02, SLOW


# Helpers


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3))
def test_coordinates_and_back(z: list[float]) -> None:
    oracle = SphereOracle(n=3)
    coordinates = Coordinates.of(oracle)
    genomes = coordinates.genomes(np.array([z]))
    np.testing.assert_allclose(coordinates.z(genomes), [z], rtol=1e-5, atol=1e-5)
    assert_array_equal(coordinates.genomes(coordinates.z(genomes)), genomes)


def test_a_constant_parameter_can_move_in_normalised_coordinates() -> None:
    oracle = SphereOracle(n=4)
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
