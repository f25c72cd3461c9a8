"""Forecasts that need no network, judged on the same points, in the same loss and scaling as the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evornn.arrays import Floats
from evornn.tasks.core.scaling import Doubles
from evornn.tasks.core.task import Baseline
from evornn.tasks.core.windows import Rows

RIDGES = tuple(10.0**power for power in range(-6, 3))  # per training row; the best on validation is taken


@dataclass(frozen=True)
class ForecastProblem:
    """A forecasting task as the baselines see it: all arrays scaled, one row per origin (the last known row)."""

    inputs: Doubles  # [N, I]
    levels: Doubles  # [N, G] the target columns
    targets: Doubles  # [N, O] the answers of a perfect network, O = G × horizon
    base: Doubles  # [N, O] what an answer is added to: 0, or the last known value
    window: int
    horizon: int
    season: int | None
    training: Rows  # origins to fit on: those that networks train on and that have a full window before them
    valid: Rows
    test: Rows


def baselines(problem: ForecastProblem, inverse_transform: Callable[[Doubles], Floats]) -> tuple[Baseline, ...]:
    """All baselines that apply; `inverse_transform` turns answers [B, O] on the test origins into original units."""
    answers = {name: answer(problem) for name, answer in BASELINES.items()}
    results = (
        _evaluate(name, answer, problem, inverse_transform) for name, answer in answers.items() if answer is not None
    )
    return tuple(baseline for baseline in results if np.isfinite([baseline.valid, baseline.test]).all())


def _evaluate(
    name: str, answers: Doubles, problem: ForecastProblem, inverse_transform: Callable[[Doubles], Floats]
) -> Baseline:
    valid, test = (mse(answers[rows], problem.targets[rows]) for rows in (problem.valid, problem.test))
    return Baseline(name, valid, test, inverse_transform(answers[problem.test]))


def mse(answers: Doubles, targets: Doubles) -> float:
    """The loss "mse" over origins and outputs."""
    return float(np.mean(np.square(answers - targets)))


def persistence(problem: ForecastProblem) -> Doubles:
    """[N, O] The last known value."""
    return np.repeat(problem.levels, problem.horizon, axis=1) - problem.base


def mean(problem: ForecastProblem) -> Doubles:
    """[N, O] The mean of the training targets."""
    rows = problem.training
    level: Doubles = np.mean(problem.targets[rows] + problem.base[rows], axis=0)
    return level - problem.base


def seasonal(problem: ForecastProblem) -> Doubles | None:
    """[N, O] The value one season before the target, or the fewest seasons before it that make it known."""
    if problem.season is None:
        return None
    ahead = np.arange(1, problem.horizon + 1)
    back = problem.season * -(-ahead // problem.season) - ahead  # rows before the origin
    rows = np.arange(len(problem.levels))[:, None] - back  # [N, horizon]
    values = np.where((rows >= 0)[..., None], problem.levels[rows.clip(0)], np.nan)  # [N, horizon, G]
    return values.swapaxes(1, 2).reshape(len(rows), -1) - problem.base


def autoregression(problem: ForecastProblem) -> Doubles:
    """[N, O] Ridge regression on the window that networks read; its strength is the best on validation."""
    features = _windows(problem.inputs, problem.window)  # of the origins from window − 1 on
    targets, rows = problem.targets[problem.window - 1 :], problem.training - (problem.window - 1)
    centre, goal = features[rows].mean(axis=0), targets[rows].mean(axis=0)
    # one decomposition serves all ridges: with X = u s vᵀ, the weights are v s/(s² + ridge) uᵀ y
    u, s, v = np.linalg.svd(features[rows] - centre, full_matrices=False)
    along = u.T @ (targets[rows] - goal)
    weights = [v.T @ ((s / (s**2 + ridge * len(rows)))[:, None] * along) for ridge in RIDGES]
    answers = [goal + (features - centre) @ weight for weight in weights]
    valid = problem.valid - (problem.window - 1)
    best = min(answers, key=lambda answer: mse(answer[valid], targets[valid]))
    return np.vstack([np.full((problem.window - 1, best.shape[1]), np.nan), best])


def _windows(inputs: Doubles, window: int) -> Doubles:
    """[N, I] → [N − window + 1, I × window]."""
    return np.lib.stride_tricks.sliding_window_view(inputs, window, axis=0).reshape(len(inputs) - window + 1, -1)


BASELINES: dict[str, Callable[[ForecastProblem], Doubles | None]] = {
    "persistence": persistence,
    "mean": mean,
    "seasonal": seasonal,
    "autoregression": autoregression,
}
