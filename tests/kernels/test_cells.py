"""Cells: one contract for all of them, those of the catalog and those of `cells_notation`, then each one's equation."""

from __future__ import annotations

import inspect
import json
import math
from fnmatch import fnmatch

import numpy as np
import pytest
import torch
from cells_notation import CELLS, outline, step_by_hand, σ
from hypothesis import given, settings
from hypothesis import strategies as st

from evornn import networks, ops
from evornn.cell import BadEquation, Cell, Weights
from evornn.kernels.reference import TORCH_OPS
from evornn.networks.architectures.lstm_1997 import LSTM1997
from evornn.networks.forget_bias import ForgetBias
from evornn.networks.groups import groups
from evornn.networks.network import Network
from evornn.ops import Node

SHIPPED = sorted(networks.CELLS)
ALL = [*SHIPPED, *CELLS]
HALF_WIDTHS = {  # (kind, block) → of the initial distribution in four inputs and 16 units, where it is not 1/√16
    ("feed_forward", "0.h.*"): 1 / 2,
    ("ctrnn", "?.tau"): 2.0,
    ("ctrnn_neat", "?.tau"): 2.0,
    ("lstm_1997", "?.*"): 0.1,
}
every_cell = pytest.mark.parametrize("name", ALL)
every_network = pytest.mark.parametrize(
    ("layers", "initial_state"), [(1, "zero"), (2, "zero"), (1, "learned"), (2, "learned")]
)


def network(name: str, units: int = 4, layers: int = 1, inputs: int = 2, outputs: int = 2, **settings) -> Network:
    cell = CELLS.get(name, name)
    return Network(cell, inputs=inputs, units=units, outputs=outputs, layers=layers, backend="torch", **settings)


def data(inputs: int = 2, outputs: int = 2, batch: int = 3, length: int = 6, seed: int = 0) -> tuple:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((batch, length, inputs)), rng.standard_normal((batch, length, outputs))


def is_stateless(name: str) -> bool:
    """Whether no state is read."""
    trace = network(name).layout.trace
    return not any(trace.leaves[state] in trace.order for state in trace.states)


def is_truncated(name: str) -> bool:
    """Whether its gradient is not that of its equation, by intention."""
    return any(node.op == "stop" for node in network(name).layout.trace.order)


def shapes(most_units: int = 4, most_steps: int = 9):
    """I, half of H, O, B, T, layers, P, seed."""
    small = st.integers(1, 3)
    units, steps = st.integers(1, most_units), st.integers(1, most_steps)
    return st.tuples(small, units, st.integers(1, 2), small, steps, st.integers(1, 2), st.integers(1, 5), small)


# ---- the contract ---------------------------------------------------------------------------------------------------


@every_cell
@every_network
def test_shapes(name, layers, initial_state):
    net, (x, y) = network(name, layers=layers, initial_state=initial_state), data()
    genomes = net.sample(5, 0)
    losses, gradients = net.gradients(genomes, x, y)
    assert genomes.shape == gradients.shape == (5, net.n)
    assert net.losses(genomes, x, y).shape == losses.shape == (5,)
    assert net.predict(genomes, x).shape == (5, 3, 6, 2)
    assert {a.dtype for a in (genomes, losses, gradients, net.predict(genomes, x))} == {np.dtype(np.float32)}
    assert np.isfinite(gradients).all() and (losses > 0).all()


@every_cell
@settings(max_examples=6, deadline=None, derandomize=True)
@given(shapes(), st.integers(2, 70), st.randoms(use_true_random=False))
def test_a_member_has_the_same_bits_in_any_company(name, shape, population, random):
    """Whatever its place, its company and the threads."""
    i, half, o, b, t, layers, _, seed = shape
    b *= 7  # sums over more than a SIMD vector's lanes
    alone, shared = (network(name, 2 * half, layers, i, o, threads=threads) for threads in (1, 2))
    genomes, (x, y) = alone.sample(population, seed), data(i, o, b, t, seed)
    some = random.sample(range(population), random.randint(2, population))
    for whole, part in zip(answers(alone, genomes, x, y), answers(shared, genomes[some], x, y), strict=True):
        assert np.array_equal(whole[some], part)


