"""Dropout between layers: both kernels drop the same, and gradients are those of what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from evornn.networks import CELLS
from evornn.networks.network import Network
from evornn.networks.objective import Objective

B, T = 9, 6
RNG = np.random.default_rng(0)
X, Y = (RNG.standard_normal((B, T, size)).astype(np.float32) for size in (3, 2))
MASK = RNG.random((B, T)) < 0.8
STACKED = sorted(name for name in CELLS if "layers" in CELLS[name].size_fields and CELLS[name]().differentiable)


def factors_of(network: Network, sequences: int, p: float = 0.4) -> Any:
    kept = np.random.default_rng(1).random((sequences, T, network.layout.dropout_width)) >= p
    return (kept / (1 - p)).astype(np.float32)


def objective_of(network: Network, sequences: int, factors: Any = None) -> Objective:
    factors = factors_of(network, sequences) if factors is None else factors
    return network.objective(X[:sequences], Y[:sequences], MASK[:sequences]).with_dropout(factors)


def network_of(kind: str, layers: int = 2, **how: Any) -> Network:
    return Network(kind, inputs=3, units=4, outputs=2, layers=layers, **how)


@pytest.mark.parametrize("kind", STACKED)
def test_both_kernels_agree(kind: str) -> None:
    ours, exact = network_of(kind), network_of(kind, backend="torch", dtype="float64")
    genomes = ours.sample(20, seed=0)
    losses, gradients = objective_of(ours, B).gradients(genomes)
    expected = objective_of(exact, B).gradients(genomes)
    assert_allclose(losses, expected[0], rtol=1e-4)
    assert_allclose(gradients, expected[1], atol=1e-4)
    assert_allclose(objective_of(ours, B).losses(genomes), losses, rtol=1e-6)
    assert not np.isclose(losses, ours.losses(genomes, X, Y, mask=MASK), rtol=1e-6).any()


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("sequences", [B, 3])  # lanes across sequences, across members
@pytest.mark.parametrize("backend", ["simd", "torch"])
def test_it_is_that_of_the_equation(layers: int, sequences: int, backend: Any) -> None:
    network = network_of("elman", layers, backend=backend)
    genomes, factors = network.sample(20, seed=0), factors_of(network, sequences)
    g, blocks = torch.tensor(genomes[7], dtype=torch.float64, requires_grad=True), network.layout.blocks

    def w(name: str) -> torch.Tensor:
        return g[blocks[name].slice].view(blocks[name].shape)

    (first,) = {name.split(".")[1] for name in blocks if name.startswith("0.")}
    h = [torch.zeros(sequences, 4, dtype=torch.float64)] * layers
    total = 0.0
    for t in range(T):
        x = torch.tensor(X[:sequences, t], dtype=torch.float64)
        for k in range(layers):
            name = f"{k}.{first}"
            h[k] = torch.tanh(x @ w(f"{name}.x").T + h[k] @ w(f"{name}.h").T + w(f"{name}.bias"))
            x = h[k] * torch.tensor(factors[:, t, 4 * k : 4 * k + 4]) if k < layers - 1 else h[k]
        y = x @ w("readout.weight").T + w("readout.bias")
        errors = (y - torch.tensor(Y[:sequences, t])).square().mean(1)
        total = total + (errors * torch.tensor(MASK[:sequences, t])).sum()
    loss = total / MASK[:sequences].sum()
    loss.backward()  # type: ignore[union-attr]
    losses, gradients = objective_of(network, sequences).gradients(genomes)
    assert losses[7] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert_allclose(gradients[7], g.grad, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["simd", "torch"])
def test_class_indices_are_one_hot_vectors(backend: Any) -> None:
    network, classes = network_of("lstm", backend=backend), RNG.integers(0, 3, (B, T))
    genomes, factors = network.sample(5, seed=0), factors_of(network, B)
    answers = [
        network.objective(inputs, Y, MASK).with_dropout(factors).gradients(genomes)
        for inputs in (classes, np.eye(3, dtype=np.float32)[classes])
    ]
    assert_array_equal(answers[0][0], answers[1][0])
    assert_array_equal(answers[0][1], answers[1][1])


def test_factors_of_one_drop_nothing() -> None:
    network = network_of("gru", 3)
    genomes, ones = network.sample(5, seed=0), np.ones((B, T, network.layout.dropout_width), np.float32)
    assert_allclose(objective_of(network, B, ones).losses(genomes), network.losses(genomes, X, Y, mask=MASK), rtol=1e-6)


def test_other_answers_drop_the_same() -> None:
    network = network_of("lstm")
    objective, genomes = objective_of(network, B), network.sample(5, seed=0)
    losses, gradients = objective.gradients(genomes)

    def squares(outputs: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).square().mean(-1)[:, mask].mean(1)

    own = objective.gradients(genomes, loss=squares)
    assert_allclose(own[0], losses, rtol=1e-5)
    assert_allclose(own[1], gradients, atol=1e-5)
    exact = objective.sensitivities(genomes)
    assert_allclose(exact[0], losses, rtol=1e-5)
    assert_allclose(exact[1], gradients, atol=1e-5)
    solved = [objective_of(network_of("lstm", backend=b), B).readouts(genomes) for b in ("simd", "torch")]
    assert_allclose(solved[0], solved[1], atol=1e-3)
    assert_array_equal(
        objective.take(np.arange(4)).losses(genomes),
        objective_of(network, 4, factors_of(network, B)[:4]).losses(genomes),
    )
