"""What each architecture that is no gated cell computes: against plain loops, hand-computed cases and torch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from evornn.errors import EvornnError
from evornn.networks import CELLS
from evornn.networks.architectures import bidirectional_associative_memory as bam
from evornn.networks.architectures import hopfield, neural_turing_machine, pushdown_automaton
from evornn.networks.custom_module import CustomModule
from evornn.networks.network import Network


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


@pytest.mark.parametrize("cell", CELLS)
def test_turning_sequences_and_directions_round_turns_the_outputs_round(cell):
    """Any cell of the catalog but those whose output is fed back, which say so."""
    try:
        net = double("bidirectional", 2, 3, of={"kind": cell}, units=4, initial_state="learned")
    except EvornnError as refusal:
        assert "bidirectional can't run" in str(refusal)
        return
    g, x = net.sample(3, 0), np.random.default_rng(0).standard_normal((2, 5, 2))
    blocks = {name: g[:, block.slice] for name, block in net.layout.blocks.items()}
    other = {"forward": "backward", "backward": "forward"}
    swapped = [blocks[".".join(other.get(part, part) for part in name.split("."))] for name in net.layout.blocks]
    place = list(blocks).index("readout.weight")
    swapped[place] = np.roll(swapped[place].reshape(3, 3, 8), 4, -1).reshape(3, -1)
    turned = net.predict(np.concatenate(swapped, 1), x[:, ::-1])[:, :, ::-1]
    np.testing.assert_allclose(turned, net.predict(g, x), rtol=1e-9, atol=1e-12)


def test_cells_that_cannot_run_backward():
    with pytest.raises(EvornnError, match="whose output is fed back: take another cell"):
        Network("bidirectional", of={"kind": "jordan"}, inputs=1, units=2, outputs=1)
    with pytest.raises(EvornnError, match=r"unknown network in network\.of 'lsmt': did you mean 'lstm'"):
        Network("bidirectional", of={"kind": "lsmt"}, inputs=1, units=2, outputs=1)


# ---- recursive ------------------------------------------------------------------------------------------------------


def test_a_chain_is_elmans_network():
    elman, chain = double("elman", 2, 1, units=3), double("recursive", 3, 1, units=3, arity=1)
    weights = elman.sample(4, 0)
    order = ["0.h.x", "0.h.bias", "0.h.h", "readout.weight", "readout.bias"]
    same = np.concatenate([weights[:, elman.layout.blocks[name].slice] for name in order], 1)
    x = np.random.default_rng(0).standard_normal((2, 6, 2))
    before = np.tile(np.arange(6)[:, None], (2, 1, 1))
    expected = elman.predict(weights, x)
    np.testing.assert_allclose(chain.predict(same, np.concatenate([before, x], -1)), expected, rtol=1e-12)


def test_trees_by_recursion():
    """Two trees of different shape in one batch; the second has a node with one child, and a child of two parents."""
    net = double("recursive", 4, 2, units=3)
    trees = [
        [(0, 0, 0.5, 1.0), (0, 0, -1.0, 0.3), (1, 2, 0.0, 0.0), (0, 0, 0.7, 0.0), (3, 4, 0.0, 0.0)],
        [(0, 0, 0.2, 0.1), (0, 1, 0.0, 0.4), (1, 2, 0.0, 0.0), (3, 0, 1.0, -1.0), (1, 4, 0.1, 0.1)],
    ]
    x = np.array(trees)
    g = net.sample(2, 0)
    for member, outputs in zip(g, net.predict(g, x), strict=True):
        w = named(net, member)

        def state(tree, k, w=w):
            left, right, *label = tree[k]
            children = [state(tree, place - 1) if place else np.zeros(3) for place in (left, right)]
            own = w["label.weight"] @ label + w["label.bias"]
            return np.tanh(w["children.weight"] @ np.concatenate(children) + own)

        for tree, found in zip(trees, outputs, strict=True):
            expected = [w["readout.weight"] @ state(tree, k) + w["readout.bias"] for k in range(5)]
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("place", [-1, 0.5, 3, np.nan, np.inf])
def test_children_that_cannot_be(place):
    net, x = double("recursive", 3, 1, units=2), np.zeros((2, 4, 3))
    x[1, 2, 1] = place
    with pytest.raises(
        EvornnError, match="inputs: sequence 1, step 2: the first 2 inputs must be the positions of the no"
    ):
        net.predict(net.sample(1, 0), x)
    x[1, 2, 1] = 2
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


# ---- neural history compressor --------------------------------------------------------------------------------------


def test_a_chunker_ticks_only_at_unpredicted_inputs():
    """The automatiser here always predicts 1. The chunker counts, and sees the time since it was last reached."""
    net = double("history_compressor", 1, 2, units=1, tolerance=0.5)
    g = genome(net, **{"0__prediction__bias": 1.0, "1__state__weight": [[0.1, 0.2, 0.3]], "readout__weight": np.eye(2)})
    x = [1.0, 1.2, -1.0, 1.0, 0.9, 3.0, 2.0, 1.0]  # the third, sixth and seventh are off by more than ½
    outputs = net.predict(g, np.array(x)[None, :, None])[0, 0]
    h, chunker = 0.0, []
    for value, steps_before in zip(x, [None, None, 2, None, None, 3, 1, None], strict=True):
        h = h if steps_before is None else math.tanh(0.1 * value + 0.2 * math.log(1 + steps_before) + 0.3 * h)
        chunker.append(h)
    np.testing.assert_allclose(outputs[:, 1], chunker, rtol=1e-12)
    assert not outputs[:, 0].any()
    _, end = net.predict(g, np.array(x)[None, :6, None], return_state=True)
    assert end[0]["age"].item() == 1 and net.predict(g, [[[7.0]]], state=end)[0, 0, 0, 1] != end[0]["h"][0, 0, 1]


def compressor(w: dict, x: np.ndarray, levels: int, tolerance: float, held: list | None = None) -> tuple:
    """Outputs [T, O] of one sequence, level by level as in the paper, the levels' own loss and their states; what they
    predict of the states above are those of `held`, if given."""
    h, outputs, own, states = [np.zeros(len(w["0.state.bias"])) for _ in range(levels)], [], 0.0, []
    last = [0.0] * levels
    for t, given in enumerate(x):
        top = 0
        for k in range(levels):
            top = k
            prediction = w[f"{k}.prediction.weight"] @ h[k] + w[f"{k}.prediction.bias"]
            own += np.square(prediction - given).mean()
            h[k] = np.tanh(w[f"{k}.state.weight"] @ np.concatenate([given, h[k]]) + w[f"{k}.state.bias"])
            if (abs(prediction - given) <= tolerance).all():
                break
            if k + 1 < levels:
                given, last[k] = np.append(given, math.log(1 + t - last[k])), t
        states.append(list(h))
        above = states[t] if held is None else held[t]
        for k in range(min(top + 1, levels - 1)):
            own += np.square(w[f"{k}.above.weight"] @ h[k] + w[f"{k}.above.bias"] - above[k + 1]).mean()
        outputs.append(w["readout.weight"] @ np.concatenate(h) + w["readout.bias"])
    return np.array(outputs), own, states


@pytest.mark.parametrize("levels", [2, 3])
def test_a_compressor_level_by_level(levels):
    net = double("history_compressor", 2, 1, units=3, levels=levels, tolerance=0.7)
    g, x = net.sample(3, 0), np.random.default_rng(1).standard_normal((2, 12, 2))
    expected = [[compressor(named(net, member), sequence, levels, 0.7)[0] for sequence in x] for member in g]
    np.testing.assert_allclose(net.predict(g, x), expected, rtol=1e-10)


@pytest.mark.parametrize("levels", [2, 3])
def test_own_losses_join_in_the_gradient_and_in_nothing_else(levels):
    """The gradient beyond that of the reported loss is that of the levels' own loss, the states above held still."""
    settings = {"units": 2, "tolerance": 0.7, "levels": levels}
    with_own, without = (double("history_compressor", 2, 1, own_losses=f, **settings) for f in (3.0, 0.0))
    g, rng = np.float64(with_own.sample(1, 0)), np.random.default_rng(1)
    x, y, mask = rng.standard_normal((1, 8, 2)), rng.standard_normal((1, 8, 1)), np.arange(8)[None] < 6
    losses, gradients = with_own.gradients(g, x, y, mask=mask)
    np.testing.assert_array_equal(losses, without.losses(g, x, y, mask=mask))
    more = (gradients - without.gradients(g, x, y, mask=mask)[1])[0]
    held, step = compressor(named(with_own, g[0]), x[0, :6], levels, 0.7)[2], 1e-6 * np.eye(with_own.n)
    ahead, behind = (
        [compressor(named(with_own, g[0] + sign * one), x[0, :6], levels, 0.7, held)[1] for one in step]
        for sign in (1, -1)
    )
    np.testing.assert_allclose(more, 3.0 * (np.array(ahead) - behind) / 2e-6 / 6, rtol=1e-5, atol=1e-8)


