"""Regularisation: any trainer is told the objective by hand; what is recorded is the loss."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from small_specs import small_spec

import evornn
from evornn.arrays import Genome
from evornn.errors import EvornnError
from evornn.experiments.execute import check_plans
from evornn.experiments.spec import parse_spec, plan
from evornn.networks.network import Network
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data, Sequences
from evornn.trainers import TRAINERS
from evornn.trainers.core.query import Perturbation, Window
from evornn.training.budget import Budget
from evornn.training.loop import Run
from evornn.training.make_problem import make_problem
from evornn.training.oracle import LocalOracle
from evornn.training.records import Result, Row
from evornn.training.regularisation import Regularisation
from evornn.training.sequence_problem import SequenceProblem, perturb

T = 7
DECAY, NOISE, DROPOUT = Regularisation(weight_decay=0.3), Regularisation(input_noise=0.5), Regularisation(dropout=0.5)
BOTH = Regularisation(weight_decay=0.01, input_noise=0.2)
ALL = replace(BOTH, dropout=0.3)


def sequences(count: int, seed: int) -> Sequences:
    """Echo the input of the step before."""
    inputs = np.random.default_rng(seed).standard_normal((count, T, 2), np.float32)
    mask = np.ones((count, T), np.bool_)
    mask[:, 0] = False
    return Sequences(inputs, np.roll(inputs[..., :1], 1, axis=1), mask)


@pytest.fixture(scope="module")
def data() -> Data:
    return Data(train=sequences(12, 1), valid=sequences(6, 2), test=sequences(5, 3))


@pytest.fixture(scope="module")
def network() -> Network:
    return Network("lstm_peephole", inputs=2, units=3, outputs=1, initial_state="learned")


def oracle_of(network: Network, data: Data, regularisation: Regularisation, seed: int = 4) -> LocalOracle:
    return LocalOracle(make_problem(network, data.train, "mse"), seed, 10**9, regularisation=regularisation)


def pure(network: Network, genomes: Any, part: Sequences, inputs: Any = None) -> Any:
    inputs = part.inputs if inputs is None else inputs
    return network.losses(genomes, inputs, part.targets, mask=part.mask)


# ---- weight decay ----------------------------------------------------------------------------------------------------


def penalty(network: Network, genome: Genome, decay: float) -> float:
    """By the names of the blocks: weights have a source, `map.source`, or are the read-out's."""
    blocks = network.layout.blocks
    weights = [name for name in blocks if name.split(".")[-1] in ("x", "h", "weight")]
    assert 0 < len(weights) < len(blocks)
    return decay / 2 * sum(float(np.square(genome[blocks[name].slice], dtype=np.float64).sum()) for name in weights)


def test_the_objective_is_the_loss_and_half_the_squares_of_the_weights(network: Network, data: Data) -> None:
    genomes, oracle = network.sample(5, seed=0), oracle_of(network, data, DECAY)
    expected = pure(network, genomes, data.train)
    added = [penalty(network, genome, 0.3) for genome in genomes]
    assert_allclose(oracle.losses(genomes), expected + added, rtol=1e-6)
    assert_allclose(oracle.evaluate(genomes)[1], expected + added, rtol=1e-6)
    assert_array_equal(oracle.step_losses[0], expected)  # what rows and targets are made of


def test_the_gradient_is_that_of_the_objective(data: Data) -> None:
    network = Network("elman", inputs=2, units=3, outputs=1, dtype="float64", backend="torch", initial_state="learned")
    oracle, genome = oracle_of(network, data, DECAY), network.sample(1, seed=1)[0]
    losses, gradients = oracle.gradients(genome[None])
    assert_array_equal(losses, oracle.losses(genome[None]))
    h = 1e-2
    steps = np.concatenate([genome + h * np.eye(network.n), genome - h * np.eye(network.n)]).astype(np.float32)
    up, down = np.split(oracle.losses(steps).astype(np.float64), 2)
    assert_allclose(gradients[0], (up - down) / (2 * h), atol=2e-3)
    window = oracle.window(genome[None], Window(0, T))
    assert_allclose(window.gradients, gradients, atol=1e-6)


def test_a_read_out_is_solved_under_the_penalty(data: Data) -> None:
    network = Network("elman", inputs=2, units=3, outputs=1)
    genomes = network.sample(2, seed=0)
    plain, decayed = (oracle_of(network, data, r).readouts(genomes, 0.1) for r in (Regularisation(), DECAY))
    assert_array_equal(decayed, oracle_of(network, data, Regularisation()).readouts(genomes, 0.1 + 0.3 / 2))
    assert np.square(decayed).sum() < np.square(plain).sum()


