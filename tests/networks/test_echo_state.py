"""Echo state networks: what is fixed is what was asked for, is not in the genome, and is the same again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evornn import train
from evornn.cell import BadEquation, Cell, Weights
from evornn.errors import EvornnError
from evornn.experiments.spec import parse_spec, plan
from evornn.experiments.yaml import read
from evornn.networks.network import Network
from evornn.networks.reservoir import spectral_radius
from evornn.ops import Node, Sizes, tanh


def fixed(units: int = 30, layers: int = 1, outputs: int = 1, **settings) -> dict[str, np.ndarray]:
    return Network("echo_state", inputs=2, units=units, outputs=outputs, layers=layers, **settings).layout.fixed_weights


# ---- the reservoir --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("radius", [0.5, 0.9, 1.3])
def test_spectral_radius_and_density_are_what_was_asked(radius, density):
    weights = fixed(60, spectral_radius=radius, density=density)["0.h.h"]
    assert np.abs(np.linalg.eigvals(weights.astype(float))).max() == pytest.approx(radius, rel=1e-5)
    assert np.count_nonzero(weights) == round(density * 60**2)


def test_input_and_feedback_weights_have_their_scales():
    weights = fixed(500, outputs=3, input_scale=0.5, feedback=0.1, density=0.1)
    assert weights["0.h.x"].shape == (500, 2) and weights["0.h.y"].shape == (500, 3)
    for name, scale in (("0.h.x", 0.5), ("0.h.y", 0.1)):
        assert 0.99 * scale < np.abs(weights[name]).max() <= scale
        assert weights[name].std() == pytest.approx(scale / np.sqrt(3), rel=0.05)


def test_a_reservoir_is_its_number_and_each_layer_has_its_own():
    one, again, other = fixed(layers=2), fixed(layers=2), fixed(layers=2, reservoir=1)
    assert list(one) == ["0.h.x", "0.h.h", "1.h.x", "1.h.h"]
    for name, weights in one.items():
        np.testing.assert_array_equal(weights, again[name])
        assert not np.isclose(weights, other[name]).any()
    assert not np.isclose(one["0.h.h"], one["1.h.h"]).any()


def test_a_draw_without_a_loop_is_not_taken_and_too_few_connections_are_refused():
    for number in range(30):  # of two connections among three units, most draws have none
        assert spectral_radius(fixed(3, density=0.2, reservoir=number)["0.h.h"]) == pytest.approx(0.9, rel=1e-5)
    with pytest.raises(EvornnError, match="density: 1 connections among 200 units make no loop"):
        fixed(200, density=1e-5)


def test_nothing_is_fed_back_unless_it_is_asked_for():
    assert set(Network("echo_state", inputs=1, units=4, outputs=1).layout.carried_sizes(0)) == {"h"}
    assert set(Network("echo_state", inputs=1, units=4, outputs=1, feedback=0.1).layout.carried_sizes(0)) == {"h", "y"}
    with pytest.raises(EvornnError, match="can't evolve a feedback of 0"):
        Network("echo_state", inputs=1, units=4, outputs=1, evolved=("feedback",))


def test_evolved_scales_are_the_settings_in_the_middle_of_their_range():
    sizes, scales = {"inputs": 2, "units": 6, "outputs": 2}, {"feedback": 0.3, "leak": 0.1, "input_scale": 0.7}
    evolved = ("input_scale", "spectral_radius", "feedback")
    plain, scaled = (Network("echo_state", **sizes, **scales, evolved=e, dtype="float64") for e in ((), evolved))
    genomes, x = plain.sample(3, 0), np.random.default_rng(0).standard_normal((2, 9, 2))
    middle = np.concatenate([np.zeros((3, 3)), genomes], 1)
    np.testing.assert_allclose(scaled.predict(middle, x), plain.predict(genomes, x), rtol=1e-12)
    larger = Network("echo_state", **sizes, **{**scales, "input_scale": 0.7 * 5 ** np.tanh(0.5)}, dtype="float64")
    middle[:, scaled.layout.blocks["0.input_scale"].slice] = 1.0  # (1/5)·25^σ(p) = 5^tanh(p/2)
    np.testing.assert_allclose(scaled.predict(middle, x), larger.predict(genomes, x), rtol=1e-6)


# ---- NARMA-10 -------------------------------------------------------------------------------------------------------


def test_narma_as_published():
    """Mean NRMSE of 100 units, 0.388 ± 0.019 over 20 reservoirs, on the first 4 of the example: within a fifth."""
    runs = plan(parse_spec(read(Path(__file__).parents[2] / "examples/narma.yaml")))
    assert [sum(run.fragments["network"]["units"] == units for run in runs) for units in (100, 225, 400)] == [20] * 3
    found = []
    for run in runs[:4]:
        network = dict(run.fragments["network"])
        network = Network(network.pop("kind"), inputs=1, outputs=1, backend="torch", **network)
        trained = train(network, run.fragments["task"], run.fragments["trainer"], budget=run.budget["steps"])
        assert (trained.result.score, trained.result.network_steps) == ("NRMSE", 4400)
        found.append(trained.result.test_score)
    assert np.mean(found) == pytest.approx(0.388, rel=0.2)
    assert len(set(found)) == 4


# ---- fixed weights in any cell --------------------------------------------------------------------------------------


class Half(Cell):
    """Of each of two maps, one source's weights are fixed."""

    def fixed_weights(self, name: str, source: int, sizes: Sizes, layer: int) -> np.ndarray | None:
        rng = np.random.default_rng(layer)
        if (name, source) == ("a", 0):
            return rng.standard_normal((sizes["units"], sizes["inputs"]))
        return rng.standard_normal((sizes["units"], sizes["units"])) if (name, source) == ("b", 1) else None

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return 0.5 * h + 0.5 * tanh(w.a(x, h)) * tanh(w.b(x, h))


