"""torch: a batched loop over time for the population, in tiles or all at once, and torch's own modules one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.timing import Contestant
from benchmarks.workloads import Problem
from evornn.kernels import losses as kinds
from evornn.kernels.evaluate import Evaluator
from evornn.kernels.reference import Reference
from evornn.networks.convert import GATES, to_torch_modules

ONE_BY_ONE_UP_TO = 1024  # members: beyond, a loop over modules takes most of a minute


def contestants(problem: Problem) -> Iterator[Contestant]:
    yield _contestant(problem, "tiles", *_tiles(problem))
    yield _contestant(problem, "population", *_population(problem))
    if problem.cell in GATES and problem.sizes.members <= ONE_BY_ONE_UP_TO:
        yield Contestant("torch", "one by one", _one_by_one(problem), lambda losses: losses.numpy())


def _contestant(problem: Problem, name: str, forward: Callable[[], Any], gradient: Callable[[], Any]) -> Contestant:
    if problem.operation == "forward":
        return Contestant("torch", name, forward, lambda losses: losses.numpy())
    return Contestant("torch", name, gradient, lambda r: r[0].numpy(), lambda r: r[1].numpy())


def _arguments(problem: Problem) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g, x, y = (torch.from_numpy(values) for values in (problem.genomes, problem.inputs, problem.targets))
    return g, x, y


def _tiles(problem: Problem) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """evornn's own torch backend: tiles of members on threads, one torch thread each."""
    evaluator = Evaluator(problem.network.layout, problem.network.evaluator.threads)
    g, x, y = _arguments(problem)
    examples = evaluator.bind(x, y, torch.ones(x.shape[:2], dtype=torch.bool))
    return (lambda: evaluator.losses(g, examples, "mse")), (lambda: evaluator.gradients(g, examples, "mse"))


def _population(problem: Problem) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """All members in one batched product, torch's threads inside it."""
    g, x, y = _arguments(problem)

    def losses(genomes: torch.Tensor) -> torch.Tensor:
        return kinds.mse(Reference(problem.network.layout, genomes).run(x)[0], y).mean((1, 2))

    @torch.no_grad()
    def forward() -> torch.Tensor:
        return losses(g)

    def gradient() -> tuple[torch.Tensor, torch.Tensor]:
        members = g.detach().requires_grad_()
        values = losses(members)
        return values.detach(), torch.autograd.grad(values.sum(), members)[0]

    return forward, gradient


def _one_by_one(problem: Problem) -> Callable[[], torch.Tensor]:
    """torch.nn.RNN, LSTM or GRU, a module per member."""
    _, x, y = _arguments(problem)
    modules = [to_torch_modules(problem.network, genome) for genome in problem.genomes]
    parameters = [[*recurrent.parameters(), *readout.parameters()] for recurrent, readout in modules]

    def losses() -> Iterator[torch.Tensor]:
        return (torch.nn.functional.mse_loss(readout(recurrent(x)[0]), y) for recurrent, readout in modules)

    @torch.inference_mode()
    def forward() -> torch.Tensor:
        return torch.stack(list(losses()))

    def gradient() -> torch.Tensor:
        values = []
        for value, own in zip(losses(), parameters, strict=True):
            torch.autograd.grad(value, own)
            values.append(value.detach())
        return torch.stack(values)

    return forward if problem.operation == "forward" else gradient
