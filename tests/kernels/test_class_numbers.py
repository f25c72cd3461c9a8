"""Class indices as inputs and targets: the same as one-hot for every cell, to the bit wherever a member stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from simd_cases import Case, TensorEvaluator

from evornn.cell import Cell, Weights
from evornn.errors import EvornnError
from evornn.kernels.simd.programs.program import can_look_up
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.networks.network import Network
from evornn.ops import Node, stop_gradient, tanh

CLASSES, OUTPUTS = 5, 4
ONE_HOT = {"cascaded", "echo_state", "hierarchical", "mtrnn", "second_order"}


def case(name: str | Cell, **sizes: Any) -> Case:
    return Case(name, **{"classes": True, "inputs": CLASSES, "outputs": OUTPUTS, **sizes})


# ---- against one-hot ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [3, 20])
@pytest.mark.parametrize("name", [*CELLS, "Scaled"])
def test_every_cell_agrees_with_one_hot(name: str, batch: int) -> None:
    numbers = case(name, batch=batch, initial_state="learned")
    numbers.check_gradients("cross_entropy")
    numbers.check_losses("zero_one")


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
@pytest.mark.parametrize("name", ["elman", "gru"])
def test_losses_of_numbers_take_classes_as_one_hot_targets(name: str, loss: str) -> None:
    case(name).check_gradients(loss)


@pytest.mark.parametrize("batch", [3, 20])
def test_more_layers_one_output_and_long_sequences(batch: int) -> None:
    case("lstm", batch=batch, layers=3, initial_state="learned").check_gradients("cross_entropy")
    case("jordan", batch=batch, layers=2, outputs=1).check_losses("zero_one")
    numbers = case("elman", batch=batch, steps=100)
    whole = numbers.simd.gradients(numbers.genomes, numbers.data, "cross_entropy")
    small = TensorEvaluator(numbers.layout, workspace_bytes=100_000)
    parts = small.gradients(numbers.genomes, numbers.data, "cross_entropy")
    assert torch.equal(whole[0], parts[0]) and torch.allclose(whole[1], parts[1], rtol=1e-4, atol=1e-7)
    numbers.check_gradients("cross_entropy")


@pytest.mark.parametrize("batch", [3, 20, 40])
def test_a_vocabulary_of_thousands(batch: int) -> None:
    case("gru", batch=batch, inputs=3000, outputs=700, units=4, steps=5).check_gradients("cross_entropy")


class Mixed(Cell):
    """The inputs alone and beside others in maps, with and without bias, and through `stop`."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return tanh(w.a(x) + w.b(h, x, bias=False) * w.c(stop_gradient(x), h) + w.d(x, bias=False))


class Read(Cell):
    """The inputs outside of maps: they can't be looked up."""

    sizes = {"e": "inputs"}  # noqa: RUF012

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return tanh(w.a(x, x * w.e, h))


