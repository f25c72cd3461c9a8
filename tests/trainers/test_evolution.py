"""Natural evolution strategies and the other populations, each by what is particular to it."""

from __future__ import annotations

from statistics import mean, pstdev

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sphere_oracle import SphereOracle, run, sphere

from evornn.trainers import TRAINERS
from evornn.trainers.core.breeding import recombine, select_parents
from evornn.trainers.core.coordinates import Coordinates
from evornn.trainers.core.ranks import centred_ranks, utilities
from evornn.trainers.differential_evolution import distinct_triples

# Natural evolution strategies


def test_snes_makes_the_steps_of_evotorch() -> None:
    """The same samples, the same losses, the same next distribution."""
    from evotorch.distributions import ExpSeparableGaussian

    n, P = 4, 12
    oracle, trainer = SphereOracle(n=n), TRAINERS.build({"kind": "snes", "population": P, "sigma_change": None})
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
    oracle = SphereOracle()
    run(TRAINERS.build({"kind": kind, "population": 6}), 1, oracle)
    z = Coordinates.of(oracle).z(oracle.asked[0])
    np.testing.assert_allclose(z[:3], -z[3:], atol=1e-6)


# Other populations


def test_the_cross_entropy_method_fits_its_elites() -> None:
    """Mean and standard deviation of the best quarter, smoothed with the old ones."""
    oracle, trainer = SphereOracle(n=3), TRAINERS.build({"kind": "cross_entropy_method", "population": 10})
    state = run(trainer, 1, oracle)
    points = Coordinates.of(oracle).z(oracle.asked[0]).tolist()
    distances = sphere(oracle.asked[0]).tolist()
    elites = [points[p] for p in sorted(range(10), key=distances.__getitem__)[:3]]
    columns = list(zip(*elites, strict=True))
    np.testing.assert_allclose(state["search"]["mean"], [0.7 * mean(column) for column in columns], atol=1e-6)
    np.testing.assert_allclose(state["search"]["sigma"], [0.3 + 0.7 * pstdev(column) for column in columns], atol=1e-6)


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
    oracle = SphereOracle()
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
    oracle, trainer = SphereOracle(), TRAINERS.build({"kind": "cosyne", "population": 12, "mutation_probability": 1e-9})
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
        oracle = SphereOracle()
        run(TRAINERS.build({"kind": kind, "population": 200, "initial_range": [3, 7]}), 1, oracle)
        assert 3 <= oracle.asked[0].min() < 3.1 and 6.9 < oracle.asked[0].max() <= 7.001
