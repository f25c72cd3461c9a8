"""Network: losses and modules against torch's own, arrays in and out, and what users get wrong."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from evornn.arrays import Genome
from evornn.errors import EvornnError
from evornn.kernels import evaluate
from evornn.kernels.backend import Backend
from evornn.kernels.losses import STEP_LOSSES
from evornn.networks import CELLS
from evornn.networks.architectures.lstm_1997 import LSTM1997
from evornn.networks.convert import GATES, MODULES, RMLP, from_torch, to_torch_modules
from evornn.networks.loss import DIFFERENTIABLE, has_gradient
from evornn.networks.network import Network
from evornn.settings import BadSetting

I, H, O, B, T, P = 2, 4, 3, 3, 5, 4  # noqa: E741
CUDA = torch.cuda.is_available()


def elman(**settings) -> Network:
    return Network(
        "elman", **{"inputs": I, "units": H, "outputs": O, "dtype": "float64", "backend": "torch", **settings}
    )


def data(outputs: int = O) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets in (0, 1), which sum to 1 if there are several, and a mask that counts some steps of every
    sequence."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((B, T, I)), rng.random((B, T, outputs))
    y = y / y.sum(-1, keepdims=True) if outputs > 1 else y
    return x, y, np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]], bool)


def steps(loss: str, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """[steps] torch's own loss of rows of outputs [steps, O]."""
    if loss == "mse":
        return functional.mse_loss(outputs, targets, reduction="none").mean(1)
    if loss == "mae":
        return functional.l1_loss(outputs, targets, reduction="none").mean(1)
    if loss == "poisson":
        return functional.poisson_nll_loss(outputs, targets, reduction="none").mean(1)
    if loss == "cross_entropy":
        return functional.cross_entropy(outputs, targets, reduction="none")
    return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)


# ---- losses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [(loss, outputs) for loss in DIFFERENTIABLE for outputs in (1, 3) if (loss, outputs) != ("cross_entropy", 1)],
)
def test_losses_and_gradients_are_torchs(loss, outputs):
    net, (x, y, mask) = elman(outputs=outputs), data(outputs)
    genomes = net.sample(P, 0) * 5
    losses, gradients = net.gradients(genomes, x, y, loss=loss, mask=mask)
    np.testing.assert_allclose(net.losses(genomes, x, y, loss=loss, mask=mask), losses, rtol=1e-12)
    for genome, value, gradient in zip(genomes, losses, gradients, strict=True):
        module = net.to_torch(genome)
        expected = steps(loss, module(torch.tensor(x))[mask], torch.tensor(y)[mask]).mean()
        expected.backward()
        assert value == pytest.approx(expected.item(), rel=1e-9, abs=1e-15)
        by_torch = torch.cat([p.grad.flatten() for p in module.parameters()])
        np.testing.assert_allclose(gradient, by_torch, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", "zero_one"])
@pytest.mark.parametrize("padding", [0, -100, 255])
def test_class_numbers_are_one_hot_targets(loss, padding):
    """Also where the padding is no class."""
    net, (x, _, mask) = elman(), data()
    classes = np.where(mask, np.arange(B * T).reshape(B, T) % O, padding)
    one_hot, genomes = np.eye(O)[np.where(mask, classes, 0)], net.sample(P, 0)
    numbers = net.losses(genomes, x, classes, loss=loss, mask=mask)
    np.testing.assert_array_equal(numbers, net.losses(genomes, x, one_hot, loss=loss, mask=mask))
    if loss == "cross_entropy":
        logits = torch.tensor(net.predict(genomes, x))[:, mask]
        labels = torch.tensor(classes[mask]).expand(P, -1)
        expected = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        np.testing.assert_allclose(numbers, expected.view(P, -1).mean(1), rtol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_zero_one_counts_wrong_decisions(outputs):
    net, (x, y, mask) = elman(outputs=outputs), data(outputs)
    genomes, wrong = net.sample(P, 0), []
    for prediction in net.predict(genomes, x):
        chosen = prediction[mask].argmax(1) if outputs > 1 else prediction[mask][:, 0] > 0
        right = y[mask].argmax(1) if outputs > 1 else y[mask][:, 0] > 0.5
        wrong.append(sum(c != r for c, r in zip(chosen, right, strict=True)) / mask.sum())
    np.testing.assert_allclose(net.losses(genomes, x, y, loss="zero_one", mask=mask), wrong, rtol=1e-12)
    assert len(set(wrong)) > 1


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=5), st.integers(0, 4), st.integers(0, 4))
def test_losses_of_extreme_outputs_stay_finite(outputs, right, seed):
    """float32: what torch can compute, we can."""
    rows = torch.tensor([outputs])
    targets = functional.one_hot(torch.tensor([right % len(outputs)]), len(outputs)).float()
    for loss in DIFFERENTIABLE:
        ours, torchs = STEP_LOSSES[loss](rows[None, None], targets[None])[0, 0], steps(loss, rows, targets)
        assert ours.isfinite().all() or loss == "poisson", "an infinite rate"
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-6)