class Twice(Cell):
    """The inputs twice in a map."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return tanh(w.a(x, h, x) + w.b(x, w.c(h)))


@pytest.mark.parametrize("batch", [3, 20])
@pytest.mark.parametrize("cell", [Mixed, Read, Twice])
def test_cells_that_read_the_inputs_in_their_own_ways(cell: type[Cell], batch: int) -> None:
    case(cell(), batch=batch, layers=2).check_gradients("cross_entropy")


@pytest.mark.parametrize("name", CELLS)
def test_who_looks_up(name: str) -> None:
    """Where maps alone read the inputs, with weights that are neither masked nor fixed."""
    layout = case(name).layout
    maps_alone = all(n.op == "affine" for n in layout.trace.order if layout.trace.leaves["x"] in n.nodes)
    readers = [f"0.{n.name}.x" for n in layout.trace.maps.values() if layout.trace.leaves["x"] in n.nodes]
    free = all(block in layout.blocks and layout.blocks[block].mask is None for block in readers)
    assert can_look_up(layout) == (maps_alone and free)


def test_who_does_not_look_up() -> None:
    """Nor where a map reads the inputs twice."""
    assert {name for name in (*ONE_HOT, "elman", "lstm", "mut1") if not can_look_up(case(name).layout)} == ONE_HOT
    assert [can_look_up(case(cell()).layout) for cell in (Mixed, Read, Twice)] == [False, False, False]


# ---- bits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 12, 20, 40])
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_bits_depend_on_neither_threads_nor_shards_nor_place(name: str, batch: int) -> None:
    numbers = case(name, batch=batch, population=37)
    losses, gradients, _ = numbers.simd.gradients(numbers.genomes, numbers.data, "cross_entropy")
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    for threads in (1, 2, 3):
        evaluator = TensorEvaluator(numbers.layout, threads)
        for members in (torch.arange(37), order, order[:20], order[7:8], order[:2]):
            part = evaluator.gradients(numbers.genomes[members], numbers.data, "cross_entropy")
            assert torch.equal(part[0], losses[members]) and torch.equal(part[1], gradients[members])
            few = evaluator.losses(numbers.genomes[members], numbers.data, "zero_one")
            assert torch.equal(few, numbers.simd.losses(numbers.genomes, numbers.data, "zero_one")[members])


@pytest.mark.parametrize("sizes", [{"batch": 70}, {"batch": 7, "outputs": 600}, {"batch": 40, "outputs": 600}], ids=str)
def test_threads_that_share_a_members_sequences_find_the_same_bits(sizes: dict[str, int]) -> None:
    numbers = case("gru", population=19, steps=40, layers=2, **sizes)
    for memory in (2**25, 150_000):
        whole = TensorEvaluator(numbers.layout, 1, memory).gradients(numbers.genomes, numbers.data, "cross_entropy")
        for threads in (1, 2, 3, 5):
            evaluator = TensorEvaluator(numbers.layout, threads, memory)
            for members in (slice(3, 4), slice(0, 2), slice(18, 19)):
                found = evaluator.gradients(numbers.genomes[members], numbers.data, "cross_entropy")
                assert torch.equal(found[0], whole[0][members]) and torch.equal(found[1], whole[1][members])
                wrong = evaluator.losses(numbers.genomes[members], numbers.data, "zero_one")
                assert torch.equal(wrong, numbers.simd.losses(numbers.genomes, numbers.data, "zero_one")[members])


@pytest.mark.parametrize("batch", [3, 20])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_weight_that_no_class_asks_for_is_its_members_alone(bad: float, batch: int) -> None:
    """A member is not finite also where its weight is not looked up: one-hot would say so, too."""
    numbers = case("elman", batch=batch, population=4)
    numbers.inputs[:] = 1
    block = numbers.layout.blocks["0.h.x"]
    before = numbers.simd.gradients(numbers.genomes, numbers.data, "cross_entropy")
    numbers.genomes[2, block.start] = bad  # of class 0
    losses, gradients, _ = numbers.simd.gradients(numbers.genomes, numbers.data, "cross_entropy")
    assert losses.isnan().tolist() == [False, False, True, False]
    assert gradients.isnan().all(1).tolist() == [False, False, True, False]
    outputs, _ = numbers.simd.outputs(numbers.genomes, numbers.inputs)
    assert outputs.isnan().any((1, 2, 3)).tolist() == [False, False, True, False]
    sound = [0, 1, 3]
    assert torch.equal(before[0][sound], losses[sound]) and torch.equal(before[1][sound], gradients[sound])


# ---- Network --------------------------------------------------------------------------------------------------------

B, T = 9, 7
BACKENDS: tuple[Any, ...] = ("simd", "torch")


def asked(kind: str = "elman", **settings: Any) -> tuple[Network, Any, Any, Any, Any]:
    """A network, genomes, classes of inputs and targets, and a mask."""
    network = Network(kind, **{"inputs": CLASSES, "units": 6, "outputs": OUTPUTS, **settings})
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, n, (B, T)) for n in (CLASSES, OUTPUTS))
    mask = np.arange(T) < rng.integers(1, T + 1, B)[:, None]
    return network, network.sample(3, 0), x, y, mask


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["elman", "second_order", "jordan"])
def test_networks_answer_as_if_asked_by_one_hot(kind: str, backend: Any) -> None:
    network, genomes, x, y, mask = asked(kind, backend=backend)
    one_hot = np.eye(CLASSES, dtype=np.float32)[x]
    answers = [
        [network.losses(genomes, inputs, y, loss="cross_entropy", mask=mask),
         *network.gradients(genomes, inputs, y, loss="cross_entropy", mask=mask),
         network.predict(genomes, inputs), *network.predict(genomes, inputs, return_state=True)[1][0].values()]
        for inputs in (x, one_hot)
    ]  # fmt: skip
    for found, right in zip(*answers, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_goes_on_from_the_one_before(backend: Any) -> None:
    network, genomes, x, y, _ = asked("lstm", backend=backend)
    whole = network.predict(genomes, x)
    half, state = network.predict(genomes, x[:, :4], return_state=True)
    rest = network.predict(genomes, x[:, 4:], state=state)
    np.testing.assert_allclose(np.concatenate([half, rest], 2), whole, rtol=1e-6, atol=1e-6)
    *_, end = network.gradients(genomes, x[:, :4], y[:, :4], loss="cross_entropy", return_state=True)
    np.testing.assert_allclose(end[0]["c"], state[0]["c"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_kind_of_whole_number_will_do(kind: type, backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    right = network.losses(genomes, x, y, loss="cross_entropy", mask=mask)
    found = network.losses(genomes, x.astype(kind), y.astype(kind), loss="cross_entropy", mask=mask)
    np.testing.assert_array_equal(found, right)
    given = torch.from_numpy(x.astype(kind)), torch.from_numpy(y.astype(kind))
    np.testing.assert_array_equal(network.losses(genomes, *given, loss="cross_entropy", mask=mask), right)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mini_batch_is_some_of_an_exams_sequences(backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    exam = network.objective(x, y, mask)
    for rows in (np.array([2, 0]), np.array([8]), np.array([0, 1, 2, 1])):
        found = exam.take(rows).gradients(genomes, loss="cross_entropy")
        alone = network.gradients(genomes, x[rows], y[rows], loss="cross_entropy", mask=mask[rows])
        for answer, right in zip(found, alone, strict=True):
            np.testing.assert_array_equal(answer, right)
    found = exam.slice_steps(slice(1, 3)).losses(genomes, loss="zero_one")
    right = network.losses(genomes, x[:, 1:3], y[:, 1:3], loss="zero_one", mask=mask[:, 1:3])
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("padding", [0, CLASSES - 1])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_does_not_count_may_be_any_class(padding: int, backend: Any) -> None:
    network, genomes, x, y, mask = asked("gru", backend=backend)
    right = network.gradients(genomes, x, y, loss="cross_entropy", mask=mask)
    found = network.gradients(
        genomes, np.where(mask, x, padding), np.where(mask, y, -100), loss="cross_entropy", mask=mask
    )
    for answer, wanted in zip(found, right, strict=True):
        np.testing.assert_array_equal(answer, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rtrl_and_read_outs_take_class_numbers(backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    one_hot, wanted = np.eye(CLASSES)[x], np.eye(OUTPUTS)[y]
    losses, gradients = network.sensitivities(genomes, x, y, loss="cross_entropy", mask=mask)
    right = network.gradients(genomes, x, y, loss="cross_entropy", mask=mask)
    np.testing.assert_allclose(losses, right[0], rtol=1e-5)
    np.testing.assert_allclose(gradients, right[1], rtol=1e-3, atol=1e-6)
    solved, exact = (network.readouts(genomes, *data, ridge=1e-3, mask=mask) for data in ((x, y), (one_hot, wanted)))
    np.testing.assert_allclose(solved, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("wrong", "message"), [
    (CLASSES, "class indices must lie in 0…4 for 5 inputs, got 0…5"),
    (-1, "class indices must lie in 0…4 for 5 inputs, got -1…4"),
])  # fmt: skip
def test_class_numbers_that_are_none(wrong: int, message: str, backend: Any) -> None:
    network, genomes, x, y, _ = asked(backend=backend)
    x[:2, 0] = 0, 4
    x[3, 2] = wrong
    with pytest.raises(EvornnError, match=rf"\A{message}\Z"):
        network.losses(genomes, x, y, loss="cross_entropy")


def test_fractions_are_no_classes() -> None:
    network, genomes, x, y, _ = asked()
    with pytest.raises(EvornnError, match=r"inputs must be \[B, T, 5\]"):
        network.losses(genomes, x.astype(float), y, loss="cross_entropy")
    with pytest.raises(EvornnError, match=r"targets must be \[B, T, 4\]"):
        network.losses(genomes, x, y.astype(float), loss="cross_entropy")


def test_what_is_no_cell_takes_class_numbers_as_one_hot() -> None:
    network, genomes, x, y, _ = asked("neural_turing_machine")
    one_hot = np.eye(CLASSES, dtype=np.float32)[x]
    found, right = (network.losses(genomes, inputs, y, loss="cross_entropy") for inputs in (x, one_hot))
    np.testing.assert_array_equal(found, right)


def test_a_class_has_the_weights_of_its_column() -> None:
    layout = Layout(CELLS.build({"kind": "elman"}), 3, 2, 1, 1, "zero")
    genome = torch.zeros(1, layout.n)
    weights = torch.tensor([[0.1, 0.2, 0.3], [-0.4, -0.5, -0.6]])
    genome[:, layout.blocks["0.h.x"].slice] = weights.flatten()
    genome[:, layout.blocks["readout.weight"].slice] = torch.tensor([1.0, 10.0])
    found, _ = TensorEvaluator(layout).outputs(genome, torch.tensor([[0, 1, 2]]))
    right = torch.tanh(weights).T @ torch.tensor([1.0, 10.0])
    assert torch.allclose(found.flatten(), right, atol=1e-6)
