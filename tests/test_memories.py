"""What each architecture that is no gated cell computes: against plain loops, hand-computed cases and torch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from evornn.errors import EvornnError
from evornn.networks import bidirectional_associative_memory as bam
from evornn.networks import hopfield, neural_turing_machine, pushdown_automaton
from evornn.networks.network import Network
from evornn.networks.own_module import OwnModule


def double(kind: str, inputs: int, outputs: int, **settings) -> Network:
    return Network(kind, inputs=inputs, outputs=outputs, dtype="float64", **settings)


def named(net: Network, genome: np.ndarray) -> dict[str, np.ndarray]:
    """The genome's blocks by name, those without a mask."""
    return {
        name: np.float64(genome[b.slice]).reshape(b.shape) for name, b in net.layout.blocks.items() if b.mask is None
    }


def genome(net: Network, **blocks) -> np.ndarray:
    """[1, n] of these values in blocks ("a__b" is the block a.b), and 0 in all others."""
    found = np.zeros((1, net.n))
    for name, values in blocks.items():
        block = net.layout.blocks[name.replace("__", ".")]
        found[0, block.slice] = np.broadcast_to(values, block.shape).ravel()
    return found


def σ(x):
    return 1 / (1 + np.exp(-np.asarray(x, float)))


def softplus(x):
    return np.log1p(np.exp(x))


# ---- bidirectional --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "module"), [("elman", torch.nn.RNN), ("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)])
@pytest.mark.parametrize("layers", [1, 2])
def test_bidirectional_networks_are_torchs(cell, module, layers):
    """Also for sequences of unequal lengths, which torch packs."""
    net = double("bidirectional", 3, 2, of={"kind": cell}, units=4, layers=layers)
    theirs = module(3, 4, layers, batch_first=True, bidirectional=True).double()
    readout, blocks = torch.nn.Linear(8, 2).double(), {}
    gates = {"elman": "h", "lstm": "ifzo", "gru": "rzn"}[cell]
    for (layer, direction), (ours, suffix) in zip(
        itertools.product(range(layers), "ab"), [(k, s) for k in range(layers) for s in ("", "_reverse")], strict=True
    ):
        prefix = f"{layer}.{'forward' if direction == 'a' else 'backward'}"
        parts = [getattr(theirs, f"{w}_l{ours}{suffix}").chunk(len(gates)) for w in ("weight_ih", "weight_hh")]
        biases = [getattr(theirs, f"{b}_l{ours}{suffix}").chunk(len(gates)) for b in ("bias_ih", "bias_hh")]
        for k, gate in enumerate(gates):
            own = gate == "n"  # torch's second bias has an effect of its own
            blocks[f"{prefix}.{gate}.x"], blocks[f"{prefix}.{'m' if own else gate}.h"] = parts[0][k], parts[1][k]
            blocks[f"{prefix}.{gate}.bias"] = biases[0][k] + (0 if own else biases[1][k])
            if own:
                blocks[f"{prefix}.m.bias"] = biases[1][k]
    blocks |= {"readout.weight": readout.weight, "readout.bias": readout.bias}
    flat = np.concatenate([blocks[name].detach().numpy().ravel() for name in net.layout.blocks])[None]
    x, lengths = torch.randn(3, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), [5, 1, 3]
    np.testing.assert_allclose(net.predict(flat, x.numpy())[0], readout(theirs(x)[0]).detach(), rtol=1e-9, atol=1e-12)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    unequal, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    ours = net.predict(flat, torch.where(mask[..., None], x, torch.nan).numpy())[0]
    np.testing.assert_allclose(ours[mask], readout(unequal)[mask].detach(), rtol=1e-9, atol=1e-12)


def test_cells_that_cannot_run_backward():
    from cells_notation import CELLS as FURTHER

    from evornn.networks.bidirectional import Bidirectional

    with pytest.raises(EvornnError, match="whose output is fed back: take another cell"):
        Network(Bidirectional(of=FURTHER["jordan"]), inputs=1, units=2, outputs=1)
    with pytest.raises(EvornnError, match=r"unknown network in network\.of 'lsmt': did you mean 'lstm'"):
        Network("bidirectional", of={"kind": "lsmt"}, inputs=1, units=2, outputs=1)


# ---- recursive ------------------------------------------------------------------------------------------------------


def test_a_chain_is_elmans_network():
    elman, chain = double("elman", 2, 1, units=3), double("recursive", 3, 1, units=3, arity=1)
    weights = elman.sample(4, 0)
    order = ["0.h.x", "0.h.bias", "0.h.h", "readout.weight", "readout.bias"]
    same = np.concatenate([weights[:, elman.layout.blocks[name].slice] for name in order], 1)
    x = np.random.default_rng(0).standard_normal((2, 6, 2))
    back = np.tile((np.arange(6) > 0)[:, None], (2, 1, 1))
    expected = elman.predict(weights, x)
    np.testing.assert_allclose(chain.predict(same, np.concatenate([x, back], -1)), expected, rtol=1e-12)