def test_a_users_own_loss():
    net, (x, y, mask) = elman(), data()
    genomes = net.sample(P, 0)

    def worst(outputs, targets, counted):
        assert (outputs.shape, targets.shape, counted.shape) == ((P, B, T, O), (B, T, O), (B, T))
        return [np.abs(member[counted] - targets[counted]).max() for member in outputs]

    losses = net.losses(genomes, x, y, loss=worst, mask=mask)
    unknown = np.where(mask[..., None], y, np.nan)
    np.testing.assert_array_equal(
        net.losses(genomes, x, unknown, loss=lambda o, t, m: np.abs(t[~m]).max() + worst(o, t, m), mask=mask), losses
    )
    np.testing.assert_allclose(losses, np.abs(net.predict(genomes, x) - y)[:, mask].max((1, 2)))
    mean = net.losses(genomes, x, y, loss=lambda o, t, m: np.square(o - t)[:, m].mean((1, 2)), mask=mask, washout=1)
    np.testing.assert_allclose(mean, net.losses(genomes, x, y, mask=mask, washout=1), rtol=1e-12)


def test_a_users_own_loss_cannot_hide_what_is_not_finite():
    net, (x, y, _) = elman(), data()
    genomes = net.sample(P, 0)
    genomes[2, 0] = np.nan
    losses = net.losses(genomes, x, y, loss=lambda o, t, m: np.zeros(len(o)))
    assert np.isnan(losses).tolist() == [False, False, True, False]


def test_a_decision_that_overflows_is_not_right():
    """The genome is finite, its outputs are not: no class is the largest."""
    net, (x, y, _) = elman(dtype="float32"), data()
    genomes = net.sample(P, 0)
    genomes[1, net.layout.blocks["readout.weight"].slice] = 3e38
    losses = net.losses(genomes, x, y, loss="zero_one")
    assert np.isnan(losses).tolist() == [False, True, False, False]


def test_only_losses_with_a_gradient_have_one():
    assert {loss for loss in STEP_LOSSES if not has_gradient(loss)} == {"zero_one"}
    assert not has_gradient(lambda outputs, targets, mask: outputs)


# ---- torch's own recurrent modules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("direction", ["from torch", "to torch"])
def test_torchs_modules_give_our_outputs_and_gradients(name, layers, direction):
    """float32, parameter by parameter."""
    net, (x, y, _) = network(name, layers), data()
    if direction == "from torch":
        recurrent, readout = modules(name, layers)
        genome = from_torch(net, recurrent, readout)
    else:
        recurrent, readout = to_torch_modules(net, genome := net.sample(1, 3)[0])
        np.testing.assert_array_equal(from_torch(net, recurrent, readout), genome)
    outputs = readout(recurrent(torch.tensor(x, dtype=torch.float32))[0])
    np.testing.assert_allclose(net.predict(genome[None], x)[0], outputs.detach(), rtol=1e-5, atol=1e-6)
    functional.mse_loss(outputs, torch.tensor(y, dtype=torch.float32)).backward()
    gradient = net.gradients(genome[None], x, y)[1][0]
    for block, expected in torch_gradients(name, layers, recurrent, readout).items():
        ours = gradient[net.layout.blocks[block].slice]
        np.testing.assert_allclose(ours, expected.flatten(), rtol=1e-4, atol=1e-6, err_msg=block)


