"""The SIMD kernels: cells agree with the float64 reference, bits don't depend on company, threads or place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simd_cases import Case, TensorEvaluator

from evornn.kernels.simd.runtime import kernel
from evornn.kernels.simd.runtime.threads import Buffers

# ---- agreement with the reference -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["elman", "ctrnn", "Scaled"])
def test_lanes_across_members_agree_with_the_reference(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=35, layers=2)
    for loss in ("mse", "cross_entropy", "zero_one", "mae", "poisson"):
        case.check_losses(loss)
    for loss in ("mse", "mae", "poisson"):
        case.check_gradients(loss)


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


@pytest.mark.parametrize("batch", [1, 3, 20, 40])
@pytest.mark.parametrize("name", ["elman", "jordan"])
def test_many_outputs_agree_with_the_reference(name: str, batch: int) -> None:
    """With so many a row is one vector."""
    case = Case(name, batch=batch, units=6, outputs=600, steps=4, population=18 if batch < 8 else 3)
    assert case.data.data(600).lanes.vectors == 1
    for loss in ("mse", "cross_entropy", "binary_cross_entropy"):
        case.check_gradients(loss)
    for loss in ("mse", "zero_one"):
        case.check_losses(loss)


def test_long_sequences_are_recomputed_in_segments_with_the_same_result() -> None:
    case = Case("elman", steps=100, layers=2)
    whole = case.simd.gradients(case.genomes, case.data, "mse")
    small = TensorEvaluator(case.layout, workspace_bytes=100_000).gradients(case.genomes, case.data, "mse")
    assert torch.equal(whole[0], small[0])
    assert torch.allclose(whole[1], small[1], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("batch", [3, 20])
def test_a_forward_pass_takes_no_more_memory_for_longer_sequences(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for steps in (10, 2000):
        case = Case("elman", batch=batch, steps=steps, units=16)
        monkeypatch.setattr(kernel, "buffers", buffers := Buffers())
        case.simd.losses(case.genomes, case.data, "mse")
        taken.append([array.nbytes for array in buffers.arrays.values()])
    assert taken[0] == taken[1] != []


# ---- bits, NaN ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 12, 20])
def test_bits_depend_on_neither_threads_nor_shards_nor_place(batch: int) -> None:
    case = Case("elman", batch=batch, population=37)
    losses, gradients, _ = case.simd.gradients(case.genomes, case.data, "mse")
    assert torch.equal(losses, case.simd.gradients(case.genomes, case.data, "mse")[0])
    threaded = TensorEvaluator(case.layout, threads=3).gradients(case.genomes, case.data, "mse")
    assert torch.equal(losses, threaded[0]) and torch.equal(gradients, threaded[1])
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    for members in (order, order[:5], order[7:8]):
        part = case.simd.gradients(case.genomes[members], case.data, "mse")
        assert torch.equal(part[0], losses[members]) and torch.equal(part[1], gradients[members])
    alone = [
        TensorEvaluator(case.layout, threads=2).losses(case.genomes[k : k + 1], case.data, "mse") for k in range(3)
    ]
    assert torch.equal(torch.cat(alone), case.simd.losses(case.genomes, case.data, "mse")[:3])


@pytest.mark.parametrize("sizes", [{"batch": 70}, {"batch": 7, "outputs": 600}, {"batch": 40, "outputs": 600}], ids=str)
@pytest.mark.parametrize("name", ["lstm", "jordan"])
def test_threads_that_share_a_members_sequences_find_the_same_bits(name: str, sizes: dict[str, int]) -> None:
    """A member's rounds of sequences are added up in order, whoever computes them; also in several segments."""
    case = Case(name, population=37, layers=2, initial_state="learned", steps=40, **sizes)  # type: ignore[arg-type]
    for memory in (2**25, 150_000):
        few = {k: TensorEvaluator(case.layout, k, memory) for k in (1, 2, 3, 5)}
        whole = few[1].gradients(case.genomes, case.data, "cross_entropy", None, True)
        losses, (outputs, _) = few[1].losses(case.genomes, case.data, "mse"), few[1].outputs(case.genomes, case.inputs)
        for members in (slice(3, 4), slice(0, 2), slice(36, 37)):
            for evaluator in few.values():
                found = evaluator.gradients(case.genomes[members], case.data, "cross_entropy", None, True)
                assert torch.equal(found[0], whole[0][members]) and torch.equal(found[1], whole[1][members])
                for part, end in zip(found[2] or [], whole[2] or [], strict=True):
                    assert all(torch.equal(part[name], end[name][members]) for name in end)
                assert torch.equal(evaluator.losses(case.genomes[members], case.data, "mse"), losses[members])
                assert torch.equal(evaluator.outputs(case.genomes[members], case.inputs)[0], outputs[members])


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
    outputs, _ = case.simd.outputs(case.genomes, case.inputs)
    assert outputs.isnan().all((1, 2, 3)).tolist() == [False, False, True, False]
    case.inputs[-1, 4, 0] = bad
    assert case.simd.losses(case.genomes, case.data, "mse").isnan().all()


