"""Sequences of a table: groups, order, even steps, missing values."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evornn.data.filling import fill_missing
from evornn.data.groups import find_frequency, list_groups
from evornn.data.reading import read
from evornn.errors import EvornnError

NAN = float("nan")


def table_of(**columns: Any) -> Any:
    return read(pd.DataFrame(columns))


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(EvornnError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_groups_are_all_rows_once_in_their_order(ids: list[int]) -> None:
    for kind in (str, int):
        groups = list_groups(table_of(id=[kind(one) for one in ids], y=np.arange(len(ids))), "id", None)
        assert [group.name for group in groups] == list(dict.fromkeys(map(str, ids)))
        assert sorted(row for group in groups for row in group.rows) == list(range(len(ids)))
        assert all(
            (np.diff(one.rows) > 0).all() and {str(ids[row]) for row in one.rows} == {one.name} for one in groups
        )


def test_without_a_group_all_rows_are_one_sequence() -> None:
    (group,) = list_groups(table_of(y=[1.0, 2.0]), None, None)
    assert group.rows.tolist() == [0, 1]


def test_rows_are_put_in_the_order_of_time_in_each_group() -> None:
    times = pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-01", "2020-01-02"])
    assert [one.rows.tolist() for one in list_groups(table_of(g=["a", "a", "b", "b"], t=times), "g", "t")] == [
        [1, 0],
        [2, 3],
    ]
    message = refusal(list_groups, table_of(g=["a"] * 4, t=times), "g", "t")
    assert message.startswith("the frame, line 3, column 't': is there twice in its group: name the column that tells")
    assert message.endswith("or write offsets from UTC if clocks were put back")


def steps(table: Any) -> Any:
    return [find_frequency(table, "t", group) for group in list_groups(table, None, "t")]


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ([1, 2, 2], "line 3, column 't': is there twice in its group: name the column"),
        ([0, 1, 2, 4], "line 4, column 't': 2 after the row before, elsewhere 1: fill in the missing rows"),
        ([0, NAN, 2], "line 2, column 't': no time: fill it in"),
        (["a", "b", "c"], "column 't' holds no times: write ISO dates, or numbers"),
        (
            pd.to_datetime([f"2020-01-01 {hour:02}:00" for hour in (0, 1, 2, 5)]),
            "line 4, column 't': 3 hours after the",
        ),
    ],
)
def test_times_that_do_not_fit_are_refused(times: Any, problem: str) -> None:
    assert problem in refusal(steps, table_of(t=times))


def test_a_row_without_a_group_is_refused() -> None:
    assert "line 2, column 'g': no group: fill it in" in refusal(list_groups, table_of(g=["a", None]), "g", None)


GAPPY = [1.0, NAN, NAN, 4.0, NAN]


def fill(values: list[float], policy: Any, groups: list[str] | None = None) -> list[float]:
    table = table_of(y=values) if groups is None else table_of(y=values, g=groups)
    filled = fill_missing(table, ["y"], policy, list_groups(table, groups and "g", None))
    return list(filled.column("y").values.tolist())


@pytest.mark.parametrize(("policy", "expected"), [("interpolate", [1, 2, 3, 4, 4]), ("forward_fill", [1, 1, 1, 4, 4])])
def test_gaps_are_filled(policy: Any, expected: list[float]) -> None:
    assert fill(GAPPY, policy) == expected
    assert fill([NAN, 5.0], "interpolate") == [5, 5]
    np.testing.assert_array_equal(fill(GAPPY, "mask"), GAPPY)  # a network is told where


def test_values_are_filled_within_a_sequence_only() -> None:
    assert fill([1.0, 5.0, NAN, NAN], "forward_fill", ["a", "b", "a", "b"]) == [1, 5, 1, 5]
    message = refusal(fill, [NAN, 1.0, 2.0], "forward_fill", ["a", "b", "b"])
    assert message == "the frame, line 1, column 'y': its group has no value at all: leave it out"
    assert "line 1, column 'y': is missing, and nothing is before it" in refusal(fill, [NAN, 1.0], "forward_fill")


def test_a_gap_is_refused_and_all_policies_are_named() -> None:
    assert refusal(fill, GAPPY, "refuse") == (
        "the frame, line 2, column 'y': is missing: fill it in, or set missing to mask, forward_fill or interpolate"
    )


@given(st.lists(st.floats(-1e6, 1e6) | st.just(NAN), min_size=1, max_size=20).filter(lambda v: v[0] == v[0]))
def test_what_is_known_is_never_changed(values: list[float]) -> None:
    known = ~np.isnan(values)
    for policy in ("forward_fill", "interpolate"):
        filled = np.array(fill(values, policy))
        assert np.isfinite(filled).all()
        np.testing.assert_array_equal(filled[known], np.array(values)[known])