def network(name: str, layers: int = 1) -> Network:
    return Network(name, inputs=I, units=H, outputs=O, layers=layers, backend="torch")


def modules(name: str, layers: int):
    """torch's modules with random weights, all biases included."""
    recurrent = MODULES[name](I, H, num_layers=layers, batch_first=True)
    readout, draw = torch.nn.Linear(H, O), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in (*recurrent.parameters(), *readout.parameters()):
            parameter.copy_(torch.rand(parameter.shape, generator=draw) - 0.5)
    return recurrent, readout


def torch_gradients(name, layers, recurrent, readout) -> dict[str, torch.Tensor]:
    """Our block → torch's gradient of it, by torch's documented order of rows."""
    order = {"elman": "h", RMLP: "h", "lstm": "ifzo", "gru": "rzn"}[name]
    found = {"readout.weight": readout.weight.grad, "readout.bias": readout.bias.grad}
    for layer in range(layers):
        for k, gate in enumerate(order):
            rows = slice(k * H, (k + 1) * H)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            part = {n: getattr(recurrent, f"{n}_l{layer}").grad[rows] for n in names}
            hidden = "m" if (name, gate) == ("gru", "n") else gate
            found |= {f"{layer}.{gate}.x": part["weight_ih"], f"{layer}.{gate}.bias": part["bias_ih"]}
            found |= {f"{layer}.{hidden}.h": part["weight_hh"], f"{layer}.{hidden}.bias": part["bias_hh"]}
    return found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": 2}, "num_layers=1"),
        ({"bidirectional": True}, "bidirectional=False"),
        ({"bias": False}, "bias=True"),
        ({"nonlinearity": "relu"}, "nonlinearity=tanh"),
        ({"hidden_size": 5}, "make the sizes equal"),
    ],
)
def test_modules_that_compute_something_else_are_refused(settings, message):
    module = torch.nn.RNN(**{"input_size": I, "hidden_size": H, **settings})
    with one_line(message):
        from_torch(network("elman"), module, torch.nn.Linear(module.hidden_size, O))


def test_torchs_relu_is_elmans():
    net, (x, _, _) = Network("elman", inputs=I, units=H, outputs=O, activation="relu", backend="torch"), data()
    recurrent, readout = torch.nn.RNN(I, H, nonlinearity="relu", batch_first=True), torch.nn.Linear(H, O)
    genome = from_torch(net, recurrent, readout)
    outputs = readout(recurrent(torch.tensor(x, dtype=torch.float32))[0])
    np.testing.assert_allclose(net.predict(genome[None], x)[0], outputs.detach(), rtol=1e-5, atol=1e-6)
    assert to_torch_modules(net, genome)[0].nonlinearity == "relu"
    logistic = Network("elman", inputs=I, units=H, outputs=O, activation="sigmoid")
    with one_line("torch has no module equal to .* none with sigmoid"):
        from_torch(logistic, recurrent, readout)


def test_other_refusals_of_conversion():
    rnn, linear = torch.nn.RNN(I, H), torch.nn.Linear(H, O)
    with one_line("lstm takes its weights from torch.nn.LSTM"):
        from_torch(network("lstm"), rnn, linear)
    with one_line("proj_size=0"):
        from_torch(network("lstm"), torch.nn.LSTM(I, H, proj_size=2), linear)
    with one_line("Linear with bias"):
        from_torch(network("elman"), rnn, torch.nn.Linear(H, O, bias=False))
    with one_line("torch has no module equal to"):
        to_torch_modules(network("ctrnn"), network("ctrnn").sample(1, 0)[0])


# ---- modules --------------------------------------------------------------------------------------------------------


def test_the_module_trains_like_any_other():
    net, (x, y, _) = elman(), (torch.tensor(a) for a in data())
    module = net.to_torch(start := np.float64(net.sample(1, 0)[0]))
    before = start.copy()
    optimiser, losses = torch.optim.Adam(module.parameters(), lr=0.02), []
    for _ in range(30):
        optimiser.zero_grad()
        losses.append(functional.mse_loss(module(x), y))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_array_equal(start, before)
    trained = module.genome().detach()[None]
    assert net.losses(trained, x, y).item() == pytest.approx(functional.mse_loss(module(x), y).item(), rel=1e-9)