# ---- neural Turing machine ------------------------------------------------------------------------------------------


def tensor(*values) -> torch.Tensor:
    """[1, 1, 1, k], of one head."""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def test_addressing_by_hand():
    """Key (1, 0) and slots (1, 0), (0, 2), (3, 4): cosines 1, 0 and 3/5."""
    memory = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]], dtype=torch.float64)[None, None]
    content = neural_turing_machine.content_weighting(tensor(1.0, 0.0), tensor(2.0), memory)
    e = [math.exp(2.0), 1.0, math.exp(1.2)]
    torch.testing.assert_close(content, tensor(*(part / sum(e) for part in e)))
    between = neural_turing_machine.interpolate(tensor(0.5, 0.25, 0.25), tensor(0.0, 0.0, 1.0), tensor(0.8))
    torch.testing.assert_close(between, tensor(0.4, 0.2, 0.4))
    # 0.1 goes one slot back, 0.7 stays, 0.2 goes one on, round the end
    moved = neural_turing_machine.circular_convolution(tensor(0.5, 0.3, 0.2), tensor(0.1, 0.7, 0.2))
    torch.testing.assert_close(moved, tensor(0.35 + 0.03 + 0.04, 0.21 + 0.02 + 0.1, 0.14 + 0.05 + 0.06))
    sharp = neural_turing_machine.sharpen(tensor(0.5, 0.25, 0.25), tensor(2.0))
    torch.testing.assert_close(sharp, tensor(4 / 6, 1 / 6, 1 / 6))


