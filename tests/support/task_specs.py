"""Variants of every task, which all keep one contract: each at small sizes, and with other settings.

Tasks of sequences are CASES, those of control are CONTROL.
"""

from __future__ import annotations

from inspect import getsource
from typing import Any

import pytest
from small_specs import small_spec

from evornn.tasks import TASKS
from evornn.tasks.core.series import ForecastSettings

FEW = {"train": 40, "valid": 20, "test": 30}
FEWER = {"train": 9, "valid": 9, "test": 9}
GESTURES = {"path": "gestures.csv", "group": "id"}
SHOPS = {"path": "shops.csv", "targets": "sales", "group": "shop", "time": "day", "window": 9}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "sunspots": [{"horizon": 6, "window": 24, "difference": False, "transform": "none", "stride": 30}],
    "csv": [
        {"path": "two.csv", "targets": ["flow", "rain"], "horizon": 3, "window": 8, "washout": 0, "transform": "log1p"},
        {"path": "two.csv", "targets": ["flow"], "inputs": ["rain", "flow"], "date": "day", "window": 5, "horizon": 2},
    ],
    "forecast": [
        {"path": "two.csv", "targets": ["flow", "rain"], "horizon": 3, "window": 8, "washout": 0, "transform": "log1p"},
        {**SHOPS, "covariates": "temperature", "calendar": ["weekday", "month"], "horizon": 2, "difference": False},
        {**SHOPS, "split_by": "group", "horizon": 2},
        {**SHOPS, "known_ahead": ["promotion"], "static": "city", "scale": "group", "horizon": 3, "missing": "mask"},
    ],
    "classify": [
        {**GESTURES, "target": "hand", "inputs": ["x", "gesture"], "loss_steps": "every", "score": "log_loss"},
        {**GESTURES, "target": "now", "inputs": ["x", "hand"], "folds": 4, "fold": 1, "score": "roc_auc"},
        {**GESTURES, "target": "size", "inputs": ["x", "y"], "time": "step", "score": "f1"},
    ],
    "regress": [
        {**GESTURES, "targets": ["size", "now"], "inputs": ["x", "hand"], "loss_steps": "every"},
        {**GESTURES, "targets": "size", "target_transform": "log1p", "score": "mae", "folds": 3},
    ],
    "label": [
        {"path": "shops.csv", "targets": "sales", "group": "shop", "length": 12, "washout": 3, "time": "day"},
        {**GESTURES, "targets": "now", "answer": "class", "inputs": "x", "length": None, "score": "balanced_accuracy"},
    ],
    "language": [
        {"path": "text.txt", "unit": "words", "length": 20, "washout": 0, "score": "perplexity", "vocabulary": 7},
        {"path": "text.txt", "unit": "bytes", "length": 25, "washout": 12, "split": [0.6, 0.2, 0.2]},
    ],
    "tomita": [
        {"language": language, "train": 60, "valid": 20, "test_length": 12, "long_strings": 40}
        for language in range(2, 8)
    ],
    "anbn": [{"letters": 3, "n": 4, "valid_n": 6, "test_n": 9}],
    "parentheses": [{**FEW, "kinds": 3, "length": 4, "test_length": 5}],
    "parity": [{**FEW, "every_step": True, "length": 10, "test_length": 11}],
    "temporal_order": [{**FEW, "length": 20}, {**FEW, "length": 34, "relevant": 3}],
    "arithmetic": [{**FEW, "train": 150, "digits": 1, "distractors": 0}],
    "copy": [{**FEW, "length": 8, "test_length": 9, "width": 1}],
    "repeat_copy": [{**FEW, "length": 3, "test_length": 4, "repeats": 2, "width": 3}],
    "associative_recall": [{"length": 2, "test_length": 3, "vectors": 1, "width": 3, **FEWER}],
    "pattern_completion": [{**FEW, "partner": 5, "how": "erased", "spoilt": 0.5}],
    "rare_events": [{**FEW, "lag": 3, "blocks": 8}],
    "motion": [{**FEW, "repeats": 1, "period": 5, "noise": 0.0}],
    "weighted_average": [{**FEW, "length": 12, "past": 3, "future": 4}],
    "narma": [{**FEWER, "order": 2}],
    "sines": [{"count": 5, "rows": 300, "window": 12, "horizon": 2}],
    "mackey_glass": [{"delay": 30, "rows": 300, "window": 12, "horizon": 1}],
    "logic_trees": [{**FEW, "length": 5, "test_length": 6}],
    "arithmetic_trees": [{**FEW, "largest": 3, "length": 3, "test_length": 4}],
    "adding": [{"length": 10, "train": 50, "valid": 20, "test": 30}, {"length": 47, **FEWER}],
}


def is_control(kind: str) -> bool:
    """Whether its networks act: its `data` are episodes."""
    source = getsource(TASKS[kind].data)
    return "ControlEpisodes" in source or "Rollouts" in source


CONTROL = [kind for kind in TASKS if is_control(kind)]
CASES = [
    pytest.param({"kind": kind, **spec}, id=f"{kind}-{number}")
    for kind in TASKS
    if kind not in CONTROL
    for number, spec in enumerate([small_spec(TASKS, kind), *VARIANTS.get(kind, [])])
]


def task_class(case: Any) -> type:
    return TASKS[case.values[0]["kind"]]


FORECASTS = [case for case in CASES if issubclass(task_class(case), ForecastSettings)]
GENERATED = [case for case in CASES if case not in FORECASTS]