@every_cell
@every_network
def test_a_single_member_is_what_it_is_in_company(name, layers, initial_state):
    net, (x, y) = network(name, layers=layers, initial_state=initial_state), data()
    genomes = net.sample(7, 3)
    for whole, single in zip(answers(net, genomes, x, y), answers(net, genomes[4:5], x, y), strict=True):
        np.testing.assert_allclose(whole[4:5], single, rtol=2e-5, atol=1e-6)


def answers(net, genomes, x, y):
    losses, gradients = net.gradients(genomes, x, y)
    return net.losses(genomes, x, y), losses, gradients, net.predict(genomes, x)


@every_cell
@settings(max_examples=8, deadline=None, derandomize=True)
@given(shapes(most_units=8, most_steps=15))
def test_float32_agrees_with_float64(name, shape):
    i, half, o, b, t, layers, members, seed = shape
    single, double = (network(name, 2 * half, layers, i, o, dtype=dtype) for dtype in ("float32", "float64"))
    genomes, (x, y) = single.sample(members, seed), data(i, o, b, t, seed)
    losses, gradients = double.gradients(genomes, np.float32(x), np.float32(y))
    np.testing.assert_allclose(single.losses(genomes, x, y), losses, rtol=1e-5)
    error = np.linalg.norm(single.gradients(genomes, x, y)[1] - gradients, axis=1)
    rounding = 2e-7  # of outputs near 1, whose differences a small gradient is made of
    assert (error <= 1e-4 * np.linalg.norm(gradients, axis=1) + rounding).all()