def test_the_module_is_named_counted_copied_and_cast():
    net, (x, _, _) = network("lstm", layers=2), data()
    module = net.to_torch(net.sample(1, 0)[0])
    assert {"0_f_x", "1_o_bias", "readout_weight"} <= {name for name, _ in module.named_parameters()}
    assert sum(p.numel() for p in module.parameters()) == net.n
    twin = copy.deepcopy(module).double()
    torch.testing.assert_close(twin(torch.tensor(x)).float(), module(torch.tensor(x, dtype=torch.float32)))


# ---- where it is computed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if CUDA else [])])
@pytest.mark.parametrize("name", CELLS)
def test_float32_on_every_device_here_agrees_with_float64(name, device):
    x, y, mask = data()
    single, double = (
        Network(name, inputs=I, units=H, outputs=O, device=d, dtype=t, backend="torch")
        for d, t in ((device, "float32"), ("cpu", "float64"))
    )
    genomes, x, y = single.sample(40, 0), np.float32(x), np.float32(y)
    losses, gradients = single.gradients(genomes, x, y, mask=mask)
    expected, exact = double.gradients(genomes, x, y, mask=mask)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert (np.linalg.norm(gradients - exact, axis=1) <= 1e-4 * np.linalg.norm(exact, axis=1)).all()
    np.testing.assert_allclose(single.predict(genomes, x), double.predict(genomes, x), rtol=1e-4, atol=1e-5)
    assert single.losses(genomes[:1], x, y, mask=mask) == pytest.approx(expected[:1], rel=1e-5)


# ---- arrays in and out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_saved_genomes_give_the_same_bits(name, tmp_path):
    """Through a file, read as a whole or mapped read-only."""
    net, (x, y, _) = network(name), data()
    genomes = net.sample(P, 0)
    np.save(tmp_path / "genomes.npy", genomes)
    for mode in (None, "r"):
        loaded = np.load(tmp_path / "genomes.npy", mmap_mode=mode)
        np.testing.assert_array_equal(net.losses(loaded, x, y), net.losses(genomes, x, y))
    assert net.to_torch(np.load(tmp_path / "genomes.npy", mmap_mode="r")[1]).genome().tolist() == genomes[1].tolist()


def test_torch_in_torch_out():
    net, (x, y, mask) = elman(), data()
    genomes = net.sample(P, 0)
    given = torch.tensor(genomes, requires_grad=True)
    answers = [net.losses(given, x, y, mask=mask), *net.gradients(given, x, y), net.predict(given, x)]
    expected = [net.losses(genomes, x, y, mask=mask), *net.gradients(genomes, x, y), net.predict(genomes, x)]
    for ours, numpy in zip(answers, expected, strict=True):
        assert isinstance(ours, torch.Tensor) and not ours.requires_grad and isinstance(numpy, np.ndarray)
        np.testing.assert_array_equal(ours, numpy)
    assert isinstance(net.losses(given, x, y, loss=lambda o, t, m: o.mean((1, 2, 3))), torch.Tensor)
    given_series = (torch.tensor(x), torch.tensor(y), torch.tensor(mask))
    np.testing.assert_array_equal(net.losses(genomes, *given_series[:2], mask=given_series[2]), expected[0])


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.tolist(),
        lambda a: np.flip(np.flip(a, 1).copy(), 1),
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(">f8"),
        lambda a: np.broadcast_to(a, a.shape),
    ],
    ids=["lists", "backward", "fortran", "big-endian", "read-only"],
)
def test_any_array_of_numbers_will_do(view):
    net, (x, y, _) = elman(), data()
    genomes = np.float64(net.sample(P, 0))
    expected = net.losses(genomes, x, y)
    np.testing.assert_array_equal(net.losses(view(genomes), view(x), view(y)), expected)


