"""Real-time recurrent learning: against backpropagation while weights stand still, and beyond it where they don't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import evornn
from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.networks.network import Network
from evornn.store.codec import dumps, loads, pack, unpack
from evornn.tasks.core.task import Data, Sequences
from evornn.trainers import TRAINERS
from evornn.trainers.core.trainer import BudgetExhausted
from evornn.training.budget import Budget
from evornn.training.loop import Run
from evornn.training.oracle import LocalOracle
from evornn.training.records import Checkpoint
from evornn.training.sequence_problem import SequenceProblem

B, T = 3, 7
# what differs for derivatives: states, outputs fed back, time, masks, fixed weights, a gradient that is stopped
KINDS: dict[str, dict[str, Any]] = {
    "fully_recurrent": {},
    "elman": {"layers": 2, "initial_state": "learned"},
    "jordan": {},
    "lstm_peephole": {},
    "lstm_1997": {},
    "gru": {},
    "ctrnn": {},
    "mtrnn": {},
    "clockwork": {},
    "echo_state": {"feedback": 0.3, "evolved": ["leak"]},
}


def network(kind: str, **more: Any) -> Network:
    return Network(kind, inputs=2, units=6, outputs=1, backend="torch", **{**KINDS[kind], **more})


def sequences(seed: int = 0, counted: Any = None) -> Sequences:
    rng = np.random.default_rng(seed)
    inputs, targets = (rng.standard_normal((B, T, size)).astype(np.float32) for size in (2, 1))
    mask = np.ones((B, T), bool) if counted is None else np.broadcast_to(counted, (B, T)).copy()
    return Sequences(inputs, targets, mask)


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_backpropagation(kind: str, loss: str) -> None:
    net, data = network(kind, dtype="float64"), sequences(counted=np.arange(T) % 3 > 0)
    genomes = net.sample(3, seed=0).astype(np.float64)
    targets = data.targets if loss == "mse" else (data.targets > 0).astype(np.float32)
    found = net.sensitivities(genomes, data.inputs, targets, loss=loss, mask=data.mask)
    wanted = net.gradients(genomes, data.inputs, targets, loss=loss, mask=data.mask)
    assert np.abs(wanted[1]).max() > 1e-3
    for ours, theirs in zip(found, wanted, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_carried_on_make_the_whole_gradient(kind: str) -> None:
    """The sum of the gradients of single steps is that of the sequence; of truncated backpropagation it is not."""
    net, data = network(kind, dtype="float64"), sequences()
    genomes = net.sample(2, seed=0).astype(np.float64)
    _, whole = net.gradients(genomes, data.inputs, data.targets)
    sums = {}
    for way in (net.sensitivities, net.gradients):
        state, sums[way.__name__] = None, np.zeros_like(whole)
        for t in range(T):
            here = slice(t, t + 1)
            _, gradient, state = way(
                genomes, data.inputs[:, here], data.targets[:, here], state=state, return_state=True
            )
            sums[way.__name__] += gradient / T
    assert_allclose(sums["sensitivities"], whole, rtol=1e-9, atol=1e-12)
    forgetful = kind != "echo_state"  # with fixed weights there is still the leak, which is not forgotten at once
    assert not forgetful or np.abs(sums["gradients"] - whole).max() > 1e-4


def test_a_member_is_the_same_in_any_company() -> None:
    net, data = network("elman"), sequences()
    genomes = net.sample(5, seed=0)
    together = net.sensitivities(genomes, data.inputs, data.targets)
    for p in range(5):
        alone = net.sensitivities(genomes[p : p + 1], data.inputs, data.targets)
        for ours, theirs in zip(alone, together, strict=True):
            assert_array_equal(ours[0], theirs[p])


def oracle(net: Network, data: Sequences, limit: int = 10**7) -> LocalOracle:
    return LocalOracle(SequenceProblem(net, data, "mse"), 0, limit)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_updates_after_whole_sequences_are_gradient_descent(clip: float | None) -> None:
    net, data, ends = network("gru"), sequences(), []
    common = {"learning_rate": 0.1, "clip": clip, "batch": None, "restarts": 2}
    for spec in ({"kind": "rtrl", "every": T}, {"kind": "sgd", "momentum": 0.0}):
        trainer, asked = TRAINERS.build({**common, **spec}), oracle(net, data)
        state = trainer.start(asked, Streams(0))
        for _ in range(6):
            state = trainer.step(state, asked, Streams(0))
        ends.append(state["genomes"])
    assert_allclose(*ends, rtol=1e-4, atol=1e-6)
    assert np.abs(ends[0] - network("gru").layout.sample(2, Streams(0).at(0))).max() > 0.01


def test_every_step_costs_a_forward_pass_for_the_state_and_each_weight() -> None:
    net = network("elman", layers=1)
    asked = oracle(net, sequences(counted=np.isin(np.arange(T), (1, 2, 6))), limit=2 * B * T * (net.n + 1))
    trainer = TRAINERS.build({"kind": "rtrl", "batch": None, "restarts": 2})
    state, spent = trainer.start(asked, Streams(0)), [0]
    for _ in range(3):
        state = trainer.step(state, asked, Streams(0))
        spent.append(asked.spent.network_steps)
    assert (np.diff(spent) / (2 * B * (net.n + 1))).tolist() == [2, 1, 4]  # what does not count is stepped through
    with pytest.raises(BudgetExhausted):
        trainer.step(state, asked, Streams(0))


def test_going_on_within_a_sequence_gives_the_same_bits() -> None:
    net, split = network("fully_recurrent"), sequences()
    data, trainer = Data(split, split, sequences(1)), TRAINERS.build({"kind": "rtrl", "batch": 2, "restarts": 2})

    def fresh() -> Run:
        return Run(net, data, trainer, 5, Budget(steps=9_000, marks=9), "mse", None)

    run, saves = fresh(), []
    for row in run.rows():
        if row:
            saved = run.save()
            saves.append(Checkpoint(saved.mark, unpack(pack(saved.arrays)), loads(dumps(saved.plain))))
    assert any("∂h" in name for saved in saves for name in saved.arrays)
    for saved in saves[::3]:
        again = fresh()
        again.load(saved)
        list(again.rows())
        assert again.save().plain["spent"] == run.save().plain["spent"]
        assert_array_equal(trainer.candidates(again.state), trainer.candidates(run.state))


def delayed(seed: int) -> Sequences:
    """Say the sign that the input had two steps ago."""
    inputs = np.random.default_rng(seed).choice([-1, 1], (40, 12, 1)).astype(np.float32)
    mask = np.broadcast_to(np.arange(12) >= 2, (40, 12)).copy()
    return Sequences(inputs, np.roll(inputs, 2, axis=1) * mask[..., None], mask)


@pytest.mark.slow
def test_it_learns_online_what_truncated_backpropagation_does_not() -> None:
    """With an update after each step."""
    net = Network("elman", inputs=1, units=4, outputs=1, backend="torch")
    losses = {}
    for spec in ({"kind": "rtrl"}, {"kind": "sgd", "momentum": 0.0, "truncate": 1}):
        trainer, asked = TRAINERS.build({**spec, "learning_rate": 0.2, "batch": 8}), oracle(net, delayed(0))
        state = trainer.start(asked, Streams(0))
        for _ in range(500):
            state = trainer.step(state, asked, Streams(0))
        losses[spec["kind"]] = SequenceProblem(net, delayed(1), "mse").losses(trainer.best(state)[None])[0]
    assert losses["rtrl"] < 0.1 and losses["sgd"] > 0.5


@pytest.mark.parametrize(("kind", "units", "says"), [
    ("elman", 600, r"rtrl: the derivatives of 600 states by [\d,]+ weights in 3 sequences .* lower units"),
    ("neural_turing_machine", 3, "is not made of cells: rtrl can't train it"),
])  # fmt: skip
def test_what_can_not_be_carried_is_refused(kind: str, units: int, says: str) -> None:
    data, net = sequences(), Network(kind, inputs=2, units=units, outputs=1)
    with pytest.raises(EvornnError, match=says):
        evornn.train(net, Data(data, data, data), {"kind": "rtrl"}, budget=10**12)