@pytest.mark.parametrize("name", [name for name in ALL if not is_truncated(name)])
@pytest.mark.parametrize("layers", [1, 2])
def test_gradients_are_finite_differences(name, layers):
    net, (x, y) = network(name, layers=layers, initial_state="learned", dtype="float64"), data(batch=2, length=5)
    genome, step = np.float64(net.sample(1, 1)[0]), 1e-5 * np.eye(net.n)
    mask = np.array([[True] * 5, [False, True, True, False, False]])
    ahead, behind = (net.losses(genome + sign * step, x, y, mask=mask, washout=1) for sign in (1, -1))
    losses, gradients = net.gradients(genome[None], x, y, mask=mask, washout=1)
    np.testing.assert_allclose(gradients[0], (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(losses, net.losses(genome[None], x, y, mask=mask, washout=1))


@every_cell
@every_network
def test_state_carried_over_goes_on_and_state_reset_begins_anew(name, layers, initial_state):
    net = network(name, layers=layers, initial_state=initial_state, dtype="float64")
    genomes, (x, _) = net.sample(3, 2), data(length=7)
    whole = net.predict(genomes, x)
    for cut in (1, 3, 6):
        first, state = net.predict(genomes, x[:, :cut], return_state=True)
        carried, reset = net.predict(genomes, x[:, cut:], state=state), net.predict(genomes, x[:, cut:])
        np.testing.assert_allclose(np.concatenate([first, carried], 2), whole, rtol=1e-11, atol=1e-13)
        assert np.allclose(carried, reset) == is_stateless(name)


@every_cell
@pytest.mark.parametrize("layers", [1, 2])
def test_a_learned_initial_state_is_the_same_as_that_state_given(name, layers):
    learned, zero = (network(name, layers=layers, initial_state=kind, dtype="float64") for kind in ("learned", "zero"))
    genomes, (x, _) = learned.sample(4, 5), data()
    of = {block: genomes[:, where.slice] for block, where in learned.layout.blocks.items()}
    rest = np.concatenate([of[block] for block in zero.layout.blocks], 1)
    state = [{s: of[f"{k}.{s}.initial"][:, None] for s in learned.layout.trace.states} for k in range(layers)]
    expected = learned.predict(genomes, x)
    np.testing.assert_allclose(zero.predict(rest, x, state=state), expected, rtol=1e-12)
    assert is_stateless(name) == np.allclose(zero.predict(rest, x), expected)


@every_cell
def test_unequal_lengths_are_the_sequences_one_by_one(name):
    """Neither padding nor what is masked elsewhere can change anything, be it not a number."""
    net, (x, y), lengths = network(name, layers=2, dtype="float64"), data(batch=4), [6, 2, 4, 1]
    genomes, mask = net.sample(3, 0), np.arange(6) < np.array(lengths)[:, None]
    mask[0, 2] = False
    x[np.arange(6) >= np.array(lengths)[:, None]] = np.nan
    y[~mask] = np.nan
    one_by_one = [
        [
            m[b, :length].sum() * part
            for part in net.gradients(genomes, x[b : b + 1, :length], y[b : b + 1, :length], mask=m[b : b + 1, :length])
        ]
        for m, (b, length) in ((mask, pair) for pair in enumerate(lengths))
    ]
    losses, gradients = net.gradients(genomes, x, y, mask=mask)
    assert np.isfinite(gradients).all()
    np.testing.assert_allclose(losses, sum(part[0] for part in one_by_one) / mask.sum(), rtol=1e-12)
    np.testing.assert_allclose(gradients, sum(part[1] for part in one_by_one) / mask.sum(), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(net.losses(genomes, x, y, mask=mask), losses)


@every_cell
def test_washout_leaves_out_the_first_steps(name):
    net, (x, y) = network(name, dtype="float64"), data()
    genomes, later = net.sample(3, 0), np.tile(np.arange(6) >= 2, (3, 1))
    by_hand = np.square(net.predict(genomes, x) - y)[:, :, 2:].mean((1, 2, 3))
    np.testing.assert_allclose(net.losses(genomes, x, y, washout=2), by_hand, rtol=1e-12)
    for with_washout, with_mask in zip(
        net.gradients(genomes, x, y, washout=2), net.gradients(genomes, x, y, mask=later), strict=True
    ):
        np.testing.assert_array_equal(with_washout, with_mask)


@every_cell
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_member_that_is_not_finite_is_nan_and_alone_in_that(name, bad):
    net, (x, y) = network(name, layers=2), data()
    genomes = net.sample(4, 0)
    healthy = answers(net, genomes, x, y)
    for place in (0, net.n // 2, net.n - 1):
        ill = genomes.copy()
        ill[1, place] = bad
        for before, after in zip(healthy, answers(net, ill, x, y), strict=True):
            assert np.isnan(after[1]).all()
            assert np.array_equal(np.delete(after, 1, 0), np.delete(before, 1, 0))


@every_cell
@every_network
def test_sampled_genomes_come_from_the_declared_distribution(name, layers, initial_state):
    layout = (net := network(name, layers=layers, initial_state=initial_state)).layout
    genomes = net.sample(2000, 4)
    assert np.array_equal(genomes[:3], net.sample(3, 4)) and not np.array_equal(genomes[:3], net.sample(3, 5))
    for block in layout.blocks.values():
        part = genomes[:, block.slice]
        assert (part >= np.float32(block.initial.low)).all() and (part <= np.float32(block.initial.high)).all()
    assert (np.abs(genomes.mean(0) - layout.centre) < 6 * layout.scale / math.sqrt(2000)).all()
    np.testing.assert_allclose(genomes.std(0), layout.scale, rtol=0.08)
    assert sum(block.size for block in layout.blocks.values()) == net.n == len(layout.centre)


@pytest.mark.parametrize("name", SHIPPED)
def test_initial_distributions_are_the_documented_ones(name):
    """U[−1/√H, 1/√H] but for what a cell says of itself; the read-out's fan-in is what it sees."""
    net = network(name, units=16, layers=2, inputs=4, initial_state="learned")
    for block_name, block in net.layout.blocks.items():
        special = [w for (kind, part), w in HALF_WIDTHS.items() if kind == name and fnmatch(block_name, part)]
        half_width = 0.1 if block_name.endswith("initial") else (special or [1 / 4])[0]
        centre = 1.0 if isinstance(net.cell, ForgetBias) and block_name[2:] == "f.bias" else 0.0
        documented = f"{name} starts {block_name} elsewhere: add what its paper says to HALF_WIDTHS in {__file__}"
        expected = centre - half_width, centre + half_width
        assert (block.initial.low, block.initial.high) == pytest.approx(expected), documented


def test_what_is_stateless_and_what_is_truncated():
    assert [name for name in ("feed_forward", "elman", "lstm_1997") if is_stateless(name)] == ["feed_forward"]
    assert [name for name in ("elman", "lstm_1997", "lstm_1997_full") if is_truncated(name)] == ["lstm_1997"]


@every_cell
@pytest.mark.parametrize("initial_state", ["zero", "learned"])
def test_the_torch_module_is_the_network(name, initial_state):
    net, (x, y) = network(name, layers=2, initial_state=initial_state, dtype="float64"), data()
    genomes = np.float64(net.sample(2, 0))
    module, other = net.to_torch(genomes[0]), net.to_torch(genomes[1])
    outputs = module(torch.tensor(x))
    np.testing.assert_allclose(outputs.detach(), net.predict(genomes[:1], x)[0], rtol=1e-12)
    torch.nn.functional.mse_loss(outputs, torch.tensor(y)).backward()
    gradient = torch.cat([p.grad.flatten() if p.grad is not None else 0 * p.flatten() for p in module.parameters()])
    np.testing.assert_allclose(gradient, net.gradients(genomes[:1], x, y)[1][0], rtol=1e-9, atol=1e-12)
    other.load_state_dict(module.state_dict())
    assert np.array_equal(other.genome().detach(), genomes[0]) and torch.equal(other(torch.tensor(x)), outputs)


@pytest.mark.parametrize(
    "name", [*SHIPPED, *("ctrnn_exponential", "mtrnn_open", "lstm_1997_full", "echo_state_evolved")]
)
def test_a_cell_becomes_a_spec_and_a_cell_again(name):
    """Through JSON, as in the store."""
    cell = network(name).cell
    spec = json.loads(json.dumps(networks.CELLS.spec_of(cell)))
    assert networks.CELLS.build(spec) == cell
    assert spec["kind"] == name.removesuffix("_exponential").removesuffix("_open").removesuffix("_full").removesuffix(
        "_evolved"
    )


# ---- each equation --------------------------------------------------------------------------------------------------


@every_cell
@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.sampled_from([2, 4, 8]), st.integers(1, 2), st.integers(0, 99))
def test_a_cell_computes_its_equation(name, inputs, units, outputs, seed):
    """Against a loop over sequences and steps in float64."""
    net = network(name, units, 1, inputs, outputs, dtype="float64")
    genomes, (x, _) = net.sample(2, seed) * 3, data(inputs, outputs, 2, 10, seed)
    loop = np.array([[by_hand(name, net, genome, sequence) for sequence in x] for genome in genomes])
    np.testing.assert_allclose(net.predict(genomes, x), loop, rtol=1e-9, atol=1e-12)


def test_a_cell_without_an_independent_check_is_told_what_to_write():
    with pytest.raises(pytest.fail.Exception) as failure:
        step_by_hand("new", CELLS["timed"])
    said = str(failure.value)
    assert said.startswith("new has no independent check: write") and 'to BY_HAND there: "new": new,' in said
    assert outline("new", CELLS["timed"]) in said
    assert outline("new", networks.CELLS["ctrnn"]()).splitlines() == [
        "def new(a, v, x, y, t, s):",
        '    # of a("u", x, …), v("tau"), v("theta") and the last states s["u"]',
        '    return {"u": …}, …  # the new states, and what the read-out sees',
    ]


def by_hand(name: str, net: Network, genome: np.ndarray, inputs: np.ndarray) -> list[np.ndarray]:
    """[T, O] of one network and one sequence."""
    weights, layout, outputs = unpacked(net, genome), net.layout, []
    state = {name: np.zeros(size) for name, size in layout.state_sizes(0).items()}
    step = step_by_hand(name, layout.cell)
    y = np.zeros(layout.outputs)
    for t, x in enumerate(inputs):
        state, seen = step(lambda m, *s: affine(weights, m, s), lambda v: weights[f"0.{v}"], x, y, t, state)
        y = weights["readout.weight"] @ seen + weights["readout.bias"] if layout.readout else seen[: layout.outputs]
        outputs.append(y)
    return outputs


def unpacked(net: Network, genome: np.ndarray) -> dict[str, np.ndarray]:
    """The genome's blocks by name, row after row; weights that a mask leaves out are 0."""
    weights, rest = {}, list(np.float64(genome))
    for name, block in net.layout.blocks.items():
        there = np.ones(block.shape, bool) if block.mask is None else block.mask
        weights[name] = np.array([rest.pop(0) if exists else 0.0 for exists in there.flat]).reshape(block.shape)
    assert not rest
    return {**weights, **net.layout.fixed_weights}


def affine(weights: dict[str, np.ndarray], name: str, sources: tuple[np.ndarray, ...]) -> np.ndarray:
    parts = {part: w for part, w in weights.items() if part.startswith(f"0.{name}.")}
    bias = parts.pop(f"0.{name}.bias", 0.0)
    return sum((w @ source for w, source in zip(parts.values(), sources, strict=True)), bias)


def test_a_ctrnn_as_a_loop_over_units():
    """Directions of weights, and each unit's own time constant."""
    net, (x, _) = network("ctrnn", 3, dtype="float64", dt=0.5, tau_low=0.5, tau_high=8.0), data(batch=1, length=8)
    p = unpacked(net, genome := net.sample(1, 0)[0] * 2)
    u, outputs = np.zeros(3), []
    for v in x[0]:
        h = [σ(u[j] + p["0.theta"][j]) for j in range(3)]
        tau = [0.5 * 16 ** σ(p["0.tau"][i]) for i in range(3)]
        drive = [sum(p["0.u.sigmoid1"][i, j] * h[j] for j in range(3)) + p["0.u.x"][i] @ v for i in range(3)]
        u = np.array([u[i] + 0.5 / tau[i] * (drive[i] - u[i]) for i in range(3)])
        outputs.append(p["readout.weight"] @ σ(u + p["0.theta"]) + p["readout.bias"])
    np.testing.assert_allclose(net.predict(genome[None], x)[0, 0], outputs, rtol=1e-9)


@pytest.mark.parametrize(
    ("published", "sizes", "block_size", "biased"),
    [(264, (7, 4, 7), 1, "gates"), (276, (7, 6, 7), 2, "gates"), (93, (2, 4, 1), 2, "all"), (156, (8, 4, 4), 2, "all")],
)
def test_the_first_lstm_has_the_published_number_of_weights(published, sizes, block_size, biased):
    """Reber 4×1 and 3×2, adding, temporal order."""
    inputs, units, outputs = sizes
    net = Network(LSTM1997(block_size=block_size, biased=biased), inputs=inputs, units=units, outputs=outputs)
    assert net.n == len(net.sample(1, 0)[0]) == published


def test_the_first_lstm_starts_as_published():
    """Adding: weights in ±0.1, input gates biased towards −3 and −6; a read-out without bias answers 0 to h = 0."""
    net = network("lstm_1997", block_size=2, input_gate_bias=-3.0)
    genomes, blocks = net.sample(500, 0), net.layout.blocks
    np.testing.assert_allclose(genomes[:, blocks["0.i.bias"].slice].mean(0), [-3, -6], atol=0.02)
    assert np.abs(genomes[:, blocks["0.o.bias"].slice]).max() <= 0.1
    np.testing.assert_allclose(net.layout.centre[blocks["0.i.bias"].slice], [-3, -6])
    unbiased = network("lstm_1997", biased="gates")
    only_readout = np.zeros((1, unbiased.n))
    only_readout[:, unbiased.layout.blocks["readout.weight"].slice] = 1.0
    assert not unbiased.predict(only_readout, data()[0]).any()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("jordan", 4 * 2 + 4 * 3 + 4),
        ("second_order", 4 * (4 * 2) + 4),
        ("cascaded", (4 + 3) * (4 * 2 + 2 + 4 + 1)),
        ("mtrnn", 2 * 2 + (16 - 2 * 2) + 4),  # only units 0 and 1 see the input; io and slow don't see each other
        ("lstm_peephole", 4 * (4 * 2 + 4 * 4 + 4) + 3 * 4),
        ("ctrnn", 4 * 2 + 4 * 4 + 2 * 4),  # τ and θ
        ("ctrnn_exponential", 4 * 2 + 4 * 4 + 3 * 4),  # and gains
        ("recurrent_multilayer_perceptron", 4 * (2 + 4 + 1) + 4 * (4 + 4 + 1)),
        ("lstm_nig", 3 * (4 * 2 + 4 * 4 + 4) + 2 * 4),
        ("lstm_nfg", 3 * (4 * 2 + 4 * 4 + 4) + 2 * 4),
        ("lstm_nog", 3 * (4 * 2 + 4 * 4 + 4) + 2 * 4),
        ("lstm_cifg", 3 * (4 * 2 + 4 * 4 + 4) + 2 * 4),
        ("lstm_niaf", 4 * (4 * 2 + 4 * 4 + 4) + 3 * 4),
        ("lstm_noaf", 4 * (4 * 2 + 4 * 4 + 4) + 3 * 4),
        ("lstm_fgr", 4 * (4 * 2 + 4 * 4 + 4) + 3 * 4 + 9 * 16),
        ("mut1", 4 * 2 + (16 + 4) + (32 + 4) + (16 + 4)),
        ("clockwork", 4 * 2 + 10 + 4),
        ("hierarchical", 1 * 2 + 7 + 4),
        ("echo_state", 0),
        ("echo_state_evolved", 4),
        ("leaky_feedback", 4 * 2 + 4 + 16 + 4 * 3 + 2),
    ],
)
def test_parameter_counts(name, count):
    readout = 0 if name == "cascaded" else 4 * 3 + 3
    assert network(name, inputs=2, units=4, outputs=3, layers=None).n == count + readout


def test_a_cascaded_network_answers_logits_or_their_sigmoid():
    units, logits = (network("cascaded", dtype="float64", logits=asked) for asked in (False, True))
    genomes, (x, _) = units.sample(3, 0), data()
    assert np.allclose(1 / (1 + np.exp(-logits.predict(genomes, x))), units.predict(genomes, x), atol=1e-12)


def test_the_state_of_a_cascaded_network_takes_another_activation():
    made = network("cascaded", inputs=1, units=1, outputs=1, dtype="float64", activation="tanh", logits=True)
    genome = np.zeros((1, made.n))
    for name, weight in {"y_.z": 0.3, "y_.bias": 0.2, "z.x": 0.7, "z.bias": 0.9}.items():
        genome[:, made.layout.blocks[f"0.{name}"].slice] = weight
    outputs = made.predict(genome, np.array([[[1.0], [-2.0]]]))
    assert np.allclose(outputs.ravel(), [0.2, 0.3 * np.tanh(0.7 + 0.9) + 0.2], atol=1e-12)


def test_an_lstm_without_its_peepholes_is_the_lstm():
    with_peepholes, without = network("lstm_peephole", dtype="float64"), network("lstm", dtype="float64")
    genomes, (x, _) = with_peepholes.sample(3, 0), data()
    blocks = with_peepholes.layout.blocks
    for name in ("0.pi", "0.pf", "0.po"):
        genomes[:, blocks[name].slice] = 0
    same = np.concatenate([genomes[:, blocks[name].slice] for name in without.layout.blocks], 1)
    np.testing.assert_allclose(with_peepholes.predict(genomes, x), without.predict(same, x), rtol=1e-12)


def test_groups_have_their_shares():
    assert [groups(k, (2, 1, 1)).tolist() for k in (1, 2, 3, 4, 8)] == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 0, 1, 2],
        [0, 0, 0, 0, 1, 1, 2, 2],
    ]
    assert np.bincount(groups(180, (100, 60, 20))).tolist() == [100, 60, 20]  # the paper's network