@pytest.mark.parametrize("kind", TRAINERS)
def test_every_trainer_shrinks_weights(kind: str, data: Data) -> None:
    """A penalty so large that no weight is worth it; rows still tell the loss."""
    network, spec = Network("elman", inputs=2, units=2, outputs=1), small_spec(TRAINERS, kind)
    budget, norms = Budget(steps=3_000 if kind == "rtrl" else 12_000, marks=2), []
    for regularisation in (Regularisation(), Regularisation(weight_decay=100)):
        rows, result, answer = finished(network, data, spec, regularisation, budget)
        norms.append(penalty(network, answer, 1))
        assert result.train_loss == pure(network, result.genome[None], data.train)[0]
        assert rows[-1].valid == pure(network, answer[None], data.valid)[0]
        assert rows[-1].median < 10  # without the penalty, whose least value among random weights is above
    assert norms[1] < norms[0]


def finished(
    network: Network, data: Data, spec: dict[str, Any], regularisation: Regularisation, budget: Budget
) -> tuple[list[Row], Result, Genome]:
    """Rows, result and last answer."""
    run = Run(network, data, TRAINERS.build(spec), 0, budget, "mse", None, regularisation=regularisation)
    rows = [row for row in run.rows() if row is not None]
    return rows, run.result(), run.trainer.best(run.state)


# ---- input noise -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["simd", "torch"])
def test_noise_is_that_of_the_step_and_the_same_for_all_members(backend: Any, data: Data) -> None:
    network = Network("gru", inputs=2, units=3, outputs=1, backend=backend)
    oracle, genome = oracle_of(network, data, NOISE), network.sample(1, seed=0)
    losses = oracle.losses(np.repeat(genome, 40, axis=0))
    assert len(set(losses.tolist())) == 1 and losses[0] != pure(network, genome, data.train)[0]
    assert_array_equal(oracle.losses(genome), losses[:1])  # of one step
    assert_array_equal(oracle.gradients(genome)[0], losses[:1])
    oracle.begin_step()
    later = oracle.losses(genome)[0]
    assert later != losses[0]
    resumed = LocalOracle(oracle.problem, 4, 10**9, spent=replace(oracle.spent), regularisation=NOISE)
    oracle.begin_step()
    assert resumed.losses(genome) == oracle.losses(genome)
    assert oracle_of(network, data, NOISE, seed=5).losses(genome)[0] not in (losses[0], later)