def test_trees_by_recursion():
    """Two trees of different shape in one batch; the second has a node with one child, and a child of two parents."""
    net = double("recursive", 4, 2, units=3)
    trees = [
        [((0.5, 1.0), 0, 0), ((-1.0, 0.3), 0, 0), ((0.0, 0.0), 2, 1), ((0.7, 0.0), 0, 0), ((0.0, 0.0), 2, 1)],
        [((0.2, 0.1), 0, 0), ((0.0, 0.4), 0, 1), ((0.0, 0.0), 2, 1), ((1.0, -1.0), 1, 0), ((0.1, 0.1), 4, 1)],
    ]
    x = np.array([[[*label, left, right] for label, left, right in tree] for tree in trees])
    g = net.sample(2, 0)
    for member, outputs in zip(g, net.predict(g, x), strict=True):
        w = named(net, member)

        def state(tree, k, w=w):
            label, *back = tree[k]
            children = [state(tree, k - b) if b else np.zeros(3) for b in back]
            own = w["label.weight"] @ label + w["label.bias"]
            return np.tanh(w["children.weight"] @ np.concatenate(children) + own)

        for tree, found in zip(trees, outputs, strict=True):
            expected = [w["readout.weight"] @ state(tree, k) + w["readout.bias"] for k in range(5)]
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("back", [-1, 0.5, 3, np.nan, np.inf])
def test_children_that_cannot_be(back):
    net, x = double("recursive", 3, 1, units=2), np.zeros((2, 4, 3))
    x[1, 2, -1] = back
    with pytest.raises(EvornnError, match="inputs: sequence 1, step 2: the last 2 inputs must be how many steps back"):
        net.predict(net.sample(1, 0), x)
    x[1, 2, -1] = 2
    net.predict(net.sample(1, 0), x)
    with pytest.raises(EvornnError, match="there are only 2 inputs: lower arity, or give more inputs"):
        double("recursive", 2, 1, units=2)


# ---- Hopfield network and bidirectional associative memory ----------------------------------------------------------

PATTERNS = np.array([[1, 1, 1, 1, -1, -1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1], [1, 1, -1, -1, 1, 1, -1, -1]])