def test_masked_targets_may_be_nan() -> None:
    case = Case("elman")
    before = case.simd.losses(case.genomes, case.data, "mse")
    case.targets[~case.mask] = torch.nan
    assert torch.equal(before, case.simd.losses(case.genomes, case.data, "mse"))


# ---- outputs --------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("batch", [1, 3, 12, 20])
@pytest.mark.parametrize("name", ["jordan", "clockwork", "ctrnn"])
def test_losses_and_gradients_go_on_from_a_state(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=5, layers=2, units=8, initial_state="learned")
    g, examples = case.exact
    rest = examples.slice_time(slice(7, None))
    state = case.reference.outputs(g, examples.inputs[:, :7])[1]
    losses, gradients, end = case.reference.gradients(g, rest, "mse", state, carry=True)
    assert torch.equal(losses, case.reference.losses(g, rest, "mse", state))
    single = [{name: values.float() for name, values in layer.items()} for layer in state]
    data = case.data.slice_time(slice(7, None))
    found = case.simd.gradients(case.genomes, data, "mse", single, carry=True)
    assert torch.allclose(found[0].double(), losses, rtol=1e-5)
    assert torch.allclose(case.simd.losses(case.genomes, data, "mse", single).double(), losses, rtol=1e-5)
    assert ((found[1] - gradients).norm(dim=1) / gradients.norm(dim=1) < 1e-4).all()
    initial = [b.slice for name, b in case.layout.blocks.items() if name.endswith("initial")]
    assert not any(found[1][:, part].any() or gradients[:, part].any() for part in initial)
    for layer, exact in zip(found[2] or [], end or [], strict=True):
        assert all(torch.allclose(layer[k].double(), exact[k], atol=1e-5) for k in exact)


@pytest.mark.parametrize("batch", [1, 3, 12, 20])
@pytest.mark.parametrize("name", ["elman", "jordan"])
def test_sums_for_a_readout_agree_with_the_reference(name: str, batch: int) -> None:
    case = Case(name, batch=batch, population=20, layers=2, units=7, steps=70)
    found, right = case.simd.products(case.genomes, case.data), case.reference.products(*case.exact)
    for sums, exact in zip(found, right, strict=True):
        assert sums.shape == exact.shape and sums.dtype == torch.float64
        assert ((sums - exact).norm(dim=(1, 2)) / exact.norm(dim=(1, 2)) < 1e-5).all()
    assert torch.equal(found[0][:, -1, -1], case.mask.sum().expand(20).double())
    threaded = TensorEvaluator(case.layout, threads=3).products(case.genomes[5:], case.data)
    assert all(torch.equal(part, whole[5:]) for part, whole in zip(threaded, found, strict=True))
