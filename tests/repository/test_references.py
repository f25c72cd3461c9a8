"""evornn against what practitioners take: data are prepared as the page says, all methods choose among as many settings
and are judged alike, and tables say where a simple model is better. Foreign packages are only needed to compute."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.references import __main__ as command
from benchmarks.references import files, others, ours, page, simple
from benchmarks.references.parts import BY_HAND, METHODS, PARTS, Set, sets
from benchmarks.references.scores import Answers, Outcome, class_scores, forecast_scores, naive_errors, number_scores
from evornn.experiments.spec import parse_spec, plan
from evornn.store.store import open_store

PAGE = Path(__file__).parents[2] / "docs" / "results" / "references.md"
ALL = [one for of_part in PARTS.values() for one in of_part]


def test_series_lie_below_one_another() -> None:
    wide = pd.DataFrame({"year": [1, 2, 3], "a": [1.0, 2.0, 4.0], "b": [5.0, 5.0, 4.0]})
    table = files.long_table(wide, ["2001-01-01", "2002-01-01", "2003-01-01"], ["year"])
    assert table.to_dict("list") == {
        "series": ["a", "a", "a", "b", "b", "b"],
        "date": ["2001-01-01", "2002-01-01", "2003-01-01"] * 2,
        "value": [1, 2, 4, 5, 5, 4],
    }


def test_every_fourth_training_sequence_of_a_class_is_for_validation() -> None:
    train = [np.full((2, 3 + k % 2), k) for k in range(10)], ["a", "b"] * 5
    table = files.sequence_table(train, ([np.zeros((2, 4))] * 4, ["a"] * 4))
    first = table.groupby("sequence").first()
    assert Counter(zip(first["part"], first["class"], strict=True)) == {
        ("train", "class a"): 4, ("train", "class b"): 4, ("valid", "class a"): 1, ("valid", "class b"): 1,
        ("test", "class a"): 4,
    }  # fmt: skip
    values, classes = simple.sequences(table[table["part"] != "test"])
    assert [one.shape for one in values[:2]] == [(2, 3), (2, 4)] and list(classes[:2]) == ["class a", "class b"]
    assert simple.sequences(table[table["part"] == "test"])[0].shape == (4, 2, 4)


def test_batches_are_cut_before_their_ends_and_constant_ends_are_not_asked_for() -> None:
    batches = {
        k: pd.DataFrame({"Tag01": np.arange(rows), "Tag02": np.where(np.arange(rows) < 90, k, 7)})
        for k, rows in ((1, 113), (2, 120))
    }
    table = files.batch_table(batches)
    assert len(table) == 2 * files.SAMPLES and table["Tag01"].max() == files.SAMPLES - 1
    assert table.groupby("batch")["end Tag01"].unique().map(list).tolist() == [[107.5], [114.5]]
    assert "end Tag02" not in table


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def load() -> pd.DataFrame:
        raise ModuleNotFoundError("no", name="aeon")

    monkeypatch.setitem(files.LOADERS, "nylon", load)
    assert command.main(["quality", "--folder", str(tmp_path), "--workers", "0"]) == 1
    assert "nylon needs the package aeon" in capsys.readouterr().err


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_every_method_has_as_many_settings_to_choose_from(one: Set) -> None:
    assert len({len(one.candidates(method)) for method in (*METHODS, BY_HAND)}) == 1
    assert len(one.seeds) >= 5 and not set(one.seeds) & set(one.search_seeds)
    for method in METHODS:
        candidates = one.candidates(method)
        assert len(plan(parse_spec(ours.search_spec(one, method, Path("here"))))) == 2 * len(candidates)
        final = [
            run for spec in ours.final_specs(one, method, candidates[0], Path("here")) for run in plan(parse_spec(spec))
        ]
        assert len(final) == len(one.seeds) * max(one.folds, 1) and {run.seed for run in final} == set(one.seeds)
        assert all(candidate.settings() for candidate in candidates)


def test_the_scores_of_forecasts(tmp_path: Path) -> None:
    dates = ["2001-01-01", "2002-01-01", "2003-01-01"]
    table = pd.DataFrame({"series": ["a"] * 3 + ["b"] * 3, "date": dates * 2, "value": [1, 3, 9, 0, 1, 2]})
    table.to_csv(tmp_path / "t.csv")
    naive = naive_errors(tmp_path / "t.csv", "2003-01-01")
    assert naive == {"a": 2, "b": 1}
    answers = Answers(np.array([[1.0, 5.0], [2.0, 2.0]]), np.array([[1.0, 2.0], [1.0, 1.0]]), 0.0, ("a", "b"))
    found = forecast_scores(answers, naive)
    assert found["a"] == {"mase": 0.75, "rmse": pytest.approx(4.5**0.5)} and found["b"] == {"mase": 1, "rmse": 1}


def test_the_scores_of_classes_and_numbers() -> None:
    logits, truth = np.array([[1.0, 0.0], [3.0, 4.0], [1.0, 0.0]]), np.eye(2)[[0, 1, 1]]
    assert class_scores(Answers(logits, truth, 0.0)) == {"class": {"accuracy": pytest.approx(2 / 3)}}
    truth = np.array([[0.0, 1.0], [2.0, 3.0]])
    mean = Answers(np.full((2, 2), truth.mean(axis=0)), truth, 0.0, (), ("x", "y"))
    right = replace(mean, predictions=truth)
    assert number_scores(mean)["x"] == {"r2": 0, "rmse": 1, "relative_rmse": 1}
    assert number_scores(right)["y"] == {"r2": 1, "rmse": 0, "relative_rmse": 0}
    assert len(Answers.join([mean, right]).truth) == 4 and Answers.join([mean, right]).targets == ("x", "y")


def test_naive_forecasts_repeat_what_was_known() -> None:
    table = pd.DataFrame({"series": "a", "date": [f"20{k:02}" for k in range(10)], "value": np.arange(10.0)})
    asked = {"horizon": 3, "season": 2, "split": ["2004", "2006"]}
    made, truth, names = simple.persistence(table, asked)
    assert names == ("a", "a") and truth.tolist() == [[6, 7, 8], [7, 8, 9]] and made.tolist() == [[5] * 3, [6] * 3]
    assert simple.seasonal_naive(table, asked)[0].tolist() == [[4, 5, 4], [5, 6, 5]]


def test_references_read_nothing_but_the_past_of_a_series() -> None:
    """Another column, of rows to come, could give the answer away."""
    table = files.long_table(pd.DataFrame({"a": [1.0, 2.0]}), ["2001-01-01", "2002-01-01"], []).assign(change=1.0)
    assert list(simple.to_frame(table)) == ["unique_id", "ds", "y"]


def _outcome(method: str, seed: int | None, a: float, b: float) -> Outcome:
    scores = {name: {"mase": value, "rmse": 10 * value} for name, value in (("a", a), ("b", b))}
    return Outcome("macrodata", method, seed, "", 1.0, scores)


def test_the_page_says_where_a_simple_model_is_better() -> None:
    one = sets("forecasting")[0]
    found = [
        _outcome("AutoETS", None, 0.5, 0.5),
        _outcome("seasonal naive", None, 2.0, 2.0),
        _outcome(BY_HAND, 0, 0.4, 2.0),
        *(_outcome("gradient", seed, 1.0 + seed / 10, 0.9) for seed in range(2)),
    ]
    text = "\n".join(page.section("forecasting", [(one, found)]))
    assert "Not run to the end: evornn, evolution, evornn, hybrid." in text
    assert "**AutoETS is better than evornn's best method**: MASE 0.500 against 0.975 [0.950, 1.00]" in text
    assert "seasonal naive is worse: MASE 2.00" in text
    assert f"{BY_HAND} is worse: MASE 1.20" in text
    assert "| AutoETS | 0.500 | 1 of 2 |" in text and f"| {BY_HAND} | 1.20 | 1 of 2 |" in text
    assert "| a | 5.00 | 20.0 | **4.00** | 10.5 |" in text
    short = "\n".join(page.summary([(one, found)]))
    assert "| US economy | MASE | AutoETS: 0.500 | evornn, gradient: 0.975 [0.950, 1.00] | **AutoETS** |" in short
    assert "No difference shown" in "\n".join(page.verdicts(one, [*found, _outcome("AutoETS", 1, 1.1, 1.1)]))


@pytest.mark.slow  # some dozen runs
def test_what_is_missing_is_computed_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three noisy sines, two settings, a moment of training; the references are the naive ones."""
    rng, rows = np.random.default_rng(0), np.arange(60)
    wide = pd.DataFrame({f"s{k}": np.sin(rows / 2 + k) + rng.normal(0, 0.1, 60) for k in range(3)})
    dates = pd.date_range("2001-01-01", periods=60, freq="MS").strftime("%Y-%m-%d")
    files.long_table(wide, dates, []).to_csv(tmp_path / "employment.csv", index=False)
    one = replace(
        sets("forecasting", quick=True)[1],
        task={**PARTS["forecasting"][1].task, "window": 6, "horizon": 2, "split": ["2004-01-01", "2005-01-01"]},
        units=3,
        steps=20_000,
    )
    monkeypatch.setattr(command, "sets", lambda part, quick: [one])
    monkeypatch.setitem(simple.METHODS, "forecast", {name: simple.FORECASTS[name] for name in ("persistence",)})
    arguments = ["forecasting", "--folder", str(tmp_path), "--workers", "0"]
    assert command.main(arguments) == 0
    kept = others.Kept(tmp_path / "references.json")
    assert f"employment, {BY_HAND} (3 units, 20,000 steps), seed 1" in kept.values
    monkeypatch.setattr(others.by_hand, "train", None)  # a second call has nothing to do
    assert command.main([*arguments, "--page"]) == 0 and command.main(arguments) == 0
    with open_store(f"sqlite:///{tmp_path}/references.db") as store:
        assert len(store.jobs()) == 2 * len(METHODS)
        found = ours.outcomes(one, "gradient", tmp_path, store)
    assert [(outcome.seed, list(outcome.scores)) for outcome in found] == [
        (0, ["s0", "s1", "s2"]),
        (1, ["s0", "s1", "s2"]),
    ]


def test_the_committed_page_has_the_sentences_of_today() -> None:
    text = PAGE.read_text()
    assert text.startswith(page.HEAD)
    assert [introduction for introduction in page.INTRODUCTIONS.values() if introduction not in text] == []
    assert [one.title for one in ALL if f"### {one.title}\n\nData: {one.source}." not in text] == []