def weights(net: Network, genome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W [N, N] and θ [N]."""
    n = net.layout.inputs
    upper = np.zeros((n, n))
    upper[np.triu_indices(n, 1)] = genome[:-n]
    return upper + upper.T, genome[-n:]


def test_a_hopfield_network_neuron_by_neuron():
    """W = [[0, 1, −2], [1, 0, ½], [−2, ½, 0]], θ = (0, −1, ½)."""
    net = double("hopfield", 3, 3)
    g = np.array([[1.0, -2.0, 0.5, 0.0, -1.0, 0.5]])
    # neuron 1: 1·1 − 2·1 = −1 → −1; neuron 2: 1·(−1) + ½·1 + 1 = ½ → 1; neuron 3: −2·(−1) + ½·1 − ½ = 2 → 1
    assert net.predict(g, [[[1.0, 1.0, 1.0]]]).tolist() == [[[[-1, 1, 1]]]]
    # neuron 2: 1·(−1) + ½·0 + 1 = 0 keeps what it is, here 0 and there −1; neuron 3: 2 − ½ and 2 − ½ − ½
    g, undecided = np.array([[1.0, 0.0, 0.5, 0.0, -1.0, 0.5]]), [[[-3.0, 0.0, 0.0]]]
    assert net.predict(g, undecided, state=[{"s": [-1.0, 0.0, 0.0]}])[0, 0, 0, 1] == 0
    assert net.predict(g, [[[0.0, 0.0, 0.0]]], state=[{"s": [-1.0, -1.0, 0.0]}])[0, 0, 0].tolist() == [-1, -1, -1]


def test_the_energy_of_a_hopfield_network_never_rises():
    """Nor does it at any single neuron: a cue that differs in one neuron is a sweep begun in the middle."""
    net, rng = double("hopfield", 9, 9), np.random.default_rng(0)
    g, x = net.sample(40, 1), np.zeros((6, 12, 9))
    x[:, 0] = rng.choice([-1, 1], (6, 9))
    for member, outputs in zip(g, net.predict(g, x), strict=True):
        w, θ = weights(net, np.float64(member))
        states = np.concatenate([x[:, :1], outputs], 1)
        energy = -0.5 * np.einsum("bti,ij,btj->bt", states, w, states) + states @ θ
        assert (np.diff(energy) <= 1e-12).all() and (energy[:, -1] < energy[:, 0]).any()
        assert (outputs[:, -1] == outputs[:, -2]).all()  # at rest


@pytest.mark.parametrize("rule", [hopfield.hebbian, hopfield.pseudo_inverse])
def test_stored_patterns_are_recalled(rule):
    """From each with one neuron turned, and from each of which a quarter is unknown."""
    net, spoilt = double("hopfield", 8, 8), []
    for pattern in PATTERNS[:2]:
        spoilt += [np.where(np.arange(8) == k, -pattern, pattern) for k in range(8)]
        spoilt += [np.where(np.isin(np.arange(8), (k, k + 1)), 0, pattern) for k in range(7)]
    cues = np.zeros((len(spoilt), 3, 8))
    cues[:, 0] = spoilt
    recalled = net.predict(rule(PATTERNS[:2])[None], cues)[0, :, -1]
    assert (recalled == np.repeat(PATTERNS[:2], 15, 0)).all()


def test_the_pseudo_inverse_keeps_patterns_that_hebbs_rule_loses():
    """Patterns that are much alike, +1 in three places of four."""
    alike = np.where(np.random.default_rng(0).random((5, 20)) < 0.75, 1, -1)
    net = double("hopfield", 20, 20)
    kept = [
        net.predict(rule(alike)[None], alike[:, None])[0, :, 0] for rule in (hopfield.hebbian, hopfield.pseudo_inverse)
    ]
    assert (kept[1] == alike).all() and not (kept[0] == alike).all()
    w, θ = weights(net, hopfield.hebbian(alike))
    np.testing.assert_allclose(w, alike.T @ alike / 20 * (1 - np.eye(20)), rtol=1e-6)
    assert not θ.any()


def test_a_pair_by_hand():
    """a = (1, −1), b = (1, 1, −1): M = [[1, 1, −1], [−1, −1, 1]]; half of a is enough."""
    net, m = double("bidirectional_associative_memory", 2, 3), bam.hebbian([[1, -1]], [[1, 1, -1]])
    assert m.tolist() == [1, 1, -1, -1, -1, 1]
    outputs, end = net.predict(m[None], [[[0.0, -0.2]]], return_state=True)
    assert outputs.tolist() == [[[[1, 1, -1]]]] and end[0]["a"].tolist() == [[[1, -1]]]
    nothing, end = net.predict(np.zeros((1, 6)), [[[1.0, 0.0]]], return_state=True)  # sgn(0) keeps what was there
    assert nothing.tolist() == [[[[0, 0, 0]]]] and end[0]["a"].tolist() == [[[1, 0]]]


def test_pairs_are_recalled_from_spoilt_cues():
    b = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    cues = np.zeros((24, 4, 8))
    cues[:, 0] = [np.where(np.arange(8) == k, -a, a) for a in PATTERNS for k in range(8)]
    net = double("bidirectional_associative_memory", 8, 4)
    assert (net.predict(bam.hebbian(PATTERNS, b)[None], cues)[0, :, -1] == np.repeat(b, 8, 0)).all()


def test_the_energy_of_an_associative_memory_never_rises():
    net, rng = double("bidirectional_associative_memory", 7, 5), np.random.default_rng(0)
    g, x = net.sample(40, 1), rng.choice([-1.0, 1.0], (6, 1, 7))
    m, energies = np.float64(g).reshape(40, 7, 5), []
    state = [{"a": np.zeros(7), "b": rng.choice([-1.0, 1.0], (6, 5))}]
    for _ in range(6):
        _, state = net.predict(g, x, state=state, return_state=True)
        energies.append(-np.einsum("pbi,pij,pbj->pb", state[0]["a"], m, state[0]["b"]))
        x = np.zeros((6, 1, 7))
    assert (np.diff(energies, axis=0) <= 1e-12).all() and (energies[-1] < energies[0]).any()


@pytest.mark.parametrize("patterns", [[[1, 0]], [1, -1], [[0.5, 1]], [], [["a"]], [[np.nan, 1]]])
def test_patterns_that_cannot_be_stored(patterns):
    for store in (hopfield.hebbian, hopfield.pseudo_inverse, lambda p: bam.hebbian(p, [[1]])):
        with pytest.raises(EvornnError, match=r"must be \[K, N\] numbers −1 and 1, one pattern in each row"):
            store(patterns)


def test_other_refusals_of_associative_memories():
    with pytest.raises(EvornnError, match="a has 2 patterns and b 1: give one b for each a"):
        bam.hebbian([[1], [-1]], [[1]])
    with pytest.raises(
        EvornnError, match="3 inputs and 2 outputs: make them equal, or use bidirectional_associative_m"
    ):
        double("hopfield", 3, 2)
    with pytest.raises(EvornnError, match=r"network\.units: hopfield has no use for it: leave it out"):
        double("hopfield", 3, 3, units=5)
    with pytest.raises(EvornnError, match=r"network\.units: must be a whole number, at least 1, got None"):
        double("recursive", 3, 3)
    for kind in ("hopfield", "bidirectional_associative_memory"):
        net, x = double(kind, 2, 2), np.zeros((2, 3, 2))
        x[1, 2, 0] = np.nan
        with pytest.raises(EvornnError, match="sequence 1, step 2: a cue must be a number"):
            net.predict(net.sample(1, 0), x)
