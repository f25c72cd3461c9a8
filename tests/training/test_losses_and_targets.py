"""A loss that the targets can't have is refused before anything is computed, whichever split has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import evornn
from evornn.errors import EvornnError
from evornn.networks.network import Network
from evornn.tasks.core.task import Data, Sequences

ONES = np.ones((8, 6), bool)
PARTS = ("train", "valid", "test")


def part(seed: int, outputs: int = 1, mask: Any = ONES, target: Any = None) -> Sequences:
    """Is the input above 0? Or the same target everywhere."""
    x = np.random.default_rng(seed).standard_normal((8, 6, 1)).astype(np.float32)
    classes = np.repeat(x > 0, outputs, axis=2).astype(np.float32)
    return Sequences(x, classes if target is None else np.broadcast_to(np.float32(target), classes.shape), mask)


def train(data: Data, loss: str | None, outputs: int = 1) -> float:
    network = Network("elman", inputs=1, units=2, outputs=outputs)
    trainer = {"kind": "snes", "population": 4}
    return float(evornn.train(network, data, trainer, budget=2_000, loss=loss).result.test_loss)


@pytest.mark.parametrize("where", PARTS)
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "zero_one"])
def test_every_split_is_checked_before_training(where: str, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evornn.training.loop.Run.rows", lambda self: pytest.fail("it computes"))
    parts = {name: part(seed) for seed, name in enumerate(PARTS)} | {where: part(0, target=-2)}
    with pytest.raises(EvornnError, match=rf"^{where}: the loss {loss} wants targets from 0 to 1, these go from -2 to"):
        train(Data(**parts), loss)


def test_counts_are_not_below_zero() -> None:
    with pytest.raises(EvornnError, match="the loss poisson wants counts, the lowest target is -2"):
        train(Data(part(0, target=-2), part(1), part(2)), "poisson")


@pytest.mark.parametrize("loss", ["cross_entropy", "zero_one"])
@pytest.mark.parametrize(("target", "sum_"), [([0, 0, 0], "0"), ([1, 0, 1], "2"), ([0.2, 0.2, 0.2], "0.6")])
def test_classes_want_probabilities(loss: str, target: list[float], sum_: str) -> None:
    data = Data(part(0, 3, target=target), part(1, 3, target=target), part(2, 3, target=target))
    with pytest.raises(EvornnError, match=rf"{loss} wants targets that sum to 1 at every step, .* one step has {sum_}"):
        train(data, loss, outputs=3)


@pytest.mark.parametrize("target", [[0, 1, 0], [0.1, 0.2, 0.7]])
def test_probabilities_are_taken(target: list[float]) -> None:
    data = Data(part(0, 3, target=target), part(1, 3, target=target), part(2, 3, target=target))
    assert 0 < train(data, "cross_entropy", outputs=3) < np.inf


def test_one_class_is_none() -> None:
    network = Network("elman", inputs=1, units=2, outputs=1)
    with pytest.raises(EvornnError, match="cross_entropy wants two outputs or more"):
        network.losses(network.sample(2, 0), np.zeros((2, 5, 1)), np.zeros((2, 5), int), loss="cross_entropy")


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (ONES * 0.5, r"^train: mask\[0, 0\] is 0.5: must be True or False"),
        (~ONES, r"^train: mask and washout leave no step that counts"),
        (ONES[:4], r"^train: mask must be \[B, T\]"),
    ],
    ids=["weights", "empty", "shape"],
)
def test_a_mask_that_is_none_is_refused_under_every_loss(loss: str, mask: Any, problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        train(Data(part(0, mask=mask), part(1), part(2)), loss)


def test_a_mask_may_be_zeros_and_ones() -> None:
    rows = np.arange(8)[:, None] + np.zeros(6) < 5  # as an index, 1 would be the second row
    kinds = [[part(seed, mask=rows.astype(kind)) for seed in range(3)] for kind in (bool, int, float)]
    first, *others = (train(Data(*parts), "binary_cross_entropy") for parts in kinds)
    assert others == [first, first]


@pytest.mark.parametrize("own", [True, False], ids=["of the data", "argument"])
def test_an_unknown_loss_is_named(own: bool) -> None:
    data = Data(part(0), part(1), part(2), loss="msee" if own else "mse")
    with pytest.raises(EvornnError, match="unknown loss 'msee': did you mean 'mse'"):
        train(data, None if own else "msee")
