"""What code of a user's returns is checked where it comes in: losses, scores and fitness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evornn.errors import EvornnError
from evornn.networks.network import Network
from evornn.tasks import TASKS
from evornn.tasks.core.task import Score
from evornn.training.make_problem import make_problem

SERIES = np.zeros((2, 4, 1), np.float32)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network("elman", inputs=1, units=2, outputs=1)


def losses(network: Network, loss: Any) -> NDArray[Any]:
    return np.asarray(network.losses(network.sample(3, seed=0), SERIES, SERIES, loss=loss))


def in_torch(result: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """A loss written in torch, as its annotation says."""

    def loss(outputs: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return result

    return loss


@pytest.mark.parametrize("loss", [
    lambda *_: np.array([-np.inf, 1, 2]), lambda *_: np.array([-1e300, 1, 2]),
    in_torch(torch.tensor([-torch.inf, 1, 2])),
], ids=["numpy", "beyond float32", "torch"])  # fmt: skip
def test_an_own_loss_of_minus_infinity_does_not_win(loss: Any, network: Network) -> None:
    np.testing.assert_array_equal(losses(network, loss), [np.nan, 1, 2])


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float64])
def test_an_own_loss_in_another_real_type_is_taken(kind: torch.dtype, network: Network) -> None:
    result = losses(network, in_torch(torch.ones(3, dtype=kind)))
    assert result.dtype.kind == "f" and result.tolist() == [1, 1, 1]


@pytest.mark.parametrize("result", [
    None, "1", ["1", "2", "3"], [None] * 3, np.ones(3) * 1j, np.ones((3, 1)), np.ones(2), [[1], [1, 2], [3]], {},
], ids=str)  # fmt: skip
def test_an_own_loss_that_is_no_numbers_is_refused(result: Any, network: Network) -> None:
    with pytest.raises(EvornnError, match="your loss must"):
        losses(network, lambda *_: result)


def test_a_complex_loss_in_torch_is_refused(network: Network) -> None:
    with pytest.raises(EvornnError, match=r"your loss must return real numbers, got torch\.complex64"):
        losses(network, in_torch(torch.ones(3, dtype=torch.complex64)))


@pytest.mark.parametrize("value", [None, "0.5", 1j, np.ones(2), [], {"score": 1}], ids=str)
def test_a_score_that_is_no_number_is_refused(value: Any, network: Network) -> None:
    data = TASKS.build({"kind": "adding", "length": 10, "train": 4, "valid": 4, "test": 4}).data()
    network = Network("elman", inputs=2, units=2, outputs=1)
    problem = make_problem(network, data.test, data.loss)
    with pytest.raises(EvornnError, match=r"the score 'own' must be one number, got .*: mend the task") as caught:
        problem.score(network.sample(1, seed=0)[0], Score("own", lambda *_: value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array([0.5]), True, 2])
def test_a_score_that_is_a_number_in_another_type_is_taken(value: Any) -> None:
    assert Score("own", lambda *_: value).judge(None, None) == float(np.ravel(value)[0])


@pytest.mark.parametrize(("fitness", "problem"), [
    (lambda steps, rewards: steps[:, 0] * 1.0, r"one number per episode, \[3, \d+\], got float64 \[3\]"),
    (lambda steps, rewards: steps * 1j, r"got complex128 \[3, \d+\]"),
    (lambda steps, rewards: steps.astype(str), r"got <U\d+ \[3, \d+\]"),
    (lambda steps, rewards: None, r"got object \[\]"),
    (lambda steps, rewards: 1.0, r"got float64 \[\]"),
])  # fmt: skip
def test_a_fitness_that_is_not_one_number_per_episode_is_refused(fitness: Any, problem: str) -> None:
    with pytest.raises(
        EvornnError, match=f"the task's fitness must return {'.*' if 'got' in problem[:3] else ''}{problem}"
    ):
        control_losses(fitness)


def test_a_fitness_of_minus_infinity_does_not_win() -> None:
    assert np.isnan(control_losses(lambda steps, rewards: np.full(steps.shape, -np.inf))).all()


def control_losses(fitness: Any) -> NDArray[Any]:
    data = TASKS.build({"kind": "single_pole"}).data()
    inputs, outputs = data.sizes
    network = Network("elman", inputs=inputs, units=2, outputs=outputs)
    return make_problem(network, replace(data.train, steps=5, fitness=fitness), data.loss).run(
        network.sample(3, seed=0)
    )[0]
