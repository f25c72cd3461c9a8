"""Gradient trainers against torch.optim: updates, schedules, restarts, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sphere_oracle import N, SphereOracle, run, sphere
from trainer_specs import FIRST_ORDER

from evornn.arrays import Streams
from evornn.trainers import TRAINERS
from evornn.trainers.core.schedule import Schedule
from evornn.trainers.core.trainer import BudgetExhausted, State


def optimizer(spec: dict[str, Any], weights: torch.Tensor) -> torch.optim.Optimizer:
    kinds = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
    settings = {key: value for key, value in spec.items() if key != "kind"}
    return getattr(torch.optim, kinds[spec["kind"]])([weights], lr=0.05, **settings)


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "adam", "betas": [0.8, 0.95], "eps": 1e-6},
        {"kind": "adamw", "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.1},
        {"kind": "rmsprop", "alpha": 0.9, "eps": 1e-6},
        {"kind": "rmsprop", "alpha": 0.9, "eps": 1e-6, "momentum": 0.5},
        {"kind": "sgd", "momentum": 0.0},
        {"kind": "sgd", "momentum": 0.8, "nesterov": False},
        {"kind": "sgd", "momentum": 0.8, "nesterov": True},
    ],
    ids=str,
)
def test_updates_equal_torch_optim(spec: dict[str, Any], clip: float | None) -> None:
    trainer = TRAINERS.build({**spec, "learning_rate": 0.05, "clip": clip, "restarts": 3, "batch": None})
    state = run(trainer, 0)
    weights = [torch.tensor(genome, requires_grad=True) for genome in state["genomes"]]
    optimizers = [optimizer(spec, w) for w in weights]
    for _ in range(30):
        state = run(trainer, 1, state=state)
        for w, o in zip(weights, optimizers, strict=True):
            o.zero_grad()
            ((w - 2) ** 2).sum().backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_([w], clip)
            o.step()
    np.testing.assert_allclose(state["genomes"], np.stack([w.detach().numpy() for w in weights]), rtol=2e-5, atol=2e-6)


def test_lbfgs_equals_torch_optim_while_no_step_is_halved() -> None:
    def valley(w: Any) -> Any:
        return sum((1.0 + k) * (w[..., k] - 2) ** 2 + 0.1 * (w[..., k] - 2) ** 4 for k in range(N))

    class Valley(SphereOracle):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            weights = torch.tensor(genomes, requires_grad=True)
            losses = valley(weights)
            return losses.detach().numpy(), torch.autograd.grad(losses.sum(), weights)[0].numpy()

    trainer = TRAINERS.build({"kind": "lbfgs", "learning_rate": 0.5, "history": 3, "restarts": 3})
    state = run(trainer, 0, Valley())
    weights = [torch.tensor(genome, requires_grad=True) for genome in state["genomes"]]
    optimizers = [torch.optim.LBFGS([w], lr=0.5, max_iter=1, history_size=3) for w in weights]
    for _ in range(8):
        state = run(trainer, 1, Valley(), state=state)
        assert (state["search"]["length"] > 0).all()
        for w, o in zip(weights, optimizers, strict=True):

            def closure(w: torch.Tensor = w, o: Any = o) -> torch.Tensor:
                o.zero_grad()
                loss = valley(w)
                loss.backward()
                return loss

            o.step(closure)
        expected = np.stack([w.detach().numpy() for w in weights])
        np.testing.assert_allclose(state["genomes"], expected, rtol=1e-4, atol=1e-5)


def test_lbfgs_halves_a_step_that_went_too_far_and_answers_with_the_best_place() -> None:
    def valley(genomes: np.ndarray) -> np.ndarray:
        return np.sqrt(1 + 100 * sphere(genomes))

    class Valley(SphereOracle):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            self._pay(genomes, batch, 3)
            losses = valley(genomes.astype(np.float64))
            return losses.astype(np.float32), (100 * (genomes - 2) / losses[:, None]).astype(np.float32)

    oracle, trainer = Valley(), TRAINERS.build({"kind": "lbfgs", "learning_rate": 30.0, "restarts": 2})
    state, losses = run(trainer, 0, oracle), []
    for _ in range(60):
        state = trainer.step(state, oracle, Streams(1))
        losses.append(valley(trainer.best(state)[None])[0])
    asked = [valley(genomes).min() for genomes in oracle.asked]
    assert max(np.diff(asked)) > 0, "some step must have gone too far"
    assert losses == sorted(losses, reverse=True) and losses[-1] < 1.001


SCHEDULES: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "constant": ({}, lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: 1.0)),
    "step": (
        {"shape": "step", "factor": 0.3, "drops": [0.2, 0.4, 0.6, 0.8]},
        lambda o: torch.optim.lr_scheduler.StepLR(o, 20, 0.3),
    ),
    "cosine": (
        {"shape": "cosine", "factor": 0.25},
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 100, eta_min=0.5),
    ),
    "linear": (
        {"shape": "linear", "factor": 0.2},
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.2, 100),
    ),
    "warm-up": (
        {"shape": "cosine", "factor": 0.25, "warm_up": 0.2},
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o,
            [
                torch.optim.lr_scheduler.LinearLR(o, 1e-9, 1.0, 20),
                torch.optim.lr_scheduler.CosineAnnealingLR(o, 80, eta_min=0.5),
            ],
            [20],
        ),
    ),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_those_of_torch(name: str) -> None:
    settings, made = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler, schedule = made(optimizer), Schedule(**settings)
    for k in range(100):
        assert 2 * schedule.at(k / 100) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-6)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("kind", [name for name in TRAINERS if TRAINERS[name].family == "gradient"])
def test_a_schedule_goes_by_the_budget(kind: str) -> None:
    """A rate of zero at the end: the last steps are the smallest."""
    spec = {"kind": kind, "schedule": {"shape": "linear", "factor": 0.0}, "learning_rate": 0.01}
    oracle, trainer = SphereOracle(budget=300), TRAINERS.build(spec)
    with pytest.raises(BudgetExhausted):
        run(trainer, 101, oracle)
    sizes = np.abs(np.diff(np.concatenate(oracle.asked), axis=0)).sum(axis=1)
    fixed = SphereOracle(budget=300)
    with pytest.raises(BudgetExhausted):
        run(TRAINERS.build({**spec, "schedule": "constant"}), 101, fixed)
    assert_array_equal(fixed.asked[1], oracle.asked[1], "the first step is not smaller yet")
    assert sizes[-1] < 0.1 * sizes[0]


@pytest.mark.parametrize("kind", FIRST_ORDER)
def test_a_restart_without_a_finite_gradient_stays_and_ranks_last(kind: str) -> None:
    class OneBad(SphereOracle):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            losses, gradients = super().gradients(genomes, batch)
            gradients[1] = np.inf
            losses[0] = np.nan
            return losses, gradients

    trainer = TRAINERS.build({"kind": kind, "restarts": 3})
    start = run(trainer, 3)
    state = run(trainer, 5, OneBad(), state=start)
    assert_array_equal(state["genomes"][:2], start["genomes"][:2])
    assert not np.array_equal(state["genomes"][2], start["genomes"][2])
    for name, moments in state["moments"].items():
        assert_array_equal(moments[:2], start["moments"][name][:2])
        assert not np.array_equal(moments[2], start["moments"][name][2])
    assert not np.array_equal(trainer.best(state), state["genomes"][0])
    alone = run(trainer, 5, state={**start, "genomes": start["genomes"][2:], **_third(start)})
    assert_array_equal(alone["genomes"][0], state["genomes"][2])


def _third(state: State) -> State:
    return {"smoothed": state["smoothed"][2:], "moments": {k: m[2:] for k, m in state["moments"].items()}}


def test_best_is_the_restart_with_the_lowest_smoothed_loss() -> None:
    class Noisy(SphereOracle):
        def gradients(self, genomes: np.ndarray, batch: Any = None) -> tuple[np.ndarray, np.ndarray]:
            k = len(self.asked)
            _, gradients = super().gradients(genomes, batch)
            return np.array([1, 3 if k < 9 else 0, 2], np.float32), gradients  # the second is lucky once

    trainer = TRAINERS.build({"kind": "sgd", "restarts": 3})
    state = run(trainer, 10, Noisy())
    assert_array_equal(trainer.best(state), state["genomes"][0])


def test_batches_follow_the_order_of_the_data() -> None:
    oracle = SphereOracle()
    run(TRAINERS.build({"kind": "adam", "batch": 4}), 3, oracle)
    assert_array_equal(oracle.batches, [oracle.batch(k, 4) for k in range(3)])
