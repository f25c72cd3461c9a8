"""Losses of a user's own: those written in torch have gradients, of every cell; those of numpy's arrays have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from evornn.networks import NETWORKS, objective
from evornn.networks.network import Network

I, H, O, B, T, P = 3, 5, 4, 9, 8, 3  # noqa: E741
BACKENDS: tuple[Any, ...] = ("simd", "torch")


def asked(kind: str = "lstm", **settings: Any) -> tuple[Network, Any, Any, Any, Any]:
    """A network, genomes, inputs, targets and a mask: sequences of different lengths."""
    network = Network(kind, **{"inputs": I, "units": H, "outputs": O, **settings})
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((B, T, I)), rng.standard_normal((B, T, O))
    mask = np.arange(T) < rng.integers(3, T + 1, B)[:, None]
    mask[0] = True
    return network, network.sample(P, 0), x, y, mask


def exact(network: Network) -> Network:
    """The same in double precision, by torch."""
    sizes = {"inputs": I, "units": H, "outputs": O}
    return Network(network.cell, **sizes, dtype="float64", backend="torch")


def by_autograd(network: Network, genomes: Any, x: Any, y: Any, mask: Any, loss: Any) -> tuple[Any, Any]:
    """Losses and gradients of each member by torch alone, through a module with its weights, in double precision."""
    losses, gradients = [], []
    for genome in np.float64(genomes):
        module = exact(network).to_torch(genome)
        value = loss(module(torch.tensor(np.float64(x)))[None], torch.tensor(y), torch.tensor(mask))[0]
        value.backward()
        losses.append(value.item())
        gradients.append(torch.cat([p.grad.flatten() for p in module.parameters()]).numpy())
    return np.array(losses), np.array(gradients)


# ---- losses that people write ---------------------------------------------------------------------------------------


def huber(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    errors = functional.huber_loss(outputs, targets.expand_as(outputs), reduction="none", delta=0.3)
    return errors.mean(-1)[:, mask].mean(-1)


def pinball(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Of three quantiles of the first target, and nothing of the last output."""
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=outputs.dtype)
    below = targets[None, ..., :1] - outputs[..., :3]
    return torch.maximum(levels * below, (levels - 1) * below).sum(-1)[:, mask].mean(-1)