def test_writing_by_hand():
    """Slot 1 is looked at by ½; half of its first number is erased by ½, and ½·tanh 1 is added to the second."""
    memory = torch.tensor([[4.0, 4.0], [8.0, 8.0]], dtype=torch.float64)[None, None]
    after = neural_turing_machine.write_memory(memory, tensor(0.0, 0.5), tensor(0.0, -1e3), tensor(0.0, 1.0))
    expected = torch.tensor([[4.0, 4.0], [8.0 * 0.75, 8.0 + math.tanh(1.0) / 2]], dtype=torch.float64)
    torch.testing.assert_close(after, expected[None, None])


def head(said, memory, before, width, shifts):
    """The weighting of one head and the rest of what was said to it, slot by slot."""
    key, beta, g = np.tanh(said[:width]), softplus(said[width]), σ(said[width + 1])
    s = np.exp(said[width + 2 : width + 3 + 2 * shifts])
    gamma, rest = 1 + softplus(said[width + 3 + 2 * shifts]), said[width + 4 + 2 * shifts :]
    cosines = [key @ slot / math.sqrt((key @ key) * (slot @ slot) + 1e-16) for slot in memory]
    content = np.exp(beta * np.array(cosines)) / np.exp(beta * np.array(cosines)).sum()
    gated, n = g * content + (1 - g) * before, len(memory)
    moved = [sum(gated[(i - k) % n] * s[k + shifts] / s.sum() for k in range(-shifts, shifts + 1)) for i in range(n)]
    return np.array(moved) ** gamma / (np.array(moved) ** gamma).sum(), rest


