"""Forecasts that need no network, judged on the same points, in the same loss and scaling as the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evornn.data.scaling import Doubles
from evornn.kernels.quantile_levels import quantile_levels
from evornn.tasks.core.chance import numpy_loss, residual_quantiles
from evornn.tasks.core.task import Baseline, Chart
from evornn.tasks.core.windows import Rows

RIDGES = tuple(10.0**power for power in range(-6, 3))  # per training row; the best on validation is taken
PORTION = 2**22  # numbers in the windows that are held at a time: 32 MiB
MOST_ORIGINS = 200_000  # of which weights are fitted: more change them little


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
    starts: Rows | None = None  # [N] the first row of each row's series; None: there is one series


def baselines(problem: ForecastProblem, chart: Chart, loss: str = "mse") -> tuple[Baseline, ...]:
    """All baselines that apply, also judged in the original units of the chart. For quantiles, those of a baseline's
    residuals on training data are added to its forecasts."""
    answers = {name: answer(problem) for name, answer in BASELINES.items()}
    results = (_evaluate(name, answer, problem, chart, loss) for name, answer in answers.items() if answer is not None)
    return tuple(baseline for baseline in results if np.isfinite([baseline.valid, baseline.test]).all())


def _evaluate(name: str, answers: Doubles, problem: ForecastProblem, chart: Chart, loss: str) -> Baseline:
    judge = mse if loss == "mse" else _judge_quantiles(loss, answers, problem)
    valid, test = (judge(answers[rows], problem.targets[rows]) for rows in (problem.valid, problem.test))
    predictions = chart.inverse_transform(answers[problem.test])
    return Baseline(name, valid, test, predictions, chart.errors(predictions))


def _judge_quantiles(loss: str, answers: Doubles, problem: ForecastProblem) -> Callable[[Doubles, Doubles], float]:
    """The loss of quantiles, of forecasts [B, O] to which those of the residuals are added."""
    count, rows = len(quantile_levels(loss)), problem.training
    rows = rows[np.isfinite(answers[rows]).all(axis=1)]
    shift = residual_quantiles(loss, np.tile(problem.targets[rows] - answers[rows], (1, count)))

    def judge(forecasts: Doubles, targets: Doubles) -> float:
        said, truth = np.tile(forecasts, (1, count)) + shift, np.tile(targets, (1, count))
        return float(numpy_loss(loss)(said, truth).mean())

    return judge


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
    first = 0 if problem.starts is None else problem.starts[:, None]
    values = np.where((rows >= first)[..., None], problem.levels[rows.clip(0)], np.nan)  # [N, horizon, G]
    return values.swapaxes(1, 2).reshape(len(rows), -1) - problem.base


def autoregression(problem: ForecastProblem) -> Doubles:
    """[N, O] Ridge regression on the window that networks read, fitted to at most MOST_ORIGINS of training, evenly
    spaced; its strength is the best on validation."""
    first = problem.window - 1  # the first origin with a full window
    windows, targets = _windows(problem.inputs, problem.window), problem.targets[first:]
    is_small = windows.size <= PORTION
    fit = _fit_at_once if is_small else _fit_in_portions
    training = problem.training[:: -(-len(problem.training) // MOST_ORIGINS)]
    centre, goal, weights = fit(windows, targets, training - first)
    # nothing before validation and test is asked for
    begin = 0 if is_small else int(min(problem.valid[0], problem.test[0])) - first
    answers = [goal + predicted for predicted in _predict(windows[begin:], centre, weights)]
    valid = problem.valid - first
    best = min(answers, key=lambda answer: mse(answer[valid - begin], targets[valid]))
    return np.vstack([np.full((first + begin, best.shape[1]), np.nan), best])


def _fit_at_once(windows: Doubles, targets: Doubles, rows: Rows) -> tuple[Doubles, Doubles, list[Doubles]]:
    """Centre [K] of the features, centre [O] of the targets, and the weights [K, O] for each ridge, K = I × window."""
    features = _features(windows)
    centre, goal = features[rows].mean(axis=0), targets[rows].mean(axis=0)
    # one decomposition serves all ridges: with X = u s vᵀ, the weights are v s/(s² + ridge) uᵀ y
    u, s, v = np.linalg.svd(features[rows] - centre, full_matrices=False)
    along = u.T @ (targets[rows] - goal)
    return centre, goal, [v.T @ ((s / (s**2 + ridge * len(rows)))[:, None] * along) for ridge in RIDGES]


def _fit_in_portions(windows: Doubles, targets: Doubles, rows: Rows) -> tuple[Doubles, Doubles, list[Doubles]]:
    """The same by XᵀX, summed over portions of the rows, for series whose windows don't fit into memory at once."""
    portions = [rows[part] for part in _portions(len(rows), windows[0].size)]
    centre = np.sum([_features(windows[part]).sum(axis=0) for part in portions], axis=0) / len(rows)
    goal = targets[rows].mean(axis=0)
    square, product = np.zeros((len(centre), len(centre))), np.zeros((len(centre), targets.shape[1]))
    for part in portions:
        features = _features(windows[part]) - centre
        square += features.T @ features
        product += features.T @ (targets[part] - goal)
    variances, v = np.linalg.eigh(square)  # XᵀX = v s² vᵀ
    along = v.T @ product
    return centre, goal, [v @ (along / (variances.clip(0) + ridge * len(rows))[:, None]) for ridge in RIDGES]


def _predict(windows: Doubles, centre: Doubles, weights: list[Doubles]) -> list[Doubles]:
    """For each ridge, [N, O] the predictions from the windows [N, I, T], without the centre of the targets."""
    predictions: list[list[Doubles]] = [[] for _ in weights]
    for part in _portions(len(windows), windows[0].size):
        features = _features(windows[part]) - centre
        for predicted, weight in zip(predictions, weights, strict=True):
            predicted.append(features @ weight)
    return [np.concatenate(predicted) for predicted in predictions]


def _windows(inputs: Doubles, window: int) -> Doubles:
    """[N, I] → [N − window + 1, I, window], a view."""
    return np.lib.stride_tricks.sliding_window_view(inputs, window, axis=0)


def _features(windows: Doubles) -> Doubles:
    """[N, I, window] → [N, I × window]."""
    return windows.reshape(len(windows), -1).astype(np.float64, copy=False)


def _portions(rows: int, numbers: int) -> list[slice]:
    """Slices of rows with that many numbers each, which make up at most `PORTION` numbers together."""
    size = max(1, PORTION // numbers)
    return [slice(start, start + size) for start in range(0, rows, size)]


BASELINES: dict[str, Callable[[ForecastProblem], Doubles | None]] = {
    "persistence": persistence,
    "mean": mean,
    "seasonal": seasonal,
    "autoregression": autoregression,
}
