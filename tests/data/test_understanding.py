"""What is understood of a table, what is asked, and the spec that follows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evornn.data.doubts import UnansweredDoubt
from evornn.data.options import ReadOptions
from evornn.data.reading import load
from evornn.data.understanding import Understanding, understand
from evornn.errors import EvornnError
from evornn.experiments.data_spec import data_spec

HOURS = pd.date_range("2020-01-01", periods=48, freq="h")
WAVE = np.sin(np.arange(48.0))


def facts_of(columns: dict[str, Any], **more: Any) -> Understanding:
    return understand(load(pd.DataFrame(columns)), **more)


def questions(facts: Understanding) -> list[str]:
    return [str(doubt) for doubt in facts.doubts]


SERIES = {"time": HOURS, "load": WAVE, "warm": WAVE > 0}
PANEL = {
    "machine": np.repeat([1, 2, 3], 16),
    "t": np.tile(np.arange(16.0), 3),
    "x": WAVE,
    "grade": np.repeat([0.5, 1.25, 7.5], 16),
    "good": np.repeat(["yes", "no", "yes"], 16),
}


def test_a_series() -> None:
    facts = facts_of(SERIES)
    assert (facts.time, facts.group, facts.sequences, facts.longest, facts.step) == ("time", None, 1, 48, "1 hour")
    assert [column.question for column in facts.columns] == [None, "forecast", "label"]
    assert facts.columns[0].low == "2020-01-01" and facts.columns[0].high == "2020-01-02T23:00"
    assert dict(facts.columns[2].classes) == {"true": int((WAVE > 0).sum()), "false": int((WAVE <= 0).sum())}
    assert facts.doubts == ()


def test_a_panel_with_its_group() -> None:
    facts = facts_of(PANEL, group="machine", time="t")
    assert (facts.sequences, facts.shortest, facts.longest, facts.step) == (3, 16, 16, "1")
    assert [column.question for column in facts.columns] == [None, None, "forecast", "regress", "classify"]


def test_what_is_constant_but_for_missing_values_answers_for_the_sequence() -> None:
    gaps = {name: pd.Series(PANEL[name]).mask(np.arange(48) % 5 == 0) for name in ("grade", "good")}
    facts = facts_of({**PANEL, **gaps}, group="machine", time="t")
    assert [column.question for column in facts.columns[-2:]] == ["regress", "classify"]
    assert facts_of({"y": [np.nan, 1.0, 1.0]}).columns[0].question is None


def test_times_that_begin_anew_ask_for_the_group() -> None:
    (question,) = questions(facts_of(PANEL, time="t"))
    assert question.startswith("column 't': times begin anew: which column tells the sequences apart?: set group to")
    assert "machine" in question


def test_two_columns_of_times_ask_for_the_one() -> None:
    (question,) = questions(facts_of({"a": HOURS, "b": HOURS, "y": WAVE}))
    assert question.endswith("set time to a, or time to b")


@pytest.mark.parametrize(
    ("columns", "question"),
    [
        ({"time": HOURS.delete(5), "y": WAVE[1:]}, "2 hours after the row before"),
        ({"y": [1.0, np.nan, 3.0]}, "1 of 3 values are missing: what about them?: set fill to mask"),
        ({"y": [2.0, 2.0]}, "is 2 in all rows"),
        ({"y": [2.0, np.nan, 2.0]}, "is 2 wherever it is known"),
        ({"time": HOURS[::-1], "y": WAVE}, "column 'time': rows are not in order: they are read in the order of time"),
        ({"when": [f"day {k}" for k in range(48)], "y": WAVE}, "if they are times (day 0), they aren't understood"),
        (
            {"city": [f"c{k % 40}" for k in range(200)], "y": np.arange(200.0)},
            "its 40 categories are 40 inputs",
        ),
        ({"time": HOURS.repeat(2)[:48], "y": WAVE}, "line 2, column 'time': is there twice in its group"),
    ],
)
def test_what_is_not_certain_is_asked(columns: Any, question: str) -> None:
    assert any(question in one for one in questions(facts_of(columns)))


def test_a_group_is_no_input() -> None:
    facts = understand(load({"id": [f"c{k // 5}" for k in range(200)], "y": np.arange(200.0)}), group="id")
    assert not any("inputs of 0 or 1" in one for one in questions(facts))


def test_an_order_that_falls_is_said_where_times_are_not_used() -> None:
    falling, rising = (understand(load({"t": times, "y": WAVE}), time="none") for times in (HOURS[::-1], HOURS))
    assert questions(falling) == ["column 't': times fall from row to row, so that time runs backwards"]
    assert questions(rising) == []


def test_few_whole_numbers_for_whole_sequences_may_be_classes() -> None:
    facts = understand(load({"X": np.random.default_rng(0).normal(size=(6, 4, 2)), "y": np.arange(6) % 2}))
    assert facts.group == "sequence" and facts.sequences == 6
    assert "column 'y': are its 2 whole numbers classes?: set kinds to y=category" in questions(facts)


def test_it_is_plain_data() -> None:
    facts = facts_of({**SERIES, "load": [np.nan, *WAVE[1:]]})
    assert json.loads(json.dumps(facts.to_dict()))["columns"][1]["missing"] == 1


def test_a_spec_says_all_that_was_told() -> None:
    spec = data_spec("a.csv", ["x"], facts_of(PANEL, group="machine", time="t"), ReadOptions(decimal=","), "mask")
    assert spec["tasks"] == [
        {
            "kind": "forecast",
            "path": "a.csv",
            "targets": ["x"],
            "group": "machine",
            "time": "t",
            "missing": "mask",
            "window": 2,
            "read": {"decimal": ","},
        }
    ]
    assert len(spec["networks"]) == 4 and len(spec["trainers"]) == 3


def test_a_trend_is_read_as_changes() -> None:
    """Where most values of the part for validation were never seen before, in any direction and in most series."""
    steps = np.arange(80.0)
    noise = np.random.default_rng(0).normal(0, 1, 80)

    def past(values: np.ndarray, shops: int = 1) -> str | None:
        table = {"shop": np.repeat(list("abc"[:shops]), 80), "t": np.tile(steps, shops), "y": values}
        group = "shop" if shops > 1 else None
        return data_spec("a.csv", ["y"], facts_of(table, group=group, time="t"), ReadOptions())["tasks"][0].get("past")

    assert past(steps + noise) == past(noise - steps) == "changes"
    assert past(noise) is past(np.where(steps > 68, steps, noise)) is None, "what only the test has is not looked at"
    assert past(np.concatenate([steps + noise, noise, noise - steps]), shops=3) == "changes"
    assert past(np.concatenate([steps + noise, noise, noise]), shops=3) is None


def test_a_class_of_each_sequence_is_one_target() -> None:
    spec = data_spec("a.csv", ["good"], facts_of(PANEL, group="machine", time="t"), ReadOptions())
    assert spec["tasks"] == [{"kind": "classify", "path": "a.csv", "target": "good", "group": "machine", "time": "t"}]


def ask(columns: dict[str, Any], target: str, fill: str | None = None, **more: Any) -> Any:
    """The task of the spec for a target, or the doubt that has to be answered first."""
    try:
        spec = data_spec("a.csv", [target], facts_of(columns, **more), ReadOptions(), fill)
    except UnansweredDoubt as error:
        return error.doubt
    return spec["tasks"][0]


def test_rows_in_any_order_are_put_in_order() -> None:
    facts = facts_of({"time": HOURS[::-1], "y": WAVE})
    assert facts.step == "1 hour" and not any(doubt.blocking for doubt in facts.doubts)
    assert questions(facts) == ["column 'time': rows are not in order: they are read in the order of time"]


def test_only_a_forecast_needs_even_steps() -> None:
    uneven = {"time": HOURS.delete(5), "y": WAVE[1:], "on": WAVE[1:] > 0}
    doubt = ask(uneven, "y")
    assert "2 hours after the row before" in doubt.question and doubt.answers == (("time", "none"),)
    assert "time" not in ask(uneven, "y", time="none") and ask(uneven, "on")["kind"] == "label"


def test_gaps_are_asked_about_where_they_matter() -> None:
    gaps = {**SERIES, "day": ["mon", None, *["tue"] * 46], "load": [*WAVE[:9], np.nan, *WAVE[10:]]}
    assert ask(gaps, "load").answers == (("fill", "mask"), ("fill", "forward_fill"))
    assert ask(gaps, "load", "mask")["missing"] == "mask"
    doubt = ask({**gaps, "load": WAVE}, "warm")
    assert doubt.question == "1 of 48 values of 'day' are missing: what about them?" and len(doubt.answers) == 3
    assert "can't interpolate" in ask(SERIES, "load", "interpolate").question
    assert ask({**gaps, "load": WAVE}, "load")["kind"] == "forecast", "it reads no other column"


def test_values_in_blocks_may_tell_sequences_apart() -> None:
    columns = {name: PANEL[name] for name in ("machine", "x", "good")}
    doubt = ask(columns, "x")
    assert "stand together" in doubt.question and doubt.answers == (("group", "machine"), ("group", "none"))
    assert ask(columns, "good", group="machine")["kind"] == "classify"
    assert ask(columns, "good", group="none")["kind"] == "label"
    timed = {"time": HOURS, **columns}
    assert ask(timed, "x")["kind"] == "forecast" and "in all rows of each value" in ask(timed, "good").question


@pytest.mark.parametrize(
    ("targets", "group", "problem"),
    [
        (["x"], None, "times begin anew"),
        (["machine"], "machine", "can't be a target"),
        (["x", "grade"], "machine", "ask for different things"),
        (["y"], "machine", "unknown column 'y'"),
    ],
)
def test_a_spec_is_refused(targets: list[str], group: str | None, problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        data_spec("a.csv", targets, facts_of(PANEL, group=group, time="t"), ReadOptions())
