"""The loss of quantiles: as scikit-learn computes it, by both kernels, at one level or several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mean_pinball_loss

from evornn.errors import EvornnError
from evornn.kernels.quantile_levels import quantile_levels
from evornn.networks.network import Network

B, T, OUTPUTS = 9, 6, 4
RNG = np.random.default_rng(0)
X, Y = (RNG.standard_normal((B, T, size)).astype(np.float32) for size in (2, OUTPUTS))
MASK = RNG.random((B, T)) < 0.7


@pytest.mark.parametrize("backend", ["simd", "torch"])
@pytest.mark.parametrize("levels", [(0.9,), (0.1, 0.75), (0.1, 0.2, 0.5, 0.99)])
@pytest.mark.parametrize("sequences", [B, 3])  # lanes across sequences, across members
def test_it_is_that_of_scikit_learn(backend: Any, levels: tuple[float, ...], sequences: int) -> None:
    network = Network("gru", inputs=2, units=3, outputs=OUTPUTS, backend=backend)
    genomes, loss = network.sample(20, seed=1), f"quantile({', '.join(map(str, levels))})"
    x, y, mask = X[:sequences], Y[:sequences], MASK[:sequences]
    said, part = network.predict(genomes, x), OUTPUTS // len(levels)
    blocks = [slice(k * part, (k + 1) * part) for k in range(len(levels))]
    expected = [
        np.mean([
            mean_pinball_loss(y[mask][:, block], one[mask][:, block], alpha=level)
            for block, level in zip(blocks, levels, strict=True)
        ])
        for one in said
    ]  # fmt: skip
    losses, gradients = network.gradients(genomes, x, y, loss=loss, mask=mask)
    assert_allclose(losses, expected, rtol=1e-5)
    assert_allclose(network.losses(genomes, x, y, loss=loss, mask=mask), losses, rtol=1e-6)
    exact = Network("gru", inputs=2, units=3, outputs=OUTPUTS, backend="torch", dtype="float64")
    assert_allclose(gradients, exact.gradients(genomes, x, y, loss=loss, mask=mask)[1], atol=1e-5)
    h, n = 1e-5, network.n
    moved = genomes[0].astype(np.float64) + h * np.concatenate([np.eye(n), -np.eye(n)])
    import torch

    up, down = np.split(exact.losses(torch.tensor(moved), x, y, loss=loss, mask=mask).numpy(), 2)
    assert_allclose(gradients[0], (up - down) / (2 * h), atol=1e-3)


def test_the_median_is_half_the_absolute_error() -> None:
    network = Network("elman", inputs=2, units=3, outputs=OUTPUTS)
    genomes = network.sample(5, seed=1)
    half = network.losses(genomes, X, Y, loss="quantile(0.5)")
    assert_allclose(2 * half, network.losses(genomes, X, Y, loss="mae"), rtol=1e-6)


@pytest.mark.parametrize("name", ["quantile", "quantile()", "quantile(2)", "quantile(0.5, 0.1)", "quantile(a)"])
def test_other_levels_are_refused(name: str) -> None:
    with pytest.raises(EvornnError, match="wants one level or more between 0 and 1, in order, such as"):
        quantile_levels(name)


def test_levels_without_outputs_of_their_own_are_refused() -> None:
    network = Network("elman", inputs=2, units=3, outputs=OUTPUTS)
    with pytest.raises(EvornnError, match="as many outputs for each of its 3 levels, and there are 4"):
        network.losses(network.sample(1, seed=0), X, Y, loss="quantile(0.1, 0.5, 0.9)")
