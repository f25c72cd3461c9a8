"""Rows of a request: numbers are read the short way as a frame would have them, everything else the long way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import PREPARATIONS

from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.service.predictions import _read_frame, _read_numbers

LOAD = Preparation("forecast", (Feature("load"),), (OutputColumn("load"),))
NUMBERS = Preparation(
    "forecast", (Feature("load"), Feature("wind", derived="missing")), (OutputColumn("load"),), time="when"
)
WHOLE = st.integers(-(2**53), 2**53)
FINITE = st.floats(-1e15, 1e15)


@given(st.lists(WHOLE | FINITE, min_size=1, max_size=9))
def test_numbers_are_read_as_a_frame_reads_them(values: list[Any]) -> None:
    short, long = _read_numbers({"load": values}, LOAD), _read_frame({"load": values}, LOAD)
    assert short is not None and short.names == long.names == ("load",)
    assert np.array_equal(short.columns[0].values, long.columns[0].values)
    assert (short.columns[0].kind, short.source) == (long.columns[0].kind, long.source)
    assert short.lines.tolist() == long.lines.tolist()


@pytest.mark.parametrize(
    "columns",
    [
        {"load": []},
        {"load": [1.0, None]},
        {"load": [1.0, "2"]},
        {"load": [True, False]},
        {"load": [1.0, float("nan")]},
        {"load": [float("inf")]},
        {"load": [2**53 + 1]},
        {"load": [10**400]},
        {"load": [1.0], "wind": [1.0]},
        {"load": [1.0], "when": [1.0]},
    ],
    ids=str,
)
def test_what_may_be_more_than_a_number_is_read_the_long_way(columns: dict[str, list[Any]]) -> None:
    assert _read_numbers(columns, NUMBERS) is None


def test_categories_and_groups_are_read_the_long_way() -> None:
    assert _read_numbers({"load": [1.0], "temp": [2], "day": [3]}, PREPARATIONS["label"]) is None
    assert _read_numbers({"load": [1.0], "temp": [2], "who": [3]}, PREPARATIONS["label"]) is None
