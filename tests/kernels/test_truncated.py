"""Truncated backpropagation as a trainer's setting: against a plain torch loop, its cost, and going on in its midst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import evornn
from evornn.arrays import Mask, Streams
from evornn.errors import EvornnError
from evornn.networks.convert import from_torch, to_torch_modules
from evornn.networks.network import Network
from evornn.store.codec import dumps, loads, pack, unpack
from evornn.tasks.core.task import Data, Sequences
from evornn.trainers import TRAINERS
from evornn.trainers.core.trainer import BudgetExhausted
from evornn.training.budget import Budget
from evornn.training.loop import Run
from evornn.training.oracle import BatchSampler, LocalOracle
from evornn.training.records import Checkpoint
from evornn.training.sequence_problem import SequenceProblem

B, T = 6, 11


def masks() -> dict[str, Mask]:
    """What counts: all; from the third step on; the last two; a few steps here and there, none twice in a window."""
    step, row = np.meshgrid(np.arange(T), np.arange(B))
    here_and_there = (step == 1) | ((step == 8) & (row % 2 == 0))
    return {"all": step >= 0, "washed out": step >= 2, "late": step >= T - 2, "here and there": here_and_there}


def sequences(mask: Mask, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    inputs, targets = (rng.standard_normal((B, T, size)).astype(np.float32) for size in (2, 1))
    return Sequences(inputs, targets * mask[..., None], mask)


def oracle(network: Network, data: Sequences, limit: int = 10**6) -> LocalOracle:
    return LocalOracle(SequenceProblem(network, data, "mse"), 0, limit)


def by_torch(network: Network, genome: Any, data: Sequences, length: int, size: int | None, updates: int) -> Any:
    """SGD with momentum 0.9 and rate 0.1, window by window, in torch alone. One of its two biases stays 0."""
    recurrent, readout = to_torch_modules(network, genome)
    free = [weights for name, weights in recurrent.named_parameters() if "bias_hh" not in name]
    sgd = torch.optim.SGD([*free, *readout.parameters()], lr=0.1, momentum=0.9)
    x, y, m = (torch.as_tensor(values) for values in (data.inputs, data.targets, data.mask))
    order, batch = BatchSampler(Streams(0, "order"), B), 0
    while True:
        rows = torch.arange(B) if size is None else torch.as_tensor(order.batch(batch, size))
        state, batch = None, batch + 1
        for begin in range(0, T, length):
            here = slice(begin, begin + length)
            h, state = recurrent(x[rows, here], state)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            if not m[rows, here].any():
                continue
            sgd.zero_grad()
            (readout(h) - y[rows, here])[m[rows, here]].square().mean().backward()
            sgd.step()
            updates -= 1
            if updates == 0:
                return from_torch(network, recurrent, readout)


@pytest.mark.parametrize("backend", ["simd", "torch"])
@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("mask", masks())
@pytest.mark.parametrize("kind", ["elman", "lstm"])
def test_sgd_is_a_plain_torch_loop(kind: str, mask: str, size: int | None, backend: Any) -> None:
    network, data = Network(kind, inputs=2, units=4, outputs=1, backend=backend), sequences(masks()[mask])
    trainer = TRAINERS.build({"kind": "sgd", "learning_rate": 0.1, "clip": None, "batch": size, "truncate": 3})
    asked = oracle(network, data)
    state = trainer.start(asked, Streams(0))
    genome = state["genomes"][0].copy()
    for _ in range(10):
        state = trainer.step(state, asked, Streams(0))
    assert_allclose(state["genomes"][0], by_torch(network, genome, data, 3, size, 10), rtol=2e-4, atol=2e-5)
    assert np.abs(state["genomes"][0] - genome).max() > 0.01


@pytest.mark.parametrize(("mask", "costs"), [
    ("all", [3 * 4, 3 * 4, 3 * 3] * 2),
    ("late", [4 + 4 + 3 * 3] * 3),  # forwards only through what does not count
    ("here and there", [3 * 4, 4 + 3 * 3] * 2),
])  # fmt: skip
def test_only_the_window_is_paid_for(mask: str, costs: list[int]) -> None:
    network = Network("elman", inputs=2, units=3, outputs=1)
    trainer = TRAINERS.build({"kind": "adam", "batch": None, "truncate": 4, "restarts": 2})
    limit = 2 * B * sum(costs)
    asked = oracle(network, sequences(masks()[mask]), limit)
    state, spent = trainer.start(asked, Streams(0)), [0]
    for _ in costs:
        state = trainer.step(state, asked, Streams(0))
        spent.append(asked.spent.network_steps)
    assert np.diff(spent).tolist() == [2 * B * cost for cost in costs]
    assert not asked.is_full_batch  # a window's loss is no loss on the training data
    with pytest.raises(BudgetExhausted):
        trainer.step(state, asked, Streams(0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sgd", "rmsprop", "adam", "adamw"])
def test_a_window_of_everything_is_the_whole(kind: str) -> None:
    network, data = Network("gru", inputs=2, units=3, outputs=1), sequences(masks()["all"])
    ends = []
    for truncate in (None, T, 10 * T):
        trainer = TRAINERS.build({"kind": kind, "batch": 4, "truncate": truncate})
        asked = oracle(network, data)
        state = trainer.start(asked, Streams(0))
        for _ in range(5):
            state = trainer.step(state, asked, Streams(0))
        ends.append((state["genomes"], asked.spent.network_steps))
    for genomes, spent in ends[1:]:
        assert_array_equal(genomes, ends[0][0])
        assert spent == ends[0][1]


@pytest.mark.parametrize("kind", ["elman", "lstm"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_going_on_within_a_sequence_gives_the_same_bits(kind: str, wrapped: bool) -> None:
    network = Network(kind, inputs=2, units=3, outputs=1)
    split = sequences(masks()["here and there"])
    data = Data(split, split, sequences(masks()["all"], 1))
    adam = {"kind": "adam", "batch": 4, "truncate": 3, "restarts": 2}
    then = {"kind": "gradient_then_evolve", "gradient": adam, "evolve": {"kind": "snes", "population": 4}}
    trainer = TRAINERS.build(then if wrapped else adam)

    def fresh() -> Run:
        return Run(network, data, trainer, 5, Budget(steps=4_000, marks=7), "mse", None)

    run, saves = fresh(), []
    for _ in run.rows():
        saved = run.save()
        saves.append(Checkpoint(saved.mark, unpack(pack(saved.arrays)), loads(dumps(saved.plain))))
    assert any("carry.0" in name for saved in saves for name in saved.arrays)
    for saved in saves:
        again = fresh()
        again.load(saved)
        list(again.rows())
        assert again.save().plain["spent"] == run.save().plain["spent"]
        assert_array_equal(again.champion, run.champion)
        assert_array_equal(trainer.candidates(again.state), trainer.candidates(run.state))


@pytest.mark.parametrize("backend", ["simd", "torch"])
def test_a_state_is_the_one_after_the_last_step_whatever_counts(backend: Any) -> None:
    network = Network("lstm", inputs=2, units=3, outputs=1, backend=backend)
    genomes, data = network.sample(2, seed=0), sequences(masks()["here and there"])
    _, wanted = network.predict(genomes, data.inputs, return_state=True)
    *_, found = network.gradients(genomes, data.inputs, data.targets, mask=data.mask, return_state=True)
    for name, values in wanted[0].items():
        assert_allclose(found[0][name], values, rtol=1e-5, atol=1e-6)


def test_what_pads_may_be_anything() -> None:
    """Only what follows a sequence's last step that counts; the trainer sees no difference."""
    network, data = (
        Network("lstm", inputs=2, units=3, outputs=1),
        sequences(np.arange(T) < np.arange(4, 4 + B)[:, None]),
    )
    padded = data.inputs.copy()
    padded[~data.mask] = np.nan
    ends = []
    for inputs in (np.where(data.mask[..., None], data.inputs, np.float32(0)), padded):
        trainer = TRAINERS.build({"kind": "sgd", "batch": None, "truncate": 3})
        asked = oracle(network, replace(data, inputs=inputs))
        state = trainer.start(asked, Streams(0))
        for _ in range(5):
            state = trainer.step(state, asked, Streams(0))
        ends.append(state["genomes"])
    assert_array_equal(*ends)
    assert np.isfinite(ends[0]).all()


def test_a_network_without_a_state_is_refused() -> None:
    data = sequences(masks()["all"])
    network = Network("bidirectional", inputs=2, units=2, outputs=1)
    with pytest.raises(EvornnError, match="carries no state over: leave truncate out"):
        evornn.train(network, Data(data, data, data), {"kind": "sgd", "truncate": 3})