def test_stop_cuts_the_gradient_between_steps_but_changes_no_value():
    full, cut = (LSTM1997(truncated=t) for t in (False, True))
    whole, truncated = (Network(c, inputs=2, units=4, outputs=2, dtype="float64") for c in (full, cut))
    genomes, (x, y) = whole.sample(2, 0), data()
    np.testing.assert_array_equal(whole.losses(genomes, x, y), truncated.losses(genomes, x, y))
    once, often = ([n.gradients(genomes, x[:, :k], y[:, :k])[1] for n in (whole, truncated)] for k in (1, 6))
    np.testing.assert_allclose(*once, rtol=1e-12)
    assert (np.abs(often[0] - often[1]).max(1) > 1e-6).all()


# ---- operations and their rules -------------------------------------------------------------------------------------

numbers = st.floats(-3, 3).filter(lambda v: abs(v) > 0.05)


@pytest.mark.parametrize("op", ops.VJP_RULES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.lists(numbers, min_size=3, max_size=3, unique=True), min_size=1, max_size=4))
def test_a_rule_is_the_derivative_of_the_meaning(op, columns):
    """In torch's words: rule(cotangent, result, *arguments) = autograd's vector–Jacobian product."""
    count = len(inspect.signature(ops.VJP_RULES[op]).parameters) - 2
    tensors = [torch.tensor(values, dtype=torch.float64) for values in zip(*columns, strict=True)][:count]
    if op == "where":
        tensors[0] = (tensors[0] > 0).double()
    for tensor in tensors:
        tensor.requires_grad_()
    leaves = [Node("leaf", name=str(k)) for k in range(count + 2)]
    arguments, cotangent, result = leaves[:count], leaves[-2], leaves[-1]
    value = TORCH_OPS[op](*tensors)
    d = torch.linspace(-1, 2, len(columns), dtype=torch.float64)
    known = dict(zip(leaves, [*tensors, d, value], strict=True))
    rules = ops.VJP_RULES[op](cotangent, result, *arguments)
    assert len(rules) == count
    by_torch = torch.autograd.grad(value, tensors, d, allow_unused=True) if value.requires_grad else [None] * count
    for rule, expected in zip(rules, by_torch, strict=True):
        nothing = torch.zeros_like(d)
        ours, torchs = nothing if rule is None else meaning(rule, known), nothing if expected is None else expected
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-14)