def mixture(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """−log of a mixture of two normal densities of the first target: outputs are means, log widths share, weight."""
    means, width, weight = outputs[..., :2], outputs[..., 2:3].exp(), outputs[..., 3:]
    logs = torch.cat([functional.logsigmoid(weight), functional.logsigmoid(-weight)], -1)
    density = torch.distributions.Normal(means, width).log_prob(targets[None, ..., :1]) + logs
    return -density.logsumexp(-1)[:, mask].mean(-1)


def at_the_end(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Of each sequence's last step that counts, however long it is."""
    last = mask.sum(1) - 1
    rows = torch.arange(len(last))
    return (outputs[:, rows, last] - targets[rows, last]).square().sum(-1).mean(-1)


def smooth(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """What no sum over single steps is: the outputs' changes, and their worst error."""
    changes = (outputs[:, :, 1:] - outputs[:, :, :-1]).square() * mask[:, 1:, None]
    return changes.sum((1, 2, 3)) + ((outputs - targets).abs() * mask[..., None]).flatten(1).amax(1)


SERIES: list[Any] = [huber, pinball, mixture, at_the_end, smooth]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("loss", SERIES)
def test_gradients_are_torchs(loss: Any, backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    losses, gradients = network.gradients(genomes, x, y, loss=loss, mask=mask)
    right, by_torch = by_autograd(network, genomes, x, y, mask, loss)
    np.testing.assert_allclose(losses, right, rtol=1e-5)
    assert (np.linalg.norm(gradients - by_torch, axis=1) < 1e-4 * np.linalg.norm(by_torch, axis=1)).all()
    np.testing.assert_allclose(network.losses(genomes, x, y, loss=loss, mask=mask), losses, rtol=1e-6)


def ctc(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006): a sequence's labels stand in its first two steps."""
    lengths, labels = mask.sum(1), targets[:, :2]
    two = torch.full((len(labels),), 2)
    return torch.stack([functional.ctc_loss(o.log_softmax(-1).transpose(0, 1), labels, lengths, two) for o in outputs])


def chosen(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    rows = outputs[:, mask].flatten(0, 1)
    labels = targets[mask].repeat(len(outputs))
    return functional.cross_entropy(rows, labels, label_smoothing=0.1, reduction="none").view(len(outputs), -1).mean(1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("inputs", ["series", "classes"])
@pytest.mark.parametrize("loss", [ctc, chosen])
def test_class_numbers_come_as_they_were_given(loss: Any, inputs: str, backend: Any) -> None:
    network, genomes, x, _, mask = asked("gru", backend=backend)
    rng = np.random.default_rng(1)
    y, classes = rng.integers(1, O, (B, T)), rng.integers(0, I, (B, T))
    dense = np.eye(I)[classes] if inputs == "classes" else x
    losses, gradients = network.gradients(genomes, classes if inputs == "classes" else x, y, loss=loss, mask=mask)
    right, by_torch = by_autograd(network, genomes, dense, y, mask, loss)
    np.testing.assert_allclose(losses, right, rtol=1e-5)
    assert (np.linalg.norm(gradients - by_torch, axis=1) < 1e-4 * np.linalg.norm(by_torch, axis=1)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_loss_is_given(backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    seen: list[Any] = []

    def look(outputs: Any, targets: Any, counted: Any) -> Any:
        seen.append([outputs, targets, counted])
        return outputs.reshape(len(outputs), -1).sum(1)

    def look_in_torch(outputs: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        return look(outputs, targets, counted)  # type: ignore[no-any-return]

    classes = np.where(mask, np.argmax(y, -1), -100)
    network.losses(genomes, x, np.where(mask[..., None], y, np.nan), loss=look, mask=mask)
    network.losses(genomes, x, classes, loss=look, mask=mask)
    network.losses(genomes, x, classes, loss=look_in_torch, mask=mask)
    assert [type(a).__name__ for a in (*seen[0], *seen[1], *seen[2])] == ["ndarray"] * 6 + ["Tensor"] * 3
    for outputs, targets, counted in seen:
        assert outputs.shape == (P, B, T, O) and outputs.dtype in (np.float32, torch.float32)
        np.testing.assert_array_equal(counted, mask)
        assert not np.asarray(targets)[~mask].any()  # nothing that does not count is seen
    np.testing.assert_allclose(seen[0][1][mask], y[mask], rtol=1e-6)
    for _, targets, _ in seen[1:]:
        assert targets.dtype in (np.int64, torch.int64)
        np.testing.assert_array_equal(targets[mask], classes[mask])


KINDS = ["elman", "second_order", "ctrnn", "jordan", "lstm_fgr", "clockwork", "neural_turing_machine"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_is_trained(kind: str) -> None:
    """By its own kernel; what is made of no cells is computed by torch anyway."""
    assert kind in NETWORKS
    network, genomes, x, y, mask = asked(kind)
    losses, gradients = network.gradients(genomes, x, y, loss=huber, mask=mask)
    right, by_torch = exact(network).gradients(genomes, x, y, loss=huber, mask=mask)
    np.testing.assert_allclose(losses, right, rtol=1e-4)
    assert (np.linalg.norm(gradients - by_torch, axis=1) < 1e-3 * np.linalg.norm(by_torch, axis=1)).all()


def squares(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return (outputs - targets).square().mean(-1)[:, mask].mean(-1)


@pytest.mark.parametrize("sizes", [{}, {"outputs": 600}, {"layers": 2, "initial_state": "learned"}], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_mean_square_written_out_is_the_kernels(backend: Any, sizes: dict[str, Any]) -> None:
    network, genomes, x, _, mask = asked("gru", backend=backend, **sizes)
    y = np.random.default_rng(2).standard_normal((B, T, sizes.get("outputs", O)))
    own, ours = (network.gradients(genomes, x, y, loss=loss, mask=mask, washout=1) for loss in (squares, "mse"))
    for found, right in zip(own, ours, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-6)


# ---- states, batches, threads, members ------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_goes_on_from_a_state_and_leaves_one(backend: Any) -> None:
    """No gradient flows into a state that is given."""
    network, genomes, x, y, _ = asked("lstm", backend=backend, initial_state="learned")
    _, state = network.predict(genomes, x[:, :3], return_state=True)
    rest: Any = x[:, 3:], y[:, 3:]
    own = network.gradients(genomes, *rest, loss=squares, state=state, return_state=True)
    ours = network.gradients(genomes, *rest, loss="mse", state=state, return_state=True)
    for found, right in zip(own[:2], ours[:2], strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-6)
    for layer, right in zip(own[2], ours[2], strict=True):
        for name in right:
            np.testing.assert_allclose(layer[name], right[name], rtol=1e-5, atol=1e-6)
    assert not own[1][:, network.layout.blocks["0.h.initial"].slice].any()
    assert network.gradients(genomes, *rest, loss=squares)[1][:, network.layout.blocks["0.h.initial"].slice].all()
    np.testing.assert_allclose(network.losses(genomes, *rest, loss=squares, state=state), own[0], rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mini_batch_is_some_of_an_exams_sequences(backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    rows = np.array([4, 0, 4])
    found = network.objective(x, y, mask).take(rows).gradients(genomes, loss=huber)
    alone = network.gradients(genomes, x[rows], y[rows], loss=huber, mask=mask[rows])
    for answer, right in zip(found, alone, strict=True):
        np.testing.assert_array_equal(answer, right)


@pytest.mark.parametrize("sizes", [{}, {"outputs": 600}], ids=str)
@pytest.mark.parametrize("batch", [3, 20, 70])
def test_bits_depend_on_neither_threads_nor_company(batch: int, sizes: dict[str, int]) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((batch, T, I)), rng.standard_normal((batch, T, sizes.get("outputs", O)))
    networks = [asked("gru", threads=threads, **sizes)[0] for threads in (1, 2, 3)]
    genomes = networks[0].sample(19, 1)
    losses, gradients = networks[0].gradients(genomes, x, y, loss=squares)
    for network in networks:
        for members in (slice(0, 19), slice(5, 6), slice(17, 19)):
            found = network.gradients(genomes[members], x, y, loss=squares)
            np.testing.assert_array_equal(found[0], losses[members])
            np.testing.assert_array_equal(found[1], gradients[members])


def test_a_few_members_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, genomes, x, y, mask = asked()
    _, state = network.predict(genomes, x, return_state=True)
    whole = network.gradients(genomes, x, y, loss=huber, mask=mask, state=state, return_state=True)
    monkeypatch.setattr(objective, "OUTPUTS_AT_A_TIME", 1)
    parts = network.gradients(genomes, x, y, loss=huber, mask=mask, state=state, return_state=True)
    for found, right in zip((*parts[:2], *parts[2][0].values()), (*whole[:2], *whole[2][0].values()), strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_member_that_is_not_finite_is_nan_alone(backend: Any) -> None:
    network, genomes, x, y, mask = asked(backend=backend)
    right = network.gradients(genomes, x, y, loss=huber, mask=mask)
    genomes[1, 3] = np.inf
    losses, gradients = network.gradients(genomes, x, y, loss=huber, mask=mask)
    assert np.isnan(losses).tolist() == np.isnan(gradients).all(1).tolist() == [False, True, False]
    np.testing.assert_array_equal(losses[[0, 2]], right[0][[0, 2]])
    np.testing.assert_array_equal(gradients[[0, 2]], right[1][[0, 2]])


def test_torch_in_torch_out() -> None:
    network, genomes, x, y, mask = asked()
    given = torch.tensor(genomes, requires_grad=True)
    answers = network.losses(given, x, y, loss=huber), *network.gradients(given, x, y, loss=huber, mask=mask)
    assert all(isinstance(answer, Tensor) and not answer.requires_grad for answer in answers)
    with torch.no_grad():  # whatever the caller has switched off
        np.testing.assert_array_equal(network.gradients(genomes, x, y, loss=huber, mask=mask)[1], answers[2])