class Free(Half):
    """The same with all weights in the genome."""

    def fixed_weights(self, name: str, source: int, sizes: Sizes, layer: int) -> None:
        return None


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "batch"), [("torch", 3), ("simd", 20)])
def test_fixed_weights_are_the_same_weights_out_of_the_genome(backend, batch):
    """Losses, gradients of what is left, and solved read-outs: as with a genome that holds those weights."""
    sizes = {"inputs": 2, "units": 5, "outputs": 2, "layers": 2, "backend": backend}
    half, free = Network(Half(), **sizes), Network(Free(), **sizes)
    rng = np.random.default_rng(0)
    x, y, genomes = rng.standard_normal((batch, 7, 2)), rng.standard_normal((batch, 7, 2)), half.sample(4, 0)
    whole, own = np.zeros((4, free.n), np.float32), np.zeros(free.n, bool)
    for name, block in free.layout.blocks.items():
        if name in half.layout.fixed_weights:
            whole[:, block.slice] = half.layout.fixed_weights[name].ravel()
        else:
            whole[:, block.slice], own[block.slice] = genomes[:, half.layout.blocks[name].slice], True
    assert half.n == own.sum() == free.n - sum(values.size for values in half.layout.fixed_weights.values())
    (losses, gradients), (right, slopes) = half.gradients(genomes, x, y), free.gradients(whole, x, y)
    np.testing.assert_allclose(losses, right, rtol=1e-6)
    np.testing.assert_allclose(gradients, slopes[:, own], atol=1e-6)
    solved, expected = half.readouts(genomes, x, y, ridge=0.01), free.readouts(whole, x, y, ridge=0.01)
    np.testing.assert_allclose(solved, expected[:, own], rtol=1e-4, atol=1e-5)


def test_fixed_weights_of_another_shape_are_refused():
    class Wrong(Half):
        def fixed_weights(self, name: str, source: int, sizes: Sizes, layer: int) -> np.ndarray:
            return np.ones((2, 2))

    with pytest.raises(BadEquation, match=r"Wrong\.fixed must be \[5, 3\] for 0\.a\.x, got \[2, 2\]"):
        Network(Wrong(), inputs=3, units=5, outputs=1)


# ---- the read-out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_solved_readout_is_numpys_with_the_targets_fed_back(backend):
    """Teacher forcing: while the read-out is solved, the target of the last step that counts comes back as y."""
    net = Network("echo_state", inputs=1, units=12, outputs=2, feedback=0.8, leak=0.6, backend=backend)
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((3, 60, 1)), rng.standard_normal((3, 60, 2))
    solved = net.readouts(net.sample(1, 0), x, y, ridge=0.01)[0]
    drawn, seen = net.layout.fixed_weights, []
    for inputs, targets in zip(x, y, strict=True):
        h, last = np.zeros(12), np.zeros(2)
        for now, target in zip(inputs, targets, strict=True):
            drive = drawn["0.h.x"] @ now + drawn["0.h.h"] @ h + drawn["0.h.y"] @ last
            h, last = 0.4 * h + 0.6 * np.tanh(drive), target
            seen.append(h)
    h, wanted = np.array(seen), y.reshape(-1, 2)
    centred = h - h.mean(0)
    weights = np.linalg.solve(centred.T @ centred / len(h) + 0.01 * np.eye(12), centred.T @ wanted / len(h))
    np.testing.assert_allclose(solved[:24].reshape(2, 12), weights.T, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(solved[24:], wanted.mean(0) - h.mean(0) @ weights, rtol=1e-3, atol=1e-5)