def meaning(node, known):
    """A symbolic value on tensors."""
    if not isinstance(node, Node) or node in known:
        return known.get(node, node)
    return TORCH_OPS[node.op](*(meaning(argument, known) for argument in node.args))


def test_every_operation_has_a_meaning_and_a_rule():
    assert set(TORCH_OPS) - set(ops.VJP_RULES) == {"outer"}  # its rule depends on its shape, as does that of spread
    assert set(ops.VJP_RULES) <= set(TORCH_OPS)


def test_meanings():
    a, b = torch.tensor([-2.0, 0.0, 0.5]), torch.tensor([4.0, 5.0, 6.0])
    v = a.numpy()
    as_numpy = {
        "tanh": np.tanh(v),
        "sigmoid": 1 / (1 + np.exp(-v)),
        "exp": np.exp(v),
        "relu": np.maximum(v, 0),
        "positive": np.array([0, 0, 1]),
        "neg": -v,
        "stop": v,
    }
    for op, expected in as_numpy.items():
        np.testing.assert_allclose(TORCH_OPS[op](a), expected, rtol=1e-6)
    assert TORCH_OPS["outer"](a, b[:2]).tolist() == [-8, -10, 0, 0, 2, 2.5]
    assert TORCH_OPS["where"](torch.tensor([1.0, 0.0, 1.0]), a, b).tolist() == [-2, 5, 0.5]
    assert [TORCH_OPS["every"](3.0, torch.tensor(float(t))).item() for t in range(5)] == [1, 0, 0, 1, 0]


