"""Bag of nodes: what the label counts of a tree predict, the baseline for networks that see its shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evornn.data.scaling import Doubles
from evornn.tasks.core.chance import LOSSES, masked_targets
from evornn.tasks.core.task import Baseline, Data, Sequences

RIDGE, ITERATIONS = 1e-3, 50


def add_bag_baseline(data: Data, arity: int) -> Data:
    """Data about trees, with the baseline *bag of nodes*: a regression (for binary cross-entropy a logistic one) on the
    number of nodes of each label, fitted on training data."""
    assert isinstance(data.train, Sequences) and isinstance(data.valid, Sequences) and isinstance(data.test, Sequences)
    fit = fit_logistic if data.loss == "binary_cross_entropy" else fit_ridge
    weights = fit(label_counts(data.train, arity), masked_targets(data.train)[:, 0])
    valid, test = (_loss(data.loss, split, label_counts(split, arity) @ weights) for split in (data.valid, data.test))
    return replace(data, baselines=(Baseline("bag of nodes", valid, test), *data.baselines))


def label_counts(split: Sequences, arity: int) -> Doubles:
    """[B, labels + 1] the nodes of each label, and a 1."""
    totals = split.inputs[..., arity:].sum(axis=1).astype(np.float64)
    return np.hstack([totals, np.ones((len(totals), 1))])


def fit_ridge(features: Doubles, targets: Doubles) -> Doubles:
    """[labels + 1] the weights of a ridge regression."""
    ridge = RIDGE * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(features.T @ features + ridge, features.T @ targets), np.float64)


def fit_logistic(features: Doubles, targets: Doubles) -> Doubles:
    """[labels + 1] the weights of a logistic regression by Newton's method. A small ridge gives it an optimum even
    where single labels separate the classes."""
    weights = np.zeros(features.shape[1])
    for _ in range(ITERATIONS):
        share = 0.5 + 0.5 * np.tanh(0.5 * features @ weights)
        slope = features.T @ (share - targets) + RIDGE * weights
        curvature = (features * (share * (1 - share))[:, None]).T @ features + RIDGE * np.eye(len(weights))
        weights = weights - np.linalg.solve(curvature, slope)
    return weights


def _loss(loss: str, split: Sequences, outputs: Doubles) -> float:
    return float(
        np.mean([LOSSES[loss](o, w) for o, w in zip(outputs[:, None], masked_targets(split)[:, None], strict=True)])
    )
