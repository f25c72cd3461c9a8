"""Every trainer keeps one contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from small_specs import ADVICE
from sphere_oracle import N, SphereOracle, broken, round_trip, run, same, sphere, unchanged_globals
from trainer_specs import GUESSING, every

from evornn.arrays import Streams
from evornn.trainers import TRAINERS
from evornn.trainers.core.gradient import GradientTrainer
from evornn.trainers.core.hybrid import HybridTrainer
from evornn.trainers.core.sequential import SequentialTrainer
from evornn.trainers.core.trainer import BudgetExhausted


@pytest.mark.parametrize("kind", TRAINERS)
def test_families(kind: str) -> None:
    family = TRAINERS[kind].family
    assert family in ("guessing", "evolution", "gradient", "hybrid")
    assert issubclass(TRAINERS[kind], GradientTrainer) == (family == "gradient")
    assert issubclass(TRAINERS[kind], HybridTrainer) == (family == "hybrid")


@every
def test_lowers_the_loss(spec: dict[str, Any]) -> None:
    oracle, trainer = SphereOracle(budget=2000), TRAINERS.build(spec)
    state = run(trainer, 0, oracle)
    assert_array_equal(trainer.best(state), oracle.centre)
    with pytest.raises(BudgetExhausted):
        while True:
            state = trainer.step(state, oracle, Streams(1))
    start, end = sphere(oracle.centre[None])[0], sphere(trainer.best(state)[None])[0]
    assert end < largest_share(spec) * start, f"2,000 evaluations of a sphere are too few for {spec}, or {ADVICE}"


def largest_share(spec: dict[str, Any]) -> float:
    """Of the first loss that may be left. Guesses don't learn; on batches the answer is the last generation's best."""
    if spec["kind"] in GUESSING:
        return 1 if "batch" in spec else 0.7
    return 0.1


@every
def test_same_seed_same_run(spec: dict[str, Any]) -> None:
    trainer = TRAINERS.build(spec)
    first, again, other = (round_trip(run(trainer, 5, seed=seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


@every
def test_resumed_equals_unbroken(spec: dict[str, Any]) -> None:
    trainer, other = TRAINERS.build(spec), TRAINERS.build(spec)
    unbroken, broken_off = SphereOracle(), SphereOracle()
    a = run(trainer, 9, unbroken)
    b = run(other, 5, broken_off, state=round_trip(run(trainer, 4, broken_off)))
    assert same(round_trip(a), round_trip(b))
    assert broken_off.spent == unbroken.spent, "a resumed run pays nothing twice"


@every
def test_a_state_stays_what_it_was(spec: dict[str, Any]) -> None:
    trainer = TRAINERS.build(spec)
    state = run(trainer, 3)
    before = round_trip(state)
    once, again = round_trip(run(trainer, 2, state=state)), round_trip(run(trainer, 2, state=state))
    assert same(round_trip(state), before)
    assert same(once, again)


@every
def test_a_step_beyond_the_budget_leaves_the_state(spec: dict[str, Any]) -> None:
    trainer, unbroken = TRAINERS.build(spec), SphereOracle()
    ends = run(trainer, 4, unbroken)
    oracle = SphereOracle(budget=unbroken.spent - 1)
    oracle.horizon = unbroken.horizon
    state = run(trainer, 3, oracle)
    before = round_trip(state)
    with pytest.raises(BudgetExhausted):
        trainer.step(state, oracle, Streams(1))
    assert oracle.spent <= oracle.budget
    assert same(round_trip(state), before)
    assert trainer.best(state).shape == (N,)
    oracle.budget = np.inf
    assert same(round_trip(run(trainer, 1, oracle, state=state)), round_trip(ends))


@every
@pytest.mark.parametrize("loss", [broken, lambda g: np.full(len(g), np.nan), lambda g: np.full(len(g), -np.inf)])
def test_losses_may_be_nan_or_infinite(spec: dict[str, Any], loss: Callable[..., np.ndarray]) -> None:
    oracle, trainer = SphereOracle(loss), TRAINERS.build(spec)
    state = run(trainer, 30, oracle)
    assert np.isfinite(trainer.best(state)).all()
    assert all(np.isfinite(value) for value in trainer.statistics(state).values())
    last = trainer.phases()[1] if isinstance(trainer, SequentialTrainer) else trainer
    if loss is broken and not isinstance(last, GradientTrainer):  # those may walk into it, and stay there
        assert np.isfinite(broken(trainer.best(state)[None]))


@every
def test_touches_nothing_global_and_prints_nothing(spec: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    with unchanged_globals():
        trainer = TRAINERS.build(spec)
        run(trainer, 2, state=round_trip(run(trainer, 3)))
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
    oracle, trainer = SphereOracle(), TRAINERS.build(spec)
    state = run(trainer, 3, oracle)
    assert {genomes.dtype for genomes in oracle.asked} == {np.dtype(np.float32)}
    assert trainer.best(state).dtype == trainer.candidates(state).dtype == np.float32
    assert trainer.candidates(state).shape[1:] == trainer.best(state).shape == (N,)


@every
def test_needs_gradient_says_whether_it_asks_for_one(spec: dict[str, Any]) -> None:
    class NoGradients(SphereOracle):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> Any:
            raise AssertionError("no gradient here")

    trainer = TRAINERS.build(spec)
    with pytest.raises(AssertionError) if trainer.needs_gradient else unchanged_globals():
        run(trainer, 15, NoGradients())
