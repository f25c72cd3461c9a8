"""CMA-ES against pycma, its covariances, restarts and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cma
import numpy as np
import psutil
import pytest
from cma.recombination_weights import RecombinationWeights
from numpy.testing import assert_array_equal
from sphere_oracle import N, SphereOracle, constant, round_trip, run, same, sphere

from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.trainers import TRAINERS
from evornn.trainers.core.covariance.adaptation import MatrixAdaptation
from evornn.trainers.core.covariance.constants import constants
from evornn.trainers.core.covariance.eigen import EigenCovariance
from evornn.trainers.core.covariance.form import Selection
from evornn.trainers.core.covariance.limited import LimitedMemoryCovariance
from evornn.trainers.core.covariance.separable import SeparableCovariance
from evornn.trainers.core.restarts import grow_population
from evornn.trainers.core.trainer import BudgetExhausted


@pytest.mark.parametrize("separable", [False, True])
def test_pycma_equals_the_plain_library_with_the_same_random_numbers(separable: bool) -> None:
    oracle, streams, step = SphereOracle(), Streams(5), 0
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
    oracle, trainer = SphereOracle(loss, budget=6_000), TRAINERS.build({**form, "population": 6})
    state = run(trainer, 0, oracle)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    assert all(np.isfinite(genomes).all() for genomes in oracle.asked)
    assert 0 < trainer.statistics(state)["sigma"] < np.inf


@pytest.mark.parametrize("kind", ["cma_es", "pycma"])
def test_cma_es_starts_again_once_it_has_converged(kind: str) -> None:
    oracle, trainer = SphereOracle(), TRAINERS.build({"kind": kind})
    state = run(trainer, 700, oracle)
    widths = [genomes.std(axis=0).max() for genomes in oracle.asked]
    assert min(widths) < 1e-3, "it must have converged"
    assert max(widths[np.argmin(widths) :]) > 0.3, "and started again"
    assert sphere(trainer.best(state)[None])[0] < 1e-9, "and kept the best"


def test_cma_es_never_takes_smaller_steps_than_it_may() -> None:
    least = []
    for floor in (0.0, 0.5):
        oracle, trainer = SphereOracle(), TRAINERS.build({"kind": "cma_es", "sigma": 0.8, "sigma_floor": floor})
        state, sigmas = trainer.start(oracle, Streams(0)), []
        for _ in range(60):
            state = trainer.step(state, oracle, Streams(1))
            sigmas.append(trainer.statistics(state)["sigma"])
        least.append(min(sigmas))
    assert least[0] < 0.4 and least[1] == 0.4


def test_cma_es_doubles_its_population_at_a_restart() -> None:
    oracle, growing = SphereOracle(constant, budget=5000), {"kind": "cma_es", "population": 5}
    for settings, sizes in ((growing, [5, 10, 20, 40]), ({**growing, "growth": 1.0}, [5])):
        oracle.asked, oracle.spent = [], 0
        with pytest.raises(BudgetExhausted):
            run(TRAINERS.build(settings), 2000, oracle)
        assert list(dict.fromkeys(len(genomes) for genomes in oracle.asked))[:4] == sizes
    assert grow_population(1000, 2, 10_000) == 1677 and grow_population(1000, 2, 10**6) == 1000, "as much as fits"


@pytest.mark.parametrize(
    "settings", [{}, {"covariance": "separable"}, {"covariance": "limited_memory"}, {"bounds": [0, 1]}]
)
def test_a_restart_is_resumed_to_the_bit(settings: dict[str, Any]) -> None:
    trainer, parts = TRAINERS.build({"kind": "cma_es", **settings}), SphereOracle(constant)
    state = run(trainer, 60, SphereOracle(constant))
    assert trainer.statistics(state)["restarts"] >= 1
    assert same(round_trip(run(trainer, 31, parts, state=round_trip(run(trainer, 29, parts)))), round_trip(state))


@pytest.mark.parametrize(
    "spec", [{"kind": "cma_es"}, {"kind": "cma_es", "covariance": "limited_memory"}, {"kind": "xnes"}]
)
def test_blas_threads_change_no_bit(spec: dict[str, Any]) -> None:
    from threadpoolctl import threadpool_limits

    ends = []
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            ends.append(round_trip(run(TRAINERS.build({**spec, "population": 40}), 3, SphereOracle(n=150))))
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
    oracle = SphereOracle(n=120)
    trainer = TRAINERS.build({"kind": "cma_es", "covariance": covariance, "population": 20})
    state = run(trainer, 150, oracle)
    assert sphere(trainer.best(state)[None])[0] < 0.1 * sphere(oracle.centre[None])[0]
    again = run(trainer, 1, oracle, state=round_trip(state))
    assert same(round_trip(again), round_trip(run(trainer, 1, oracle, state=state)))


ILL = 10.0 ** np.linspace(0, 4, N)


def expected_running_time(kind: str, loss: Callable[..., np.ndarray]) -> float:
    """Evaluations of all runs, failures included, for each that gets below 1e-6."""
    spent, hits, trainer = 0, 0, TRAINERS.build({"kind": kind})
    for seed in range(8):
        oracle = SphereOracle(loss)
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
