"""Which losses of a user's own are written in torch, and so have a gradient; what the others are told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from evornn.errors import EvornnError
from evornn.networks.loss import has_gradient, is_written_in_torch
from evornn.networks.network import Network

O, P = 4, 3  # noqa: E741
BACKENDS: tuple[Any, ...] = ("simd", "torch")


def asked(kind: str = "lstm", **settings: Any) -> tuple[Network, Any, Any, Any, Any]:
    """A network, genomes, inputs, targets and a mask."""
    network = Network(kind, **{"inputs": 3, "units": 5, "outputs": O, **settings})
    rng = np.random.default_rng(0)
    mask = rng.random((9, 8)) < 0.7
    return network, network.sample(P, 0), rng.standard_normal((9, 8, 3)), rng.standard_normal((9, 8, O)), mask


def squares(outputs: Any, targets: Any, mask: Any) -> Any:
    return torch.square(outputs - targets).mean(-1)[:, mask].mean(-1)


class Weighted(torch.nn.Module):
    """With parameters of its own, which nobody trains here."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(1.0, O + 1))

    def forward(self, outputs: Any, targets: Any, mask: Any) -> Any:
        return ((outputs - targets).square() * self.weight).sum(-1)[:, mask].mean(-1)


weighted = Weighted()


class Called:
    """An object that can be called; its settings are numbers."""

    delta: float = 0.3

    def __call__(self, outputs: Any, targets: Any, mask: Any) -> Any:
        errors = functional.smooth_l1_loss(outputs, targets.expand_as(outputs), reduction="none")
        return errors.mean((1, 2, 3)) * self.delta

    def method(self, outputs: Any, targets: Any, mask: Any) -> Any:
        return self.delta * torch.square(outputs - targets).mean((1, 2, 3))


class Annotated:
    def __call__(self, outputs: Tensor, targets: Tensor, mask: Tensor) -> Any:
        return (outputs - targets).square().mean((1, 2, 3))


def scaled(outputs: Any, targets: Any, mask: Any, by: float = 1.0) -> Any:
    return by * torch.abs(outputs - targets).mean((1, 2, 3))


def annotated(outputs: "Tensor", targets, mask):  # type: ignore[no-untyped-def]  # noqa: UP037
    return (outputs - targets).square().mean((1, 2, 3))


def imported(outputs: Any, targets: Any, mask: Any) -> Any:
    import torch

    return torch.abs(outputs).mean((1, 2, 3))


def enclosing() -> Callable[..., Any]:
    module, weights = weighted, torch.ones(O)
    return lambda outputs, targets, mask: module(outputs * weights, targets, mask)


WRITTEN: dict[str, Any] = {
    "a function of torch's": functional.mse_loss, "a module of torch's": torch.nn.MSELoss(), "a module": weighted,
    "torch named": squares, "a function that is imported": lambda o, t, m: functional.relu(o).mean((1, 2, 3)),
    "an object": Called(), "a method": Called().method, "an annotated object": Annotated(), "an annotation": annotated,
    "with settings": functools.partial(scaled, by=2.0), "twice": functools.partial(functools.partial(scaled), by=2.0),
    "enclosed values": enclosing(), "a module that is named": lambda o, t, m: weighted(o, t, m),
    "imported inside": imported,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_these_are_written_in_torch(name: str) -> None:
    loss = WRITTEN[name]
    assert is_written_in_torch(loss) and has_gradient(loss)
    if name not in ("a function of torch's", "a module of torch's"):  # those give no number for each member
        network, genomes, x, y, mask = asked("elman")
        losses, gradients = network.gradients(genomes, x, y, loss=loss, mask=mask)
        assert losses.shape == (P,) and np.abs(gradients).sum() > 0
        np.testing.assert_allclose(network.losses(genomes, x, y, loss=loss, mask=mask), losses, rtol=1e-6)


def numpys(outputs: Any, targets: Any, mask: Any) -> Any:
    return np.square(outputs - targets)[:, mask].mean((1, 2))


class Numpys:
    def __call__(self, outputs: Any, targets: Any, mask: Any) -> Any:
        return numpys(outputs, targets, mask)


PLAIN: dict[str, Any] = {
    "numpy": numpys, "a lambda": lambda o, t, m: o.mean((1, 2, 3)), "an object": Numpys(), "numpy's own": np.mean,
    "with settings": functools.partial(numpys), "a builtin": len,
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("backend", BACKENDS)
def test_these_are_not_and_have_no_gradient(name: str, backend: Any) -> None:
    loss = PLAIN[name]
    assert not is_written_in_torch(loss) and not has_gradient(loss)
    network, genomes, x, y, mask = asked(backend=backend)
    with pytest.raises(EvornnError, match=r"\Athe loss .* has no gradient: train it by evolution, use one of mse, .*"
                                          r", or write yours in torch\Z"):  # fmt: skip
        network.gradients(genomes, x, y, loss=loss, mask=mask)
    if name in ("numpy", "an object", "with settings"):
        right = network.losses(genomes, x, y, loss="mse", mask=mask)
        np.testing.assert_allclose(network.losses(genomes, x, y, loss=loss, mask=mask), right, rtol=1e-5)


def cut(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return (outputs.detach() - targets).square().mean((1, 2, 3))


def whole(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def listed(outputs: Tensor, targets: Tensor, mask: Tensor) -> Any:
    return outputs.detach().sum((1, 2, 3)).tolist()


@pytest.mark.parametrize(("loss", "message"), [
    (cut, "your loss does not depend on the outputs through torch, so it has no gradient"),
    (whole, r"your loss must return one number per member, \[3\], got \[\]"),
    (listed, r"your loss must return one number per member, \[3\], got \[-?\d.*"),
])  # fmt: skip
def test_losses_in_torch_that_say_something_else(loss: Any, message: str) -> None:
    network, genomes, x, y, mask = asked()
    with pytest.raises(EvornnError, match=rf"\A{message}\Z"):
        network.gradients(genomes, x, y, loss=loss, mask=mask)


def test_rtrl_takes_losses_by_name() -> None:
    network, genomes, x, y, mask = asked("elman")
    refusal = "rtrl takes a loss by name, not a function of your own: use sgd or adam"
    with pytest.raises(EvornnError, match=rf"\A{refusal}\Z"):
        network.sensitivities(genomes, x, y, loss=squares, mask=mask)  # type: ignore[arg-type]