@pytest.mark.parametrize("controller", ["lstm", "feed_forward"])
@pytest.mark.parametrize(("heads", "shifts"), [(1, 1), (2, 0), (2, 2)])
def test_a_turing_machine_slot_by_slot(controller, heads, shifts):
    net = double(
        "neural_turing_machine", 2, 1, units=3, slots=5, width=4, heads=heads, shifts=shifts, controller=controller
    )
    g, x = net.sample(2, 0) * 2, np.random.default_rng(1).standard_normal((2, 7, 2))
    for member, outputs in zip(g, net.predict(g, x), strict=True):
        for sequence, found in zip(x, outputs, strict=True):
            np.testing.assert_allclose(found, turing(named(net, member), sequence, heads, shifts), rtol=1e-9)


def turing(w: dict, x: np.ndarray, heads: int, shifts: int) -> list[np.ndarray]:
    memory, read, outputs = np.full((5, 4), np.float32(1e-6), float), np.zeros(4 * heads), []
    looking, h, c = np.tile(np.eye(5)[0], (2, heads, 1)), np.zeros(3), np.zeros(3)
    for value in x:
        if len(w["controller.bias"]) == 3:
            h = np.tanh(w["controller.weight"] @ np.concatenate([value, read]) + w["controller.bias"])
        else:
            i, f, z, o = np.split(w["controller.weight"] @ np.concatenate([value, read, h]) + w["controller.bias"], 4)
            c = σ(f) * c + σ(i) * np.tanh(z)
            h = σ(o) * np.tanh(c)
        erased, added = np.ones((5, 4)), np.zeros((5, 4))
        for k, said in enumerate(np.split(w["write.weight"] @ h + w["write.bias"], heads)):
            looking[0, k], rest = head(said, memory, looking[0, k], 4, shifts)
            erased *= 1 - np.outer(looking[0, k], σ(rest[:4]))
            added += np.outer(looking[0, k], np.tanh(rest[4:]))
        memory = memory * erased + added
        for k, said in enumerate(np.split(w["read.weight"] @ h + w["read.bias"], heads)):
            looking[1, k], _ = head(said, memory, looking[1, k], 4, shifts)
        read = np.concatenate([looking[1, k] @ memory for k in range(heads)])
        outputs.append(w["readout.weight"] @ np.concatenate([h, read]) + w["readout.bias"])
    return outputs


def test_a_shift_needs_room():
    with pytest.raises(EvornnError, match="3 slots can't be shifted by 2: raise slots or lower shifts"):
        double("neural_turing_machine", 1, 1, units=2, slots=3, shifts=2)


# ---- pushdown automaton ---------------------------------------------------------------------------------------------


