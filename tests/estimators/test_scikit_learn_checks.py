"""scikit-learn's own checks of estimators, as far as sequences allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from evornn import Budget, Classifier, Forecaster, Regressor

TRAINER = {"kind": "adam", "learning_rate": 0.03}
SERIES = "rows of X [T, C] are the steps of one series, not samples: the answer depends on all, and on their order"
EXPECTED_FAILED = {
    Classifier: {"check_class_weight_classifiers": "classes can be balanced, but have no weights of their own"},
    Regressor: {},
    Forecaster: {
        "check_methods_sample_order_invariance": SERIES,
        "check_methods_subset_invariance": SERIES,
        "check_fit1d": "X [T] is one series of one column",
        "check_fit2d_predict1d": "X [T] is one series of one column",
    },
}


def reasons(estimator: Any) -> dict[str, str]:
    return EXPECTED_FAILED[type(estimator)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        Classifier(units=4, budget=Budget(steps=3000, marks=4), trainer=TRAINER),
        Regressor(units=4, budget=Budget(steps=3000, marks=4), trainer=TRAINER),
        Forecaster(units=2, budget=Budget(steps=1000, marks=2), window=2),
    ],
    expected_failed_checks=reasons,
    xfail_strict=True,
)
def test_scikit_learns_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
