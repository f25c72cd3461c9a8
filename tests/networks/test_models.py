"""Architectures that are no gated cell: one contract for all of them.

What the contract of cells (`test_cells.py`) says of a network holds for these too, on inputs that they understand.
"""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_specs import small_spec

import evornn
from evornn.errors import EvornnError
from evornn.kernels.model import Model
from evornn.networks import CELLS, NETWORKS
from evornn.networks.custom_module import CustomModule
from evornn.networks.network import Network
from evornn.settings import BadSetting
from evornn.tasks.core.task import Data, Sequences

I, O, H = 3, 2, 4  # noqa: E741


def mixer() -> CustomModule:
    """A module that sees the future, with parameters of its own that all begin at 1."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(I, H), torch.nn.LayerNorm(H), torch.nn.Tanh(), torch.nn.Linear(H, O))
    return CustomModule(Mean(layers))


class Mean(torch.nn.Module):
    """What the layers say of each step, and of all together."""

    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("share", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x) + self.share * self.layers(x).mean(1, keepdim=True)


def small(name: str) -> dict:
    """Its sizes and small settings, derived from the catalog."""
    settings = {key: value for key, value in small_spec(NETWORKS, name).items() if key != "kind"}
    return settings | ({"units": H} if "units" in NETWORKS[name].size_fields else {}) | SIZES.get(name, {})


MODELS = [name for name in NETWORKS if name not in CELLS]
SIZES = {"hopfield": {"outputs": I}}  # of networks that can't be I→O
VARIANTS: dict[str, dict] = {
    "bidirectional, two layers": {"units": H, "of": {"kind": "gru"}, "layers": 2, "initial_state": "learned"},
    "bidirectional, ctrnn": {"units": H, "of": {"kind": "ctrnn", "tau_high": 5.0}},
    "recursive, unary": {"units": H, "arity": 1},
    "history_compressor, three levels": {
        "units": H,
        "own_losses": 0.0,
        "tolerance": 0.5,
        "levels": 3,
        "initial_state": "learned",
    },
    "neural_turing_machine, heads": {
        "units": H,
        "controller": "feed_forward",
        "heads": 2,
        "slots": 6,
        "shifts": 2,
        "initial_state": "learned",
    },
    "pushdown_automaton, units": {"units": H, "readout": "units"},
    "pushdown_automaton, length": {"units": H, "readout": "units_and_length", "initial_state": "learned"},
    "own module": {"module": mixer()},
}
CASES = {name: small(name) for name in MODELS} | VARIANTS
NO_STATE = {"bidirectional", "own module", "recursive"}


def kind(case: str) -> str:
    return case.partition(",")[0]


def model(case: str) -> type[Model]:
    return CustomModule if case == "own module" else NETWORKS[kind(case)]


every_model = pytest.mark.parametrize("case", CASES)
differentiable = pytest.mark.parametrize("case", [case for case in CASES if model(case).differentiable])


def network(case: str, **more) -> Network:
    sizes = {"inputs": I, "outputs": O, **CASES[case], **more}
    if "module" in sizes:
        return Network(sizes.pop("module"), **sizes)
    return Network(kind(case), **sizes)


def data(case: str, batch: int = 3, length: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [B, T, I], of the form that the network reads, and targets."""
    rng, layout = np.random.default_rng(seed), network(case).layout
    x, y = rng.standard_normal((batch, length, I)), rng.standard_normal((batch, length, layout.outputs))
    x = READABLE.get(kind(case), lambda case, x, rng: x)(case, x, rng)
    try:
        layout.check_inputs(torch.tensor(x))
    except EvornnError as error:
        pytest.fail(
            f"{error}: write a function that makes inputs for {kind(case)}, and add it to READABLE in {__file__}"
        )
    return x, y