def stack(*pieces: tuple[float, list[float]], depth: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """symbols [1, 1, D, I] and thickness [1, 1, D], uppermost piece first."""
    symbols, thickness = torch.zeros(1, 1, depth, 2, dtype=torch.float64), torch.zeros(1, 1, depth, dtype=torch.float64)
    for k, (thick, symbol) in enumerate(pieces):
        symbols[0, 0, k], thickness[0, 0, k] = torch.tensor(symbol), thick
    return symbols, thickness


A, B = [1.0, 0.0], [0.0, 1.0]


def test_a_stack_by_hand():
    """As in the paper's figure: what lies in the uppermost unit of thickness is read, and popped from above."""
    given = stack((0.4, A), (0.3, B), (0.9, A))
    read = pushdown_automaton.top(*given)[0, 0]
    assert read.tolist() == pytest.approx([0.7, 0.3, 0.0])  # 0.4 of a, 0.3 of b, 0.3 of a
    assert pushdown_automaton.top(*stack((0.4, B)))[0, 0].tolist() == pytest.approx([0.0, 0.4, 0.6])
    assert pushdown_automaton.top(*stack())[0, 0].tolist() == [0.0, 0.0, 1.0]

    def act(by: float, *stack) -> list[float]:
        return pushdown_automaton.apply_action(*stack, tensor(*B)[0], tensor(by)[0])

    symbols, thickness = act(-0.5, *given)
    assert thickness[0, 0].tolist() == pytest.approx([0.0, 0.2, 0.9, 0.0])
    symbols, thickness = act(0.6, symbols, thickness)
    assert thickness[0, 0].tolist() == pytest.approx([0.6, 0.2, 0.9, 0.0])  # what was popped has made room
    assert symbols[0, 0, :3].tolist() == [B, B, A]
    assert act(-5.0, symbols, thickness)[1].sum() == 0
    symbols, thickness = act(0.5, *act(0.5, symbols, thickness))
    assert thickness[0, 0].tolist() == pytest.approx([0.5, 0.5, 0.6, 0.2])  # the bottom is forgotten
    assert act(0.0, *given)[1][0, 0].tolist() == pytest.approx([0.4, 0.3, 0.9, 0.0])


def automaton(w: dict, x: np.ndarray, outputs: int, readout: str) -> list[np.ndarray]:
    """One sequence with a Python list as the stack."""
    s, stack, found = np.eye(1, len(w["state.bias"]))[0], [], []
    for symbol in x:
        read, left = np.zeros(len(symbol) + 1), 1.0
        for piece, thick in reversed(stack):
            read[:-1] += min(thick, left) * piece
            left -= min(thick, left)
        read[-1] = left
        product = np.einsum("i,j,k->ijk", s, read, symbol).ravel()
        s, (action,) = (
            σ(w["state.weight"] @ product + w["state.bias"]),
            np.tanh(w["action.weight"] @ product + w["action.bias"]),
        )
        if action > 0:
            stack.append((symbol, action))
        while action < 0 and stack:
            piece, thick = stack.pop()
            if thick > -action:
                stack.append((piece, thick + action))
            action = min(0.0, action + thick)
        whole = sum(thick for _, thick in stack)
        if readout == "linear":
            found.append(w["readout.weight"] @ np.append(s, whole) + w["readout.bias"])
        else:
            found.append(s[:outputs] if readout == "units" else np.append(s[: outputs - 1], whole))
    return found


@pytest.mark.parametrize("readout", ["linear", "units", "units_and_length"])
def test_an_automaton_symbol_by_symbol(readout):
    net = double("pushdown_automaton", 3, 2, units=3, depth=12, readout=readout)
    g, x = net.sample(6, 0) * 3, np.eye(3)[np.random.default_rng(1).integers(0, 3, (3, 12))]
    found = net.predict(g, x)
    expected = [[automaton(named(net, member), sequence, 2, readout) for sequence in x] for member in g]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    if readout == "units_and_length":
        falls = np.diff(found[..., 1], axis=-1) < -0.05
        assert falls.any() and (found[..., 1] > 1.5).any()  # both pops and pushes were seen


def test_states_are_enough_for_the_outputs():
    with pytest.raises(EvornnError, match="the first 3 units are the outputs, but there are only 2: raise units"):
        double("pushdown_automaton", 2, 3, units=2, readout="units")
    net = double("pushdown_automaton", 2, 3, units=2, readout="units_and_length")
    assert net.n == 2 * (2 * 3 * 2 + 1) + 2 * 3 * 2 + 1


# ---- a module of one's own ------------------------------------------------------------------------------------------


class Loop(torch.nn.Module):
    """A recurrence of one's own, with a layer and a parameter that stand in two places, a buffer, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.again = torch.nn.Linear(2, 3), torch.nn.Linear(3, 3)
        self.out = torch.nn.Linear(3, 1)
        self.tied, self.other = self.again, torch.nn.Linear(3, 3, bias=False)
        self.other.weight = self.again.weight
        self.register_buffer("decay", torch.tensor([0.9, 0.5, 0.1]))
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, seen = x.new_zeros(len(x), 3), []
        for t in range(x.shape[1]):
            h = self.decay * h + torch.tanh(self.into(x[:, t]) + self.again(h) - self.tied(h) + self.other(h))
            seen.append(self.out(self.drop(h)))
        return torch.stack(seen, 1)


def drawn(net: Network, module: torch.nn.Module) -> np.ndarray:
    """[1, n] a genome, whose values the module now has too."""
    g = net.sample(1, 5)
    torch.nn.utils.vector_to_parameters(torch.tensor(g[0]), module.parameters())
    return g


def test_a_users_module_is_what_it_was():
    module = Loop()
    net = Network(CustomModule(module, causal=True), inputs=2, outputs=1)
    x, y = np.random.default_rng(0).standard_normal((2, 4, 5, 2)).astype(np.float32), np.zeros((4, 5, 1), np.float32)
    g, outputs = drawn(net, module), module.eval()(torch.tensor(x[0]))
    np.testing.assert_allclose(net.predict(g, x[0])[0], outputs.detach(), rtol=1e-5)
    outputs.square().mean().backward()
    gradient = torch.cat([p.grad.flatten() for p in module.parameters()])
    np.testing.assert_allclose(net.gradients(g, x[0], y)[1][0], gradient, rtol=1e-4, atol=1e-7)
    assert net.n == sum(p.numel() for p in module.parameters()) and net.cell.causal and net.cell.module is not module


class Recurrent(torch.nn.Module):
    """torch's own recurrent module, begun from the inputs, and a read-out of its outputs and its end."""

    def __init__(self, kind: type, **settings) -> None:
        super().__init__()
        self.rnn = kind(2, 3, **settings)
        self.first = torch.nn.Linear(2, 3)
        self.out = torch.nn.Linear(3 * (1 + self.rnn.bidirectional), 1)
        self.last = torch.nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = x if self.rnn.batch_first else x.transpose(0, 1)
        start = self.first(x[:, 0]).expand(self.rnn.num_layers * (1 + self.rnn.bidirectional), -1, -1).contiguous()
        seen, end = (
            self.rnn(given, (start, 2 * start)) if isinstance(self.rnn, torch.nn.LSTM) else self.rnn(given, start)
        )
        end = end[1][-1] if isinstance(self.rnn, torch.nn.LSTM) else end[-1]
        seen = seen if self.rnn.batch_first else seen.transpose(0, 1)
        return self.out(seen) + self.last(end)[:, None] + self.out(self.rnn(given)[0].reshape(seen.shape))


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU])
@pytest.mark.parametrize(
    "settings",
    [{"batch_first": True}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "batch_first": True}],
    ids=["plain", "deep", "without bias"],
)
def test_torchs_recurrent_modules_within_a_module(kind, settings):
    module, x = Recurrent(kind, **settings), np.random.default_rng(0).standard_normal((4, 5, 2)).astype(np.float32)
    net = Network(CustomModule(module), inputs=2, outputs=1)
    g = drawn(net, module)
    np.testing.assert_allclose(net.predict(g, x)[0], module(torch.tensor(x)).detach(), atol=1e-6)
    assert np.isfinite(net.gradients(net.sample(3, 0), x, x[..., :1])[1]).all()