@pytest.mark.parametrize("given", [{}, {"dtype": "float32", "backend": "simd"}], ids=["torch", "simd"])
def test_a_mini_batch_is_some_of_an_exams_sequences(given):
    """To the bit, whatever was asked before; padding may be anything there, and targets that don't count."""
    net, (x, y, mask) = elman(**given), data()
    x[1, 3:], y[~mask] = np.nan, np.nan
    genomes, exam = net.sample(P, 0), net.objective(x, y, mask)
    whole = exam.losses(genomes)
    np.testing.assert_array_equal(whole, net.losses(genomes, x, y, mask=mask))
    for rows in (np.array([2, 0]), np.array([1]), np.array([0, 1, 2, 1])):
        part, few = exam.take(rows), (x[rows], y[rows])
        np.testing.assert_array_equal(part.losses(genomes), net.losses(genomes, *few, mask=mask[rows]))
        for found, right in zip(part.gradients(genomes), net.gradients(genomes, *few, mask=mask[rows]), strict=True):
            np.testing.assert_array_equal(found, right)
            assert np.isfinite(found).all()
    np.testing.assert_array_equal(exam.losses(genomes), whole)
    part = exam.take(np.array([1, 2])).slice_steps(slice(1, 3))
    assert len(part) == 2
    np.testing.assert_array_equal(part.losses(genomes), net.losses(genomes, x[1:, 1:3], y[1:, 1:3], mask=mask[1:, 1:3]))


def test_a_mini_batch_in_which_nothing_counts_is_refused():
    net, (x, y, mask) = elman(), data()
    mask[1] = False
    exam = net.objective(x, y, mask)
    with pytest.raises(EvornnError, match="no step of a mini-batch counts: use larger batches"):
        exam.take(np.array([1, 1]))
    assert np.isfinite(exam.take(np.array([1, 0])).losses(net.sample(P, 0))).all()


def test_arguments_stay_as_they_were():
    net, (x, y, mask) = elman(), data()
    given = (net.sample(P, 0), x, y, mask)
    before = [a.copy() for a in given]
    net.gradients(*given[:3], mask=mask, washout=2)
    net.losses(*given[:3], mask=mask, washout=2)
    for was, now in zip(before, given, strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_given_state_may_be_one_for_all():
    net, (x, _, _) = elman(), data()
    genomes, h = net.sample(P, 0), np.random.default_rng(0).standard_normal((B, H))
    for_each = net.predict(genomes, x, state=[{"h": np.tile(h, (P, 1, 1))}])
    np.testing.assert_array_equal(net.predict(genomes, x, state=[{"h": h}]), for_each)
    weights = {name: genomes[:, b.slice].reshape(P, *b.shape).astype(float) for name, b in net.layout.blocks.items()}
    for p in range(P):
        w = {name: value[p] for name, value in weights.items()}
        first = np.tanh(x[:, 0] @ w["0.h.x"].T + h @ w["0.h.h"].T + w["0.h.bias"])
        np.testing.assert_allclose(for_each[p, :, 0], first @ w["readout.weight"].T + w["readout.bias"], rtol=1e-9)


def test_chunks_of_sequences_change_no_more_than_rounding(monkeypatch):
    net, (x, y, mask) = elman(layers=2), data()
    genomes = net.sample(40, 0)
    whole = (*net.gradients(genomes, x, y, mask=mask), net.losses(genomes, x, y, mask=mask), net.predict(genomes, x))
    _, end = net.predict(genomes, x, return_state=True)
    monkeypatch.setitem(evaluate.CHUNK_BYTES, "cpu", 1)
    cut = (*net.gradients(genomes, x, y, mask=mask), net.losses(genomes, x, y, mask=mask), net.predict(genomes, x))
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)
    halves = net.predict(genomes, x, state=end)
    monkeypatch.undo()
    np.testing.assert_allclose(net.predict(genomes, x, state=end), halves, rtol=1e-9)


# ---- what users get wrong -------------------------------------------------------------------------------------------