def trees(case: str, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random ones, with the labels of x."""
    arity, length = CASES[case].get("arity", 2), x.shape[1]
    children = rng.integers(0, np.arange(length)[:, None], (len(x), length, arity), endpoint=True)
    return np.concatenate([children, x[..., arity:]], axis=2)


READABLE = {"recursive": trees}


def answers(net: Network, genomes, x, y) -> tuple:
    gradients = net.gradients(genomes, x, y) if net.differentiable else ()
    return net.losses(genomes, x, y), *gradients, net.predict(genomes, x)


# ---- the contract ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_file_begins_with_its_paper_and_equation(name):
    module = inspect.getmodule(NETWORKS[name])
    head = re.match(r"[^(:]+ \(.*\d{4}\):\s+(.+)", module.__doc__)
    form = f"`Title (Authors year): equation` at the top of {module.__file__}"
    assert head and "=" in head[1], form
    assert Path(module.__file__).stem == name


@every_model
def test_shapes(case):
    net, (x, y) = network(case), data(case)
    genomes = net.sample(5, 0)
    losses, *gradients, outputs = answers(net, genomes, x, y)
    assert genomes.shape == (5, net.n) and losses.shape == (5,) and outputs.shape == (5, *y.shape)
    assert all(part.shape == shape for part, shape in zip(gradients, [(5,), (5, net.n)], strict=False))
    assert {a.dtype for a in (genomes, losses, *gradients, outputs)} == {np.dtype(np.float32)}
    assert all(np.isfinite(a).all() for a in (losses, *gradients, outputs)) and (losses > 0).all()


@every_model
@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.integers(2, 70), st.integers(1, 9), st.integers(1, 20), st.integers(1, 9), st.randoms(use_true_random=False))
def test_a_member_has_the_same_bits_in_any_company(case, population, batch, steps, units, random):
    """Whatever its place, its company and the threads."""
    sizes = {"units": units} if "units" in CASES[case] and case != "pushdown_automaton, units" else {}
    alone, shared = (network(case, threads=threads, **sizes) for threads in (1, 2))
    genomes, (x, y) = alone.sample(population, 1), data(case, 7 * batch, steps)  # more than a SIMD vector's lanes
    some = random.sample(range(population), random.randint(2, population))
    for whole, part in zip(answers(alone, genomes, x, y), answers(shared, genomes[some], x, y), strict=True):
        assert np.array_equal(whole[some], part)


@every_model
def test_a_single_member_is_what_it_is_in_company(case):
    net, (x, y) = network(case), data(case)
    genomes = net.sample(7, 3)
    for whole, single in zip(answers(net, genomes, x, y), answers(net, genomes[4:5], x, y), strict=True):
        np.testing.assert_allclose(whole[4:5], single, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@every_model
def test_float32_on_every_device_here_agrees_with_float64(case, device):
    single, double = network(case, device=device), network(case, dtype="float64")
    x, y = map(np.float32, data(case, 5, 12))
    genomes = single.sample(5, 2)
    np.testing.assert_allclose(single.losses(genomes, x, y), double.losses(genomes, x, y), rtol=1e-5)
    if single.differentiable:
        gradients = double.gradients(genomes, x, y)[1]
        error = np.linalg.norm(single.gradients(genomes, x, y)[1] - gradients, axis=1)
        assert (error <= 1e-4 * np.linalg.norm(gradients, axis=1)).all()


@differentiable
def test_gradients_are_finite_differences(case):
    net, (x, y) = network(case, dtype="float64"), data(case, batch=2, length=5)
    genome, step = np.float64(net.sample(1, 1)[0]), 1e-5 * np.eye(net.n)
    mask = np.array([[True] * 5, [False, True, True, False, False]])
    ahead, behind = (net.losses(genome + sign * step, x, y, mask=mask, washout=1) for sign in (1, -1))
    losses, gradients = net.gradients(genome[None], x, y, mask=mask, washout=1)
    np.testing.assert_allclose(gradients[0], (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(losses, net.losses(genome[None], x, y, mask=mask, washout=1))


@every_model
def test_state_carried_over_goes_on(case):
    net = network(case, dtype="float64")
    genomes, (x, _) = net.sample(3, 2), data(case, length=7)
    if not net.layout.states:
        assert kind(case) in NO_STATE, f"{kind(case)} has no state to carry over: add it to NO_STATE in {__file__}"
        assert net.predict(genomes, x, return_state=True)[1] == [{}]
        with pytest.raises(EvornnError, match="carries no state over: give it whole sequences"):
            net.predict(genomes, x, state=[{}])
        return
    whole = net.predict(genomes, x)
    for cut in (1, 3, 6):
        first, state = net.predict(genomes, x[:, :cut], return_state=True)
        carried, reset = net.predict(genomes, x[:, cut:], state=state), net.predict(genomes, x[:, cut:])
        np.testing.assert_allclose(np.concatenate([first, carried], 2), whole, rtol=1e-11, atol=1e-13)
        assert not net.differentiable or not np.allclose(carried, reset)


@pytest.mark.parametrize("case", [case for case in CASES if network(case).layout.states])
def test_a_learned_initial_state_is_the_same_as_that_state_given(case):
    if "initial_state" not in model(case).size_fields:
        with pytest.raises(BadSetting, match=r"network\.initial_state: .* has no use for it: leave it out"):
            network(case, initial_state="learned")
        return
    learned, zero = (network(case, initial_state=start, dtype="float64") for start in ("learned", "zero"))
    genomes, (x, _) = learned.sample(4, 5), data(case)
    moved = {name: genomes[:, learned.layout.blocks[f"{name}.initial"].slice] for name in learned.layout.learned_states}
    state = [
        {
            name: (np.float64(first) + moved.get(name, 0))[..., None, :]
            for name, first in zero.layout.initial_states.items()
        }
    ]
    expected = learned.predict(genomes, x)
    np.testing.assert_allclose(zero.predict(genomes[:, : zero.n], x, state=state), expected, rtol=1e-12)
    assert moved and not np.allclose(zero.predict(genomes[:, : zero.n], x), expected)


@pytest.mark.parametrize("case", [case for case in CASES if case != "own module"])
def test_unequal_lengths_are_the_sequences_one_by_one(case):
    """Neither padding nor what is masked elsewhere can change anything, be it not a number."""
    net, (x, y), lengths = network(case, dtype="float64"), data(case, batch=4), [6, 2, 4, 1]
    genomes, mask = net.sample(3, 0), np.arange(6) < np.array(lengths)[:, None]
    mask[0, 2] = False
    x[np.arange(6) >= np.array(lengths)[:, None]] = np.nan
    y[~mask] = np.nan
    ask = net.gradients if net.differentiable else lambda *a, **k: (net.losses(*a, **k),)
    one_by_one = [
        [
            mask[b, :length].sum() * part
            for part in ask(genomes, x[[b], :length], y[[b], :length], mask=mask[[b], :length])
        ]
        for b, length in enumerate(lengths)
    ]
    together = ask(genomes, x, y, mask=mask)
    for whole, parts in zip(together, zip(*one_by_one, strict=True), strict=True):
        assert np.isfinite(whole).all()
        np.testing.assert_allclose(whole, sum(parts) / mask.sum(), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(net.losses(genomes, x, y, mask=mask), together[0])

    def own(outputs, targets, counted):
        return [np.square(member[counted] - targets[counted]).mean() for member in outputs]

    np.testing.assert_allclose(net.losses(genomes, x, y, mask=mask, loss=own), together[0], rtol=1e-12)


@every_model
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_member_that_is_not_finite_is_nan_and_alone_in_that(case, bad):
    net, (x, y) = network(case), data(case)
    genomes = net.sample(4, 0)
    healthy = answers(net, genomes, x, y)
    for place in (0, net.n // 2, net.n - 1):
        ill = genomes.copy()
        ill[1, place] = bad
        for before, after in zip(healthy, answers(net, ill, x, y), strict=True):
            assert np.isnan(after[1]).all()
            assert np.array_equal(np.delete(after, 1, 0), np.delete(before, 1, 0))


@every_model
def test_sampled_genomes_come_from_the_declared_distribution(case):
    layout = (net := network(case)).layout
    genomes = net.sample(2000, 4)
    assert np.array_equal(genomes[:3], net.sample(3, 4)) and not np.array_equal(genomes[:3], net.sample(3, 5))
    for block in layout.blocks.values():
        part = genomes[:, block.slice]
        assert (part >= np.float32(block.initial.low)).all() and (part <= np.float32(block.initial.high)).all()
    assert (np.abs(genomes.mean(0) - layout.centre) < 6 * layout.scale / math.sqrt(2000)).all()
    assert sum(block.size for block in layout.blocks.values()) == net.n == len(layout.centre)


@pytest.mark.parametrize("case", [c for c in CASES if kind(c) not in ("own module", "bidirectional")])
def test_initial_distributions_are_the_documented_ones(case):
    """U[−1/√k, 1/√k], k units, or neurons where there are no others; learned states near their start."""
    for name, block in network(case).layout.blocks.items():
        bound = 0.1 if name.endswith(".initial") else 1 / math.sqrt(H if "units" in model(case).size_fields else I)
        documented = f"let {name} start in ±{bound:.3g}, or leave {kind(case)} out here and say so in its docstring"
        assert (block.initial.low, block.initial.high) == pytest.approx((-bound, bound)), documented


@every_model
def test_the_torch_module_is_the_network(case):
    net, (x, y) = network(case, dtype="float64"), data(case)
    genomes = np.float64(net.sample(2, 0))
    module, other = net.to_torch(genomes[0]), net.to_torch(genomes[1])
    outputs = module(torch.tensor(x))
    np.testing.assert_allclose(outputs.detach(), net.predict(genomes[:1], x)[0], rtol=1e-12)
    if net.differentiable:
        torch.nn.functional.mse_loss(outputs, torch.tensor(y)).backward()
        gradient = torch.cat([p.flatten() * 0 if p.grad is None else p.grad.flatten() for p in module.parameters()])
        np.testing.assert_allclose(gradient, net.gradients(genomes[:1], x, y)[1][0], rtol=1e-9, atol=1e-12)
    other.load_state_dict(module.state_dict())
    assert np.array_equal(other.genome().detach(), genomes[0]) and torch.equal(other(torch.tensor(x)), outputs)


@every_model
def test_a_causal_network_does_not_see_the_future(case):
    net, (x, _) = network(case, dtype="float64"), data(case, length=8)
    genomes, later = net.sample(3, 0), x.copy()
    label = CASES[case].get("arity", 2) if kind(case) == "recursive" else 0
    later[:, 5:, label:] *= -3
    unmoved = np.allclose(net.predict(genomes, later)[:, :, :5], net.predict(genomes, x)[:, :, :5], rtol=1e-12)
    assert unmoved == net.cell.causal


@every_model
def test_models_run_on_torch_and_say_so(case):
    assert network(case).backend == network(case, backend="torch").backend == "torch"
    with pytest.raises(EvornnError, match=r"written in torch, not a cell: set network\.backend to auto or torch"):
        network(case, backend="simd")


@pytest.mark.parametrize("case", [case for case in CASES if case != "own module"])
def test_settings_are_plain_data_and_back(case):
    cell = network(case).cell
    spec = NETWORKS.spec_of(cell)
    assert spec["kind"] == kind(case) and NETWORKS.build(spec) == cell


@every_model
def test_models_are_trained(case):
    """By evolution, by gradient where there is one, to a lower loss than the first ones had, and each time the same."""
    net, x = network(case), np.float32(data(case, batch=8)[0])
    y = np.float32(np.where(np.cumsum(x[..., :1], 1) > 0, 1, -1) * np.ones(net.layout.outputs))
    split = Sequences(x, y, np.ones(x.shape[:2], bool))
    trainers = [{"kind": "genetic_algorithm", "population": 20}, {"kind": "adam", "learning_rate": 0.02}]
    for trainer in trainers[: 1 + net.differentiable]:
        once, again = (
            evornn.train(net, Data(split, split, split), trainer, seed=1, budget=48 * 20 * 5) for _ in range(2)
        )
        assert once.result.train_loss < once.rows[0].mean
        assert np.array_equal(once.genome, again.genome) and once.result.environment["backend"] == "torch"
    if not net.differentiable:
        with pytest.raises(EvornnError, match="has no gradient: use an evolutionary trainer"):
            evornn.train(net, Data(split, split, split), "adam", budget=10_000)
        with pytest.raises(EvornnError, match="has no gradient: train it by evolution"):
            net.gradients(net.sample(2, 0), x, y)


def test_specs_of_models_run_and_are_stored(tmp_path):
    """Also those that take no units: naming some is an error."""
    spec = {
        "name": "memories",
        "tasks": [{"kind": "adding", "length": 10, "train": 8, "valid": 4, "test": 4}],
        "networks": [
            {"kind": "bidirectional", "of": {"kind": "elman"}, "units": 3},
            {"kind": "bidirectional_associative_memory"},
        ],
        "trainers": [{"kind": "weight_guessing", "population": 4}],
        "seeds": 1,
        "budget": 3000,
    }
    with evornn.run(spec, store=f"sqlite:///{tmp_path}/runs.db", workers=0) as results:
        for number, net in ((1, "bidirectional 2→3→1"), (2, "bidirectional_associative_memory 2→1")):
            run = results.run(number)
            assert net in repr(run.network) and run.result.environment["backend"] == "torch"
            assert run.network.losses(run.genome[None], run.data.test.inputs, run.data.test.targets).shape == (1,)
    spec["networks"] = [{"kind": "hopfield", "units": 8}]
    with pytest.raises(EvornnError, match=r"unknown setting of networks\.0 'units'"):
        evornn.run(spec, store=f"sqlite:///{tmp_path}/runs.db", workers=0)


def test_causal_tasks_refuse_networks_that_see_the_future(tmp_path):
    task = {"kind": "sunspots", "window": 24}
    with pytest.raises(EvornnError, match="sees the future, and Sunspots is about predicting it: use a causal network"):
        evornn.train(Network("bidirectional", inputs=1, units=2, outputs=1), task, "adam", budget=10_000)
    spec = {"name": "a", "tasks": [task], "trainers": [{"kind": "adam"}], "seeds": 1, "budget": 1000}
    with pytest.raises(EvornnError, match="sees the future"):
        evornn.run({**spec, "networks": [{"kind": "bidirectional"}]}, store=f"sqlite:///{tmp_path}/runs.db", workers=0)