# ---- cells that cannot be ------------------------------------------------------------------------------------------


class Returning(Cell):
    """A cell whose step is given as a function of (w, x, h)."""

    def __init__(self, f):
        self.f = f

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return self.f(w, x, h)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda w, x, h: (h, h), "returns 2 values"),
        (lambda w, x, h: w.h(x) + w.h(h), r"uses the map w\.h twice"),
        (lambda w, x, h: ops.outer(ops.outer(h, x), h), "outer takes two vectors"),
        (lambda w, x, h: h.tanh(), "Returning: 'Node' object has no attribute 'tanh': look at its step and output"),
        (lambda w, x, h: w.h(h) * x, "mul of values of different sizes, units and inputs"),
    ],
)
def test_equations_that_cannot_be_are_refused_when_traced(f, message):
    with pytest.raises(BadEquation, match=message):
        Returning(f).trace()


class Masked(Returning):
    def mask(self, name, source, sizes):
        return np.ones((sizes["units"], sizes["units"]), bool)


def test_a_mask_of_another_shape_is_refused():
    cell = Masked(lambda w, x, h: ops.tanh(w.h(x, h)))
    with pytest.raises(BadEquation, match=r"Masked\.mask must be \[3, 2\] for 0\.h\.x, got \[3, 3\]"):
        _ = Network(cell, inputs=2, units=3, outputs=1).n


def test_a_map_may_take_two_sources_of_one_name():
    """A map and a state are both called h: no weight may be lost."""
    net = Network(Returning(lambda w, x, h: ops.tanh(w.a(w.h(x), h))), inputs=2, units=3, outputs=1)
    assert net.n == (3 * 2 + 3) + (3 * 3 + 3 * 3 + 3) + (3 + 1)