def one_line(message: str):
    """One line that holds the message."""
    return pytest.raises(EvornnError, match=rf"\A.*{message}[^\n]*\Z")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "cuda"}, r"network\.backend: must be auto, simd or torch, got 'cuda'"),
        ({"backend": "simd", "dtype": "float64"}, "no SIMD kernel for this network, since its numbers are float64"),
        ({"cell": "lsmt"}, "unknown network 'lsmt': did you mean 'lstm'"),
        ({"cell": 7}, "unknown network 7"),
        ({"cell": "lstm", "forget_bais": 0}, "did you mean 'forget_bias'"),
        ({"cell": "lstm", "forget_bias": "big"}, r"network\.forget_bias: .* got 'big'"),
        ({"cell": "ctrnn", "dt": 0}, r"network\.dt"),
        ({"cell": "ctrnn", "dt": 2.0}, "dt ≤ tau_low ≤ tau_high, or the method exponential"),
        ({"cell": "ctrnn", "tau_low": 30.0}, "tau_low ≤ tau_high and gain_low ≤ gain_high: exchange them"),
        ({"cell": "ctrnn_neat", "dt": 2.0}, "dt ≤ tau_low"),
        ({"cell": "jordan", "alpha": 1.0}, r"network\.alpha: must be below 1, got 1.0"),
        ({"cell": "elman", "activation": "sine"}, r"network\.activation: .*'tanh', 'sigmoid' or 'relu', got 'sine'"),
        ({"cell": "clockwork", "periods": []}, r"network\.periods: "),
        ({"cell": "mtrnn", "taus": [2, 5]}, "mtrnn has 2 taus: give 2 shares and sees, of groups 0 to 1"),
        ({"cell": "mtrnn", "inputs_to": [3]}, "of groups 0 to 2"),
        ({"cell": "lstm_1997", "biased": "none"}, r"network\.biased: "),
        ({"cell": "fully_recurrent", "units": 2}, "set units to 3 or more"),
        ({"units": 0}, r"network\.units: must be a whole number, at least 1, got 0"),
        ({"units": 2.5}, r"network\.units: .* got 2\.5"),
        ({"inputs": "2"}, r"network\.inputs: .* got '2'"),
        ({"layers": True}, r"network\.layers: .* got True"),
        ({"threads": -1}, r"network\.threads"),
        ({"initial_state": "random"}, "must be zero or learned, got 'random'"),
        ({"dtype": "float16"}, "must be float32 or float64, got 'float16'"),
        ({"device": "gpu"}, "must be cpu, cuda, cuda:1, …, got 'gpu'"),
        ({"device": "meta"}, "must be cpu, cuda"),
        ({"device": None}, "must be cpu, cuda"),
        ({"device": "cuda:99"}, "there are" if CUDA else "no CUDA device here: use cpu"),
    ],
)
def test_networks_that_cannot_be(settings, message):
    with one_line(message):
        Network(**{"cell": "elman", "inputs": I, "units": H, "outputs": O, **settings})


def test_extents_that_do_not_fit():
    with one_line("units must be a multiple of block_size = 2, got 5"):
        Network(LSTM1997(block_size=2), inputs=I, units=5, outputs=O)


def test_settings_beside_a_ready_cell():
    with one_line("alpha: give settings to the cell itself"):
        Network(network("elman").cell, inputs=I, units=H, outputs=O, alpha=1)


def spoil(series, value):
    """The series with one other value."""
    series = np.array(series)
    series[1, 2, 1] = value
    return series


