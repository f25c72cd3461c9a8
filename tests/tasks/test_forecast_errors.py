"""Errors of forecasts: known values, and what holds for all forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evornn.tasks import TASKS
from evornn.tasks.core import baselines
from evornn.tasks.core.forecast_errors import ForecastErrors, average, forecast_errors, persistence_mae

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
series = arrays(np.float64, st.tuples(st.integers(3, 20), st.just(1)), elements=numbers)


def errors(truth: np.ndarray, predictions: np.ndarray, scale: np.ndarray) -> ForecastErrors:
    return forecast_errors(("y",), truth, predictions, scale)["y"]


def test_known_values() -> None:
    truth, predictions = np.array([[1.0], [2.0], [4.0], [5.0]]), np.array([[2.0], [2.0], [2.0], [4.0]])
    found = errors(truth, predictions, np.array([2.0]))
    assert found == ForecastErrors(rmse=np.sqrt(6 / 4), mae=1.0, mase=0.5, r2=pytest.approx(1 - 6 / 10))


def test_targets_are_told_apart_with_all_their_steps() -> None:
    truth = np.array([[1.0, 2.0, 100.0, 200.0], [3.0, 4.0, 300.0, 400.0]])
    found = forecast_errors(("a", "b"), truth, truth + np.array([1, 1, 50, 50]), np.array([1.0, 100.0]))
    assert (found["a"].rmse, found["b"].rmse) == (1.0, 50.0) and (found["a"].mase, found["b"].mase) == (1.0, 0.5)
    every = average(found)
    assert every.rmse is None and every.mae is None and every.mase == 0.75


def test_what_is_not_defined_is_none() -> None:
    constant = np.ones((4, 1))
    assert errors(constant, constant, np.array([0.0])) == ForecastErrors(0.0, 0.0, None, None)
    assert errors(constant, constant, np.zeros(0)).mase is None
    assert errors(np.arange(4.0)[:, None], np.full((4, 1), np.inf), np.ones(1)) == ForecastErrors(
        None, None, None, None
    )


@given(series)
def test_persistence_on_its_own_rows_has_mase_1(values: np.ndarray) -> None:
    scale = persistence_mae(values)
    found = errors(values[1:], values[:-1], scale)
    assert found.mase is None if not scale[0] else found.mase == pytest.approx(1)


@given(series, st.floats(0.1, 10), numbers)
def test_mase_and_r2_know_no_units(values: np.ndarray, factor: float, offset: float) -> None:
    def measured(y: np.ndarray) -> ForecastErrors:
        return errors(y[1:], y[:-1], persistence_mae(y))

    before, after = measured(values), measured(values * factor + offset)
    if np.ptp(values) > 1:  # or rounding is all there is
        assert after.mase == pytest.approx(before.mase, rel=1e-6)
        assert after.rmse == pytest.approx(before.rmse * factor, rel=1e-6)
        if np.ptp(values[1:]) > 1:
            assert after.r2 == pytest.approx(before.r2, rel=1e-6, abs=1e-6)


def test_autoregression_of_many_windows_is_fitted_to_some_of_them(monkeypatch):
    def fitted():
        data = TASKS.build({"kind": "sunspots"}).data()
        return next(one for one in data.baselines if one.name == "autoregression")

    whole = fitted()
    monkeypatch.setattr(baselines, "MOST_ORIGINS", 300)
    some = fitted()
    assert some.test != whole.test and some.test == pytest.approx(whole.test, rel=0.2)
