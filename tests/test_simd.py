"""The SIMD kernels: every cell agrees with the float64 reference, bits don't depend on company, threads or place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numba as nb
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evornn.cell import Cell, Uniform, Weights
from evornn.kernels.evaluate import Evaluator
from evornn.kernels.examples import Examples
from evornn.kernels.simd import functions, threads, vector
from evornn.kernels.simd.evaluator import SimdEvaluator
from evornn.kernels.simd.kernel import source
from evornn.kernels.simd.program import NotFusable
from evornn.kernels.simd.seats import Seated
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.ops import Node, Sizes, apply, exp, relu, sigmoid, tanh

# ---- a cell that no catalog has: what the papers' equations don't use -----------------------------------------------


class Scaled(Cell):
    """Scalars from the genome, division by what changes, exp, relu, an output of two states, one handed on."""

    state = ("u", "v", "last")
    sizes: Mapping[str, str] = {"leak": "one", "gain": "one"}

    def output(self, w: Weights, u: Node, v: Node, last: Node) -> Node:
        return relu(u) + w.gain * v / (1 + last * last)

    def step(self, w: Weights, x: Node, u: Node, v: Node, last: Node) -> tuple[Node, ...]:
        a = exp(-1 * w.leak) * u + tanh(w.a(x, v)) / (1 + sigmoid(w.tau * u))
        return a, relu(w.b(a, u) + 0.1), u

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        return Uniform(-0.4, 0.4)


SCALES = ["input_scale", "spectral_radius", "feedback", "leak"]
SETTINGS = {
    "lstm_1997": {"block_size": 3, "biased": "gates"},
    "echo_state": {"feedback": 0.4, "leak": 0.3, "density": 0.5, "evolved": SCALES},
}


def cell(name: str) -> Cell:
    return Scaled() if name == "Scaled" else CELLS.build({"kind": name, **SETTINGS.get(name, {})})


class Case:
    """A network with genomes and data; the reference computes it in float64."""

    def __init__(
        self, name: str, units: int = 9, batch: int = 19, layers: int = 1, seed: int = 0, **sizes: Any
    ) -> None:
        rng = np.random.default_rng(seed)
        steps, inputs, outputs = sizes.get("steps", 12), sizes.get("inputs", 3), min(sizes.get("outputs", 2), units)
        self.layout = Layout(cell(name), inputs, units, outputs, layers, sizes.get("initial_state", "zero"))
        self.genomes = torch.from_numpy(self.layout.sample(sizes.get("population", 3), rng))
        self.inputs = torch.tensor(rng.standard_normal((batch, steps, inputs)), dtype=torch.float32)
        self.targets = torch.tensor(rng.uniform(size=(batch, steps, outputs)), dtype=torch.float32)
        self.mask = torch.tensor(rng.random((batch, steps)) < 0.7)
        self.mask[0, -1] = True
        self.simd, self.reference = SimdEvaluator(self.layout), Evaluator(self.layout)

    @property
    def data(self) -> Seated:
        return Seated.of(self.inputs, self.targets, self.mask)

    @property
    def exact(self) -> tuple[torch.Tensor, Examples]:
        return self.genomes.double(), Examples.of(self.inputs.double(), self.targets.double(), self.mask)

    def check_losses(self, loss: str) -> None:
        found, right = self.simd.losses(self.genomes, self.data, loss), self.reference.losses(*self.exact, loss)
        assert ((found / right - 1).abs() < 1e-5).all(), (loss, found, right)

    def check_gradients(self, loss: str) -> None:
        losses, found, _ = self.simd.gradients(self.genomes, self.data, loss)
        right_losses, right, _ = self.reference.gradients(*self.exact, loss)
        assert ((losses / right_losses - 1).abs() < 1e-5).all()
        error = (found - right).norm(dim=1) / right.norm(dim=1)
        worst = {n: float((found - right)[:, b.slice].norm()) for n, b in self.layout.blocks.items()}
        assert (error < 1e-4).all(), (loss, error, worst)


# ---- functions ------------------------------------------------------------------------------------------------------


def on_lanes(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    function = getattr(functions, name)

    @nb.njit
    def run(x: Any, y: Any) -> None:
        for k in range(0, len(x), 16):
            vector.store(y, k, function(vector.load(x, k)))

    result = np.empty_like(values)
    run(values, result)
    return result


def ulps(found: NDArray[np.float32], right: NDArray[np.float64]) -> float:
    near = np.spacing(np.abs(right).astype(np.float32)).astype(np.float64)
    return float(np.max(np.abs(found - right) / near))


SPREAD = np.concatenate([s * np.logspace(-30, 2, 8000, dtype=np.float32) for s in (1, -1)])


@pytest.mark.parametrize(
    ("name", "exact", "values", "bound"),
    [
        ("tanh", np.tanh, SPREAD, 3),
        ("exp", np.exp, np.linspace(-87, 88.7, 16000, dtype=np.float32), 2),
        ("log", np.log, np.logspace(-37, 38, 16000, dtype=np.float32), 2),
        ("log1p", np.log1p, np.linspace(0, 1, 16000, dtype=np.float32), 3),
        ("reciprocal", np.reciprocal, np.logspace(-37, 36, 16000, dtype=np.float32), 1),
    ],
)
def test_functions_keep_their_stated_error(name: str, exact: Any, values: NDArray[np.float32], bound: float) -> None:
    assert ulps(on_lanes(name, values), exact(values.astype(np.float64))) <= bound


def test_functions_at_their_ends() -> None:
    ends = np.array([np.inf, -np.inf, np.nan, 0.0] * 4, np.float32)
    assert np.array_equal(on_lanes("tanh", ends)[:4], [1, -1, np.nan, 0], equal_nan=True)
    assert np.allclose(on_lanes("sigmoid", ends)[:4], [1, 0, np.nan, 0.5], atol=1e-7, equal_nan=True)
    assert np.array_equal(on_lanes("exp", ends)[:4], [np.inf, 0, np.nan, 1], equal_nan=True)
    assert np.array_equal(on_lanes("relu", ends)[:4], [np.inf, 0, np.nan, 0], equal_nan=True)
    assert np.abs(on_lanes("sigmoid", SPREAD) - 1 / (1 + np.exp(-SPREAD.astype(np.float64)))).max() < 1.3e-7


# ---- agreement with the reference -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["elman", "ctrnn", "Scaled"])
def test_lanes_across_members_agree_with_the_reference(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=35, layers=2)
    for loss in ("mse", "cross_entropy", "zero_one"):
        case.check_losses(loss)
    case.check_gradients("mse")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elman", "lstm", "cascaded"])
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    units=st.integers(1, 130), batch=st.integers(1, 70), layers=st.integers(1, 3), inputs=st.integers(1, 9),
    outputs=st.integers(1, 5), steps=st.integers(1, 20), seed=st.integers(0, 99),
    loss=st.sampled_from(["mse", "zero_one"]),
)  # fmt: skip
def test_any_shape_agrees_with_the_reference(name: str, loss: str, **sizes: int) -> None:
    if name == "cascaded":
        sizes |= {"units": sizes["units"] % 12 + 1, "layers": 1}
    case = Case(name, population=2, **sizes)  # type: ignore[arg-type]
    case.check_losses(loss)
    case.check_gradients("mse")


@pytest.mark.slow
def test_long_sequences_are_recomputed_in_segments_with_the_same_result() -> None:
    case = Case("elman", steps=100, layers=2)
    whole = case.simd.gradients(case.genomes, case.data, "mse")
    small = SimdEvaluator(case.layout, workspace_bytes=100_000).gradients(case.genomes, case.data, "mse")
    assert torch.equal(whole[0], small[0])
    assert torch.allclose(whole[1], small[1], rtol=1e-4, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [3, 20])
def test_a_forward_pass_takes_no_more_memory_for_longer_sequences(batch: int) -> None:
    taken = []
    for steps in (10, 2000):
        case = Case("elman", batch=batch, steps=steps, units=16)
        threads.buffers.arrays.clear()
        case.simd.losses(case.genomes, case.data, "mse")
        taken.append([array.nbytes for array in threads.buffers.arrays.values()])
    assert taken[0] == taken[1] != []


# ---- bits, NaN ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 12, 20])
def test_bits_depend_on_neither_threads_nor_shards_nor_place(batch: int) -> None:
    case = Case("elman", batch=batch, population=37)
    losses, gradients, _ = case.simd.gradients(case.genomes, case.data, "mse")
    assert torch.equal(losses, case.simd.gradients(case.genomes, case.data, "mse")[0])
    threaded = SimdEvaluator(case.layout, threads=3).gradients(case.genomes, case.data, "mse")
    assert torch.equal(losses, threaded[0]) and torch.equal(gradients, threaded[1])
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    for members in (order, order[:5], order[7:8]):
        part = case.simd.gradients(case.genomes[members], case.data, "mse")
        assert torch.equal(part[0], losses[members]) and torch.equal(part[1], gradients[members])
    alone = [SimdEvaluator(case.layout, threads=2).losses(case.genomes[k : k + 1], case.data, "mse") for k in range(3)]
    assert torch.equal(torch.cat(alone), case.simd.losses(case.genomes, case.data, "mse")[:3])


@pytest.mark.slow
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("batch", [1, 3, 12, 20])
def test_what_is_not_finite_gives_nan_to_its_member_alone(bad: float, batch: int) -> None:
    case = Case("elman", batch=batch, population=4)
    good = case.simd.losses(case.genomes, case.data, "mse")
    case.genomes[2, 5] = bad
    for loss in ("mse", "zero_one"):
        assert case.simd.losses(case.genomes, case.data, loss).isnan().tolist() == [False, False, True, False]
    assert torch.equal(good[:2], case.simd.losses(case.genomes, case.data, "mse")[:2])
    losses, gradients, _ = case.simd.gradients(case.genomes, case.data, "mse")
    assert losses.isnan().tolist() == [False, False, True, False]
    assert gradients.isnan().all(1).tolist() == [False, False, True, False]
    case.inputs[-1, 4, 0] = bad
    assert case.simd.losses(case.genomes, case.data, "mse").isnan().all()


@pytest.mark.slow
def test_masked_targets_may_be_nan() -> None:
    case = Case("elman")
    before = case.simd.losses(case.genomes, case.data, "mse")
    case.targets[~case.mask] = torch.nan
    assert torch.equal(before, case.simd.losses(case.genomes, case.data, "mse"))


# ---- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 12, 20])
@pytest.mark.parametrize("name", ["jordan", "clockwork", "ctrnn"])
def test_outputs_and_carried_states_agree_with_the_reference(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=5, layers=2, units=8)
    g, examples = case.exact
    right, right_end = case.reference.outputs(g, examples.inputs)
    found, end = case.simd.outputs(case.genomes, case.inputs)
    assert torch.allclose(found.double(), right, atol=1e-5)
    assert [layer.keys() for layer in end] == [layer.keys() for layer in right_end]
    for layer, exact in zip(end, right_end, strict=True):
        assert all(torch.allclose(layer[k].double(), exact[k], atol=1e-5) for k in layer)
    half, state = case.simd.outputs(case.genomes, case.inputs[:, :7])
    rest, after = case.simd.outputs(case.genomes, case.inputs[:, 7:], state)
    assert torch.equal(torch.cat([half, rest], 2), found)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(after, end, strict=True) for k in a)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 12, 20])
@pytest.mark.parametrize("name", ["jordan", "clockwork", "ctrnn"])
def test_losses_and_gradients_go_on_from_a_state(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=5, layers=2, units=8, initial_state="learned")
    g, examples = case.exact
    rest = examples.during(slice(7, None))
    state = case.reference.outputs(g, examples.inputs[:, :7])[1]
    losses, gradients, end = case.reference.gradients(g, rest, "mse", state, carry=True)
    assert torch.equal(losses, case.reference.losses(g, rest, "mse", state))
    single = [{name: values.float() for name, values in layer.items()} for layer in state]
    data = case.data.during(slice(7, None))
    found = case.simd.gradients(case.genomes, data, "mse", single, carry=True)
    assert torch.allclose(found[0].double(), losses, rtol=1e-5)
    assert torch.allclose(case.simd.losses(case.genomes, data, "mse", single).double(), losses, rtol=1e-5)
    assert ((found[1] - gradients).norm(dim=1) / gradients.norm(dim=1) < 1e-4).all()
    initial = [b.slice for name, b in case.layout.blocks.items() if name.endswith("initial")]
    assert not any(found[1][:, part].any() or gradients[:, part].any() for part in initial)
    for layer, exact in zip(found[2] or [], end or [], strict=True):
        assert all(torch.allclose(layer[k].double(), exact[k], atol=1e-5) for k in exact)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 12, 20])
@pytest.mark.parametrize("name", ["elman", "jordan"])
def test_sums_for_a_readout_agree_with_the_reference(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=20, layers=2, units=7, steps=70)
    found, right = case.simd.products(case.genomes, case.data), case.reference.products(*case.exact)
    for sums, exact in zip(found, right, strict=True):
        assert sums.shape == exact.shape and sums.dtype == torch.float64
        assert ((sums - exact).norm(dim=(1, 2)) / exact.norm(dim=(1, 2)) < 1e-5).all()
    assert torch.equal(found[0][:, -1, -1], case.mask.sum().expand(20).double())
    threaded = SimdEvaluator(case.layout, threads=3).products(case.genomes[5:], case.data)
    assert all(torch.equal(part, whole[5:]) for part, whole in zip(threaded, found, strict=True))


# ---- the cache ------------------------------------------------------------------------------------------------------

AGAIN = """
import logging, numpy as np, torch
logging.basicConfig(level=logging.INFO)
from evornn.kernels.simd.evaluator import SimdEvaluator
from evornn.kernels.simd.seats import Seated
from evornn.layout import Layout
from evornn.networks import CELLS
for units in (5, 8):
    layout = Layout(CELLS.build({"kind": "elman"}), 2, units, 1, 1, "zero")
    g = torch.from_numpy(layout.sample(2, np.random.default_rng(0)))
    x, y, m = torch.zeros(20, 3, 2), torch.zeros(20, 3, 1), torch.ones(20, 3, dtype=torch.bool)
    print(SimdEvaluator(layout).losses(g, Seated.of(x, y, m), "mse").tolist())
"""


@pytest.mark.slow
def test_a_second_process_and_other_sizes_compile_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVORNN_CACHE", str(tmp_path))
    runs = [subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True) for _ in range(2)]
    assert [run.stderr.count("compiling the kernel") for run in runs] == [1, 0]
    assert runs[0].stdout == runs[1].stdout != ""
    assert len(list(tmp_path.rglob("kernel.py"))) == 1


def test_one_source_serves_all_sizes_layers_and_initial_states() -> None:
    a = Layout(cell("lstm"), 1, 4, 1, 1, "zero")
    b = Layout(cell("lstm"), 7, 33, 5, 3, "learned")
    assert source(a, "gradients", "batch").text == source(b, "gradients", "batch").text


def test_what_the_generator_does_not_know_is_refused() -> None:
    class Odd(Cell):
        def step(self, w: Weights, x: Node, h: Node) -> Node:
            return apply("erf", w.h(x, h))

    with pytest.raises(NotFusable, match="erf"):
        SimdEvaluator(Layout(Odd(), 1, 2, 1, 1, "zero"))