def test_noise_has_its_standard_deviation(network: Network, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    answer = SequenceProblem.answer
    monkeypatch.setattr(SequenceProblem, "answer", lambda self, query: seen.append(query) or answer(self, query))
    part = data.train
    train = Sequences(*(np.concatenate([values] * 200) for values in (part.inputs, part.targets, part.mask)))
    oracle = oracle_of(network, replace(data, train=train), NOISE)
    losses = oracle.losses(network.sample(1, seed=0), np.arange(len(train))[::-1])
    before = oracle.problem.objective.take(seen[0].batch)  # type: ignore[attr-defined]
    inputs = perturb(before, seen[0].perturbation).examples.inputs
    noise = inputs - before.examples.inputs
    assert_allclose(noise.std(), 0.5, rtol=0.02)
    assert_allclose(noise.mean(), 0, atol=0.02)
    assert_allclose(losses, pure(network, network.sample(1, seed=0), train.take(seen[0].batch), inputs), rtol=1e-6)


def test_trainers_know_that_losses_of_other_noise_are_not_comparable(network: Network, data: Data) -> None:
    assert oracle_of(network, data, DECAY).batch(0, None) is None
    oracle = oracle_of(network, data, NOISE)
    assert_array_equal(oracle.batch(3, None), np.arange(12))
    oracle.losses(network.sample(2, seed=0), None)
    assert not oracle.is_full_batch  # targets are looked for at marks, on the data as they are


@pytest.mark.parametrize("truncate", [1, 3, T])
@pytest.mark.parametrize("regularisation", [NOISE, DROPOUT])
def test_windows_are_perturbed(truncate: int, regularisation: Regularisation, data: Data) -> None:
    network = Network("elman", inputs=2, units=3, outputs=1, layers=2)
    spec = {"kind": "adam", "truncate": truncate, "learning_rate": 1e-3}
    budget = Budget(steps=3_000, marks=2)
    plain, noisy = (finished(network, data, spec, r, budget)[2] for r in (Regularisation(), regularisation))
    assert not np.array_equal(plain, noisy)


# ---- dropout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["simd", "torch"])
def test_dropout_is_that_of_the_step_and_the_same_for_all_members(backend: Any, data: Data) -> None:
    network = Network("gru", inputs=2, units=3, outputs=1, layers=3, backend=backend)
    oracle, genome = oracle_of(network, data, DROPOUT), network.sample(1, seed=0)
    losses = oracle.losses(np.repeat(genome, 40, axis=0))
    assert len(set(losses.tolist())) == 1
    assert_allclose(oracle.gradients(genome)[0], losses[:1], rtol=1e-6)
    assert losses[0] != pure(network, genome, data.train)[0] == oracle.problem.losses(genome)[0]
    oracle.begin_step()
    assert oracle.losses(genome)[0] != losses[0]


def test_so_many_values_are_dropped_and_the_others_larger(data: Data) -> None:
    network = Network("elman", inputs=2, units=20, outputs=1, layers=3)
    objective = make_problem(network, data.train, "mse").objective  # type: ignore[attr-defined]
    dropped = perturb(objective, Perturbation(1, 2, 0.0, 0.3)).examples.inputs
    factors = dropped[..., 2:]
    assert factors.shape == (12, T, 40)
    assert_array_equal(dropped[..., :2], data.train.inputs)
    assert_allclose((factors == 0).mean(), 0.3, atol=0.03)
    assert_allclose(np.unique(factors), [0, 1 / 0.7], rtol=1e-6)


# ---- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TRAINERS)
def test_going_on_and_threads_give_the_same_bits(kind: str, data: Data) -> None:
    spec, budget = small_spec(TRAINERS, kind, population=16), Budget(steps=8_000, marks=3, targets=(0.9,))

    def fresh(threads: int = 1) -> Run:
        network = Network("elman", inputs=2, units=3, outputs=1, layers=2, threads=threads)
        return Run(network, data, TRAINERS.build(spec), 5, budget, "mse", None, regularisation=ALL)

    run, saved = fresh(), []
    for _ in run.rows():
        saved.append(run.save())
    resumed, threaded = fresh(), fresh(threads=2)
    resumed.load(saved[len(saved) // 2])
    for other in (resumed, threaded):
        for _ in other.rows():
            pass
        assert facts(other.result()) == facts(run.result())


def facts(result: Result) -> dict[str, Any]:
    values = {**vars(result), "genome": result.genome.tobytes()}
    return {name: repr(value) for name, value in values.items() if name not in ("seconds", "environment")}


SPEC = {
    "name": "regularised",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 4}],
    "trainers": [{"kind": "snes"}],
    "seeds": 1,
    "budget": 20_000,
}


def test_a_spec_has_it_for_all_its_runs_and_only_if_it_is_asked_for() -> None:
    (plain,), (regularised,) = (plan(parse_spec(s)) for s in (SPEC, {**SPEC, "regularisation": asdict(BOTH)}))
    assert "regularisation" not in plain.fragments
    assert regularised.fragments["regularisation"] == asdict(BOTH)
    assert "regularisation" not in plan(parse_spec({**SPEC, "regularisation": {}}))[0].fragments
    check_plans([plain, regularised])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"regularisation": 3}, "regularisation: must be a mapping like {weight_decay: 1e-4}, got 3"),
        ({"regularisation": {"weight_decay": -1}}, r"regularisation\.weight_decay: must be at least 0"),
        ({"regularisation": {"decay": 1}}, "setting of regularisation.*weight_decay"),
        ({"regularisation": {"dropout": 1}}, r"regularisation\.dropout: must be below 1"),
        ({"regularisation": {"dropout": 0.1}}, r"regularisation\.dropout: drops .* from layer to layer, .* has one"),
        (
            {"regularisation": {"dropout": 0.1}, "networks": [{"kind": "bidirectional", "units": 2}]},
            r"regularisation\.dropout: is for layers of cells, .* is written in torch",
        ),
        (
            {"regularisation": {"dropout": 0.1}, "tasks": [{"kind": "double_pole"}]},
            r"regularisation\.dropout: .* not for tasks of control",
        ),
        (
            {"regularisation": {"input_noise": 0.1}, "tasks": [{"kind": "double_pole"}]},
            r"regularisation\.input_noise: a task of control has no training inputs",
        ),
        (
            {"regularisation": {"input_noise": 0.1}, "tasks": [{"kind": "reber"}]},
            r"regularisation\.input_noise: the inputs are symbols",
        ),
        (
            {
                "regularisation": {"input_noise": 0.1},
                "tasks": [{"kind": "logic_trees"}],
                "networks": [{"kind": "recursive"}],
            },
            r"regularisation\.input_noise: the inputs of .* are codes",
        ),
    ],
)
def test_what_it_cannot_apply_to_is_refused_with_one_line(part: dict[str, Any], message: str) -> None:
    with pytest.raises(EvornnError, match=message) as error:
        check_plans(plan(parse_spec({**SPEC, **part})))
    assert "\n" not in str(error.value)


def test_control_is_penalised() -> None:
    data = TASKS.build({"kind": "double_pole"}).data()
    network = Network("elman", inputs=data.sizes[0], units=2, outputs=data.sizes[1])
    problem, genomes = make_problem(network, data.train, data.loss), network.sample(3, seed=0)
    oracle = LocalOracle(problem, 0, 10**9, regularisation=DECAY)
    assert_allclose(oracle.losses(genomes), problem.losses(genomes) + [penalty(network, g, 0.3) for g in genomes])


def test_the_library_takes_it_as_a_mapping(data: Data) -> None:
    def answer(regularisation: Any) -> bytes:
        network = Network("elman", inputs=2, units=3, outputs=1)
        return evornn.train(network, data, "snes", budget=20_000, regularisation=regularisation).genome.tobytes()

    assert answer(asdict(BOTH)) == answer(BOTH) != answer(None)
