"""Functions of SIMD vectors: their stated errors, their ends, NaN, and how numba is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

from evornn.kernels.simd.interpreter import functions
from evornn.kernels.simd.interpreter.vector import LANES, load, numba_function, store

Floats = NDArray[np.float32]


def on_lanes(function: Callable[..., Any], *values: Floats) -> Floats:
    """A function of one or two vectors for all numbers of arrays."""
    written = numba_function(function, len(values))

    @nb.njit
    def one(x: int, out: int, count: int) -> None:
        for k in range(0, count, LANES):
            store(out, k, written(load(x, k)))

    @nb.njit
    def two(x: int, y: int, out: int, count: int) -> None:
        for k in range(0, count, LANES):
            store(out, k, written(load(x, k), load(y, k)))

    result = np.empty_like(values[0])
    (one if len(values) == 1 else two)(*(a.ctypes.data for a in (*values, result)), len(result))
    return result


def ulps(found: Floats, right: NDArray[np.float64]) -> float:
    near = np.spacing(np.abs(right).astype(np.float32)).astype(np.float64)
    return float(np.max(np.abs(found - right) / near))


SPREAD = np.concatenate([s * np.logspace(-30, 2, 8000, dtype=np.float32) for s in (1, -1)])


@pytest.mark.parametrize(
    ("name", "exact", "values", "bound"),
    [
        ("tanh", np.tanh, SPREAD, 3),
        ("exp", np.exp, np.linspace(-87, 88.7, 16000, dtype=np.float32), 2),
        ("log", np.log, np.logspace(-37, 38, 16000, dtype=np.float32), 2),
        ("log1p", np.log1p, np.linspace(0, 1, 16000, dtype=np.float32), 3),
        ("reciprocal", np.reciprocal, np.logspace(-37, 36, 16000, dtype=np.float32), 1),
    ],
)
def test_functions_keep_their_stated_error(name: str, exact: Any, values: Floats, bound: float) -> None:
    assert ulps(on_lanes(getattr(functions, name), values), exact(values.astype(np.float64))) <= bound


def test_the_logistic_function_and_softplus_keep_theirs() -> None:
    exact = SPREAD.astype(np.float64)
    assert np.abs(on_lanes(functions.sigmoid, SPREAD) - 1 / (1 + np.exp(-exact))).max() < 1.3e-7
    np.testing.assert_allclose(on_lanes(functions.softplus, SPREAD), np.logaddexp(0, exact), rtol=1e-6, atol=1e-38)


def test_functions_at_their_ends() -> None:
    ends = np.array([np.inf, -np.inf, np.nan, 0.0] * 4, np.float32)
    for name, right in {
        "tanh": [1, -1, np.nan, 0], "sigmoid": [1, 0, np.nan, 0.5], "exp": [np.inf, 0, np.nan, 1],
        "relu": [np.inf, 0, np.nan, 0], "heaviside": [1, 0, 0, 0], "softplus": [np.inf, 0, np.nan, np.log(2)],
    }.items():  # fmt: skip
        found = on_lanes(getattr(functions, name), ends)[:4]
        np.testing.assert_allclose(found, right, atol=1e-7 if name in ("sigmoid", "softplus") else 0, err_msg=name)


def test_mechanics_keep_their_stated_errors_and_nan() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-r, r, 2**14) for r in (1e-3, 1, 10, 1e4)]).astype(np.float32)
    y = rng.permutation(x)
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1, -1, 2], np.float32)
    x[:64], y[:64] = np.repeat(special, 8), np.tile(special, 8)
    found = [on_lanes(getattr(functions, name), x) for name in ("sin", "cos", "sign")]
    found += [on_lanes(getattr(functions, name), x, y) for name in ("minimum", "maximum")]
    with np.errstate(invalid="ignore"):  # of sin ∞
        circle = np.sin(x, dtype=np.float64), np.cos(x, dtype=np.float64)
    exact = [*circle, np.sign(x), np.minimum(x, y), np.maximum(x, y)]
    for ours, wanted, tolerance in zip(found, exact, (2e-7, 2e-7, 0, 0, 0), strict=True):
        assert np.array_equal(np.isnan(ours), np.isnan(wanted))
        off = ~(ours == wanted) & ~np.isnan(ours)
        assert np.abs(ours[off] - wanted[off]).max(initial=0) <= tolerance


def test_comparisons_give_1_or_0_and_0_for_nan() -> None:
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1, -1, 2], np.float32)
    x, y = np.repeat(special, 8), np.tile(special, 8)
    np.testing.assert_array_equal(on_lanes(functions.greater, x, y), (x > y).astype(np.float32))
    np.testing.assert_array_equal(on_lanes(functions.equal, x, y), (x == y).astype(np.float32))


@pytest.mark.parametrize("period", [1.0, 3.0, 7.0, 64.0])
def test_every_is_1_at_multiples(period: float) -> None:
    t = np.arange(4000, dtype=np.float32)
    found = on_lanes(lambda x: functions.every(period, x), t)
    np.testing.assert_array_equal(found, (t % period == 0).astype(np.float32))


def test_numbers_stand_beside_vectors_on_either_side() -> None:
    x = np.linspace(-2, 2, 64, dtype=np.float32)
    for function in (lambda x: 1 - x, lambda x: x - 1, lambda x: 2 / (x + 3), lambda x: -(0.5 * x) + x * 2):
        np.testing.assert_allclose(on_lanes(function, x), function(x), rtol=1e-6)