X, Y, MASK = data()
N = elman().n
BAD = {
    "genomes of another length": (
        {"genomes": np.zeros((P, 7))},
        rf"genomes must be \[P, n\] .* n = {N} .* got \[4, 7\]",
    ),
    "one genome": ({"genomes": np.zeros(N)}, "genomes must be"),
    "no genome": ({"genomes": np.zeros((0, N))}, "P ≥ 1"),
    "genomes of text": ({"genomes": np.array([["a"] * N])}, "genomes must be an array of numbers, got ndarray of <U1"),
    "genomes of None": ({"genomes": None}, "genomes must be an array of numbers, got NoneType"),
    "complex genomes": ({"genomes": np.zeros((P, N), complex)}, "must be an array of numbers"),
    "complex tensor": ({"genomes": torch.zeros(P, N, dtype=torch.complex64)}, "must be an array of numbers"),
    "ragged inputs": ({"inputs": [[[1.0, 2.0]], [[1.0]]]}, "inputs must be an array of numbers, got list"),
    "inputs of objects": ({"inputs": X.astype(object)}, "inputs must be an array of numbers"),
    "inputs without batch": ({"inputs": X[0]}, r"inputs must be \[B, T, 2\]"),
    "inputs of another width": ({"inputs": X[..., :1]}, r"inputs must be \[B, T, 2\] .* got \[3, 5, 1\]"),
    "empty batch": ({"inputs": X[:0], "targets": Y[:0]}, r"not empty .* got \[0, 5, 2\]"),
    "no steps": ({"inputs": X[:, :0], "targets": Y[:, :0]}, "not empty"),
    "targets of another width": ({"targets": Y[..., :2]}, r"targets must be \[B, T, 3\]"),
    "targets of another length": ({"targets": Y[:, :2]}, "differ in batch or time"),
    "class indices of another length": ({"targets": np.zeros((B, 2), int)}, "targets must be"),
    "no class indices": ({"targets": np.zeros((0, 0), int)}, "targets must be"),
    "class number too large": ({"targets": np.full((B, T), O)}, "class indices must lie in 0…2 for 3 outputs, got 3…3"),
    "negative class number": ({"targets": np.full((B, T), -1)}, "class indices must lie in"),
    "mask of another shape": ({"mask": MASK[:2]}, r"mask must be \[B, T\] = \[3, 5\]"),
    "half a mask": ({"mask": MASK * 0.5}, r"mask\[0, 0\] is 0.5: must be True or False"),
    "mask of NaN": ({"mask": np.where(MASK, np.nan, 0)}, r"mask\[0, 0\] is nan: must be True or False"),
    "mask of counts": ({"mask": MASK * 3}, r"mask\[0, 0\] is 3: must be True or False"),
    "NaN in inputs": ({"inputs": spoil(X, np.nan)}, r"^inputs\[1, 2, 1\] is nan in float(32|64): replace it$"),
    "infinity in inputs": ({"inputs": spoil(X, -np.inf)}, r"^inputs\[1, 2, 1\] is -inf in float"),
    "NaN in targets": ({"targets": spoil(Y, np.nan)}, r"^targets\[1, 2, 1\] is nan .*, or set mask\[1, 2\] to False$"),
    "mask of text": ({"mask": "all"}, "mask must be an array of numbers"),
    "mask that leaves nothing": ({"mask": ~MASK & MASK}, "leave no step that counts"),
    "washout that leaves nothing": ({"washout": T}, "lower washout or lengthen the sequences"),
    "mask and washout that leave nothing": ({"mask": np.eye(B, T) > 0, "washout": 3}, "leave no step"),
    "negative washout": ({"washout": -1}, "washout: must be a whole number, at least 0, got -1"),
    "half a washout": ({"washout": 0.5}, "washout: must be a whole number"),
    "unknown loss": ({"loss": "crossentropy"}, "unknown loss 'crossentropy': did you mean 'cross_entropy'"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("method", ["losses", "gradients"])
def test_bad_arguments(method, case):
    wrong, message = BAD[case]
    given = {"genomes": elman().sample(P, 0), "inputs": X, "targets": Y, **wrong}
    with one_line(message):
        getattr(elman(), method)(given.pop("genomes"), given.pop("inputs"), given.pop("targets"), **given)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("zero_one", "the loss 'zero_one' has no gradient: train it by evolution, use one of mse, cross_entropy"),
        (lambda o, t, m: o.mean((1, 2, 3)), "has no gradient: train it by evolution"),
    ],
)
def test_losses_without_gradient_are_refused(loss, message):
    with one_line(message):
        elman().gradients(elman().sample(P, 0), X, Y, loss=loss)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (5, "loss must be one of mse, .* or a function of your own, got 5"),
        (lambda o, t, m: o.mean(), r"one number per member, \[4\], got \[\]"),
        (lambda o, t, m: o.mean((2, 3)), r"one number per member, \[4\], got \[4, 3\]"),
        (lambda o, t, m: None, "the result of your loss must be an array of numbers"),
    ],
)
def test_own_losses_that_say_something_else(loss, message):
    with one_line(message):
        elman().losses(elman().sample(P, 0), X, Y, loss=loss)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([5], "state must hold h"),
        ([], "state must hold h for each of 1 layers"),
        ([{"c": 0}], "state must hold h"),
        ([{"h": np.zeros((P, B, H + 1))}], r"state h must be \[P, B, size\] = \[4, 3, 4\], got \[4, 3, 5\]"),
        ([{"h": "zero"}], "state h must be an array of numbers"),
        ("zero", "state must hold h"),
        (3, "state must hold h"),
    ],
)
def test_bad_states(state, message):
    with one_line(message):
        elman().predict(elman().sample(P, 0), X, state=state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "count: .* at least 1, got 0"),
        ((3, -1), "seed: .* at least 0, got -1"),
        ((2.0, 0), "count: .* got 2.0"),
    ],
)
def test_bad_samples(arguments, message):
    with one_line(message):
        elman().sample(*arguments)


