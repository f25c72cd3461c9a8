"""The contract of every task of control, be it balancing, walking or a world of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from small_specs import ADVICE, small_spec
from task_specs import CONTROL

import evornn
from evornn.networks.network import Network
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data
from evornn.trainers.core.trainer import NoGradient
from evornn.training.budget import Budget
from evornn.training.episode_problem import EpisodeProblem
from evornn.training.make_problem import make_problem

every_control = pytest.mark.parametrize("kind", CONTROL)


def problem(kind: str) -> EpisodeProblem:
    data = data_of(kind)
    built = make_problem(network_for(data), data.train, data.loss)
    assert isinstance(built, EpisodeProblem)
    return built


def data_of(kind: str) -> Data:
    return TASKS.build(small_spec(TASKS, kind)).data()


def network_for(data: Data) -> Network:
    inputs, outputs = data.sizes
    return Network("elman", inputs=inputs, units=3, outputs=outputs)


@every_control
def test_it_is_the_same_through_its_spec_and_says_what_it_is(kind: str) -> None:
    task = TASKS.build(small_spec(TASKS, kind))
    assert TASKS.build(json.loads(json.dumps(TASKS.spec_of(task)))) == task
    data = task.data()
    assert data.note and len(data.labels) == data.sizes[1]
    assert {split.sizes for split in data.splits} == {data.sizes}


@every_control
def test_guessed_networks_are_judged_the_same_each_time_and_pay_for_their_steps(kind: str) -> None:
    one, other = problem(kind), problem(kind)
    genomes = one.network.sample(9, seed=1)
    losses, costs = one.run(genomes)
    assert losses.shape == costs.shape == (9,) and np.isfinite(losses).all() and (costs >= 1).all()
    for again in (one, other):
        assert_array_equal(again.run(genomes)[0], losses)


@every_control
def test_guessing_solves_nothing(kind: str) -> None:
    data = data_of(kind)
    trained = evornn.train(network_for(data), data, {"kind": "weight_guessing", "population": 2}, budget=10_000)
    assert not trained.result.solved, f"too easy, or {ADVICE}"


@every_control
def test_a_weight_that_is_not_finite_has_no_loss_and_harms_nobody(kind: str) -> None:
    asked = problem(kind)
    genomes = asked.network.sample(3, seed=0)
    healthy = asked.run(genomes)[0]
    genomes[1, 2] = np.nan
    losses = asked.run(genomes)[0]
    assert np.isnan(losses).tolist() == [False, True, False]
    assert_array_equal(losses[[0, 2]], healthy[[0, 2]])


@every_control
def test_it_has_no_gradient(kind: str) -> None:
    data = data_of(kind)
    with pytest.raises(NoGradient, match="no gradient: use an evolutionary trainer"):
        evornn.train(network_for(data), data, "adam")


@pytest.mark.slow
@every_control
def test_evolution_has_a_budget_to_improve_in(kind: str) -> None:
    data = data_of(kind)
    budget = Budget(steps=20_000 if kind == "gymnasium" else 100_000, marks=5)  # an environment in Python is slow
    once, again = (evornn.train(network_for(data), data, "cma_es", seed=3, budget=budget) for _ in range(2))
    assert once.result.network_steps <= budget.steps
    assert once.result.train_loss < once.rows[0].mean
    assert_array_equal(once.genome, again.genome)