def test_members_are_drawn_around_a_modules_own_values():
    """The same spread, however the module was initialised; ± 0.1 around what is all the same."""
    module = torch.nn.Sequential(torch.nn.Linear(200, 50), torch.nn.LayerNorm(50), torch.nn.Linear(50, 1))
    with torch.no_grad():
        module[0].weight.mul_(7).add_(2)
    net = Network(CustomModule(module), inputs=200, outputs=1)
    genomes, blocks = net.sample(50, 0), net.layout.blocks
    first, scales = genomes[:, blocks["0.weight"].slice], genomes[:, blocks["1.weight"].slice]
    own = module[0].weight.detach().numpy()
    assert first.mean() == pytest.approx(own.mean(), rel=0.01) and first.std() == pytest.approx(own.std(), rel=0.01)
    assert 0.9 <= scales.min() < 0.91 and 1.09 < scales.max() <= 1.1


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (torch.nn.Linear(3, 1), r"can't be a network on inputs \[B, T, I\] = \[2, 3, 2\]: .*size"),
        (torch.nn.Linear(2, 3), r"must answer \[B, T, O\] = \[2, 3, 1\], got \[2, 3, 3\]"),
        (torch.nn.Flatten(), r"your module has no parameters"),
        (
            torch.nn.LSTM(2, 3, proj_size=1),
            r"your module, LSTM\(2, 3, proj_size=1\), can't be vectorised: use RNN, LST",
        ),
        ("linear", "CustomModule takes a torch.nn.Module, got str"),
    ],
)
def test_modules_that_are_no_network(module, message):
    with pytest.raises(EvornnError, match=message):
        Network(CustomModule(module), inputs=2, outputs=1)
