"""Linear models as baselines: ridge regression for squared errors, logistic regression for classes. Their strength is
the best on validation data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from evornn.arrays import Series
from evornn.data.scaling import Doubles
from evornn.kernels.quantile_levels import quantile_levels
from evornn.tasks.core.chance import numpy_loss, residual_quantiles
from evornn.tasks.core.task import Sequences

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # times the mean square of a standardised feature
MOST_ROWS = 20_000  # to fit on, evenly spaced
Weights: TypeAlias = Doubles  # [F + 1, O], the constant first


@dataclass(frozen=True)
class Points:
    """N points with F features each, and how often each counts."""

    features: Doubles  # [N, F]
    targets: Doubles  # [N, O]
    counts: Doubles  # [N]


def mean_points(split: Sequences) -> Points:
    """A point for each sequence: the means of its inputs up to its last step that counts."""
    parts = []
    for part in split.portions():
        read = part.mask[:, ::-1].cumsum(axis=1)[:, ::-1] > 0  # [B, T]
        sums = (part.inputs * read[..., None]).sum(axis=1, dtype=np.float64)
        targets = part.last_steps(part.targets).astype(np.float64)
        parts.append((sums / read.sum(axis=1)[:, None], targets, part.mask.sum(axis=1).astype(np.float64)))
    return Points(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def step_points(split: Sequences, every: int = 1) -> Points:
    """A point for each step that counts, or for every so many of them: its inputs."""
    parts, before = [], 0
    for part in split.portions():
        chosen = slice(-before % every, None, every)
        parts.append([values[part.mask][chosen].astype(np.float64) for values in (part.inputs, part.targets)])
        before += int(part.mask.sum())
    features, targets = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Points(features, targets, np.ones(len(targets)))


def fit_linear(loss: str, train: Points, valid: Points) -> tuple[Weights, float]:
    """The weights that are best on validation data, and their loss there.

    Args:
        loss: mse, cross_entropy, or that of quantiles: those of the residuals are added to the line of least squares.
        train: where they are fitted.
        valid: where they are judged.
    """
    step = -(-len(train.features) // MOST_ROWS)
    train = Points(train.features[::step], train.targets[::step], train.counts[::step])
    centre = np.average(train.features, axis=0, weights=train.counts)
    size = np.sqrt(np.average(np.square(train.features - centre), axis=0, weights=train.counts))
    size[size < 1e-12] = 1.0
    scaled = Points((train.features - centre) / size, train.targets, train.counts)
    fit = _logistic if loss == "cross_entropy" else _ridge
    fits = [_unscale(fit(scaled, ridge), centre, size) for ridge in RIDGES]
    if quantile_levels(loss):
        for weights in fits:
            weights[0] += residual_quantiles(loss, train.targets - predict(weights, train.features))
    losses = [judge(loss, weights, valid) for weights in fits]
    best = int(np.argmin(losses))
    return fits[best], losses[best]


def predict(weights: Weights, features: Doubles) -> Doubles:
    """[N, F] → [N, O]"""
    return np.asarray(weights[0] + features @ weights[1:])


def judge(loss: str, weights: Weights, points: Points) -> float:
    """The mean loss over all that counts."""
    losses = numpy_loss(loss)(predict(weights, points.features), points.targets)
    return float(np.average(losses, weights=points.counts))


def spread(answers: Doubles, split: Sequences) -> Series:
    """[B, O] one answer for each sequence → outputs [B, T, O]."""
    return np.broadcast_to(answers[:, None].astype(np.float32), split.targets.shape)


def _ridge(points: Points, ridge: float) -> Weights:
    weights = points.counts[:, None] / points.counts.sum()
    goal = (weights * points.targets).sum(axis=0)
    square = points.features.T @ (weights * points.features) + ridge * np.eye(points.features.shape[1])
    return np.vstack([goal, np.linalg.solve(square, points.features.T @ (weights * (points.targets - goal)))])


def _logistic(points: Points, ridge: float) -> Weights:
    """Multinomial logistic regression by L-BFGS."""
    from scipy.optimize import minimize  # slow to import

    features = np.insert(points.features, 0, 1.0, axis=1)
    shape, weights = (features.shape[1], points.targets.shape[1]), points.counts[:, None] / points.counts.sum()
    penalty = np.full(shape, ridge)
    penalty[0] = 1e-9  # only the differences of constants matter

    def objective(flat: Any) -> tuple[float, Any]:
        w = flat.reshape(shape)
        logits = features @ w
        logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        loss = -(weights * points.targets * logs).sum() + 0.5 * (penalty * w**2).sum()
        gradient = features.T @ (weights * (np.exp(logs) - points.targets)) + penalty * w
        return float(loss), gradient.ravel()

    fit = minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(fit.x.reshape(shape), np.float64)


def _unscale(weights: Weights, centre: Doubles, size: Doubles) -> Weights:
    inner = weights[1:] / size[:, None]
    return np.vstack([weights[0] - centre @ inner, inner])