def test_bad_genomes_of_a_module():
    with one_line(rf"genome must be \[n\] with n = {N} .* got \[4, {N}\]"):
        elman().to_torch(elman().sample(P, 0))


# ---- read-outs that are solved --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_a_solved_readout_is_the_ridge_regression(cell: str, backend: Backend) -> None:
    net = Network(cell, inputs=2, units=6, outputs=3, backend=backend)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((12, 40, 2)), rng.standard_normal((12, 40, 3))
    mask, genomes = rng.random((12, 40)) < 0.8, net.sample(5, 0)
    solved = net.readouts(genomes, x, y, ridge=0.01, mask=mask, washout=5)
    weight, bias = (net.layout.blocks[f"readout.{part}"].slice for part in ("weight", "bias"))
    recurrent = np.setdiff1d(np.arange(net.n), np.r_[weight, bias])
    np.testing.assert_array_equal(solved[:, recurrent], genomes[:, recurrent])
    counted = mask & (np.arange(40) >= 5)
    for genome, found in zip(genomes, solved, strict=True):
        h = hidden(net, genome, x)[counted]
        centred, middle = h - h.mean(0), y[counted].mean(0)
        covariance = centred.T @ centred / len(h) + 0.01 * np.eye(6)
        right = np.linalg.solve(covariance, centred.T @ (y[counted] - middle) / len(h))
        np.testing.assert_allclose(found[weight].reshape(3, 6), right.T, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found[bias], middle - h.mean(0) @ right, rtol=1e-3, atol=1e-5)
    assert (net.losses(solved, x, y, mask=mask) < net.losses(genomes, x, y, mask=mask)).all()


def test_a_readout_without_bias_is_solved_without_one() -> None:
    net = Network(LSTM1997(biased="gates"), inputs=2, units=6, outputs=3, backend="torch")
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((12, 40, 2)), rng.standard_normal((12, 40, 3)) + 1
    solved, weight = net.readouts(net.sample(2, 0), x, y, ridge=0.01), net.layout.blocks["readout.weight"].slice
    for genome in solved:
        h = hidden(net, genome, x).reshape(-1, 6)
        right = np.linalg.solve(h.T @ h / len(h) + 0.01 * np.eye(6), h.T @ y.reshape(-1, 3) / len(h))
        np.testing.assert_allclose(genome[weight].reshape(3, 6), right.T, rtol=1e-3, atol=1e-5)


def hidden(net: Network, genome: Genome, x: Any) -> Any:
    """[B, T, H] by a network whose read-out hands on every unit."""
    wide = Network(net.cell, inputs=2, units=6, outputs=6, dtype="float64")
    own = np.zeros(wide.n)
    own[: wide.layout.blocks["readout.weight"].start] = genome[: net.layout.blocks["readout.weight"].start]
    own[wide.layout.blocks["readout.weight"].slice] = np.eye(6).ravel()
    return wide.predict(own[None], x)[0]


def test_readouts_of_bad_members_and_of_units_that_are_outputs() -> None:
    net = elman()
    genomes = net.sample(P, 0)
    genomes[1, 0] = np.inf
    assert np.isnan(net.readouts(genomes, X, Y)).all(1).tolist() == [k == 1 for k in range(P)]
    assert np.isfinite(net.readouts(net.sample(P, 0), X, np.zeros_like(Y), ridge=0.0)).all()
    with pytest.raises(BadSetting, match="ridge"):
        net.readouts(genomes, X, Y, ridge=-1.0)
    units = Network("fully_recurrent", inputs=X.shape[2], units=4, outputs=Y.shape[2])
    with pytest.raises(EvornnError, match="no linear read-out"):
        units.readouts(units.sample(2, 0), X, Y)
