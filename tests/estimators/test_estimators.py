"""Estimators: what X and y may be, answers in the user's own terms, scikit-learn's tools, and errors of one line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import evornn
from evornn import Classifier, Forecaster, Regressor, StandaloneModel
from evornn.data.reading import read
from evornn.errors import EvornnError

FAST: dict[str, Any] = {"units": 3, "budget": 6000, "trainer": {"kind": "adam", "learning_rate": 0.03}}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 5, 2))
SUMS = X[:, :, 0].sum(axis=1)
Y = np.where(SUMS > 0, "up", "down")
WAVE = np.sin(np.arange(120) / 3)


def as_frame() -> pd.DataFrame:
    """X as rows below one another, with what belongs to them."""
    columns = {"recording": np.repeat([f"r{k}" for k in range(len(X))], 5), "step": np.tile(np.arange(5), len(X))}
    columns |= {"a": X[:, :, 0].ravel(), "b": X[:, :, 1].ravel(), "way": np.repeat(Y, 5), "sum": np.repeat(SUMS, 5)}
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(**FAST).fit(X, Y)


def test_a_classifier_answers_with_the_users_classes(classifier: Classifier) -> None:
    assert classifier.classes_.tolist() == ["down", "up"] and classifier.n_features_in_ == 2
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (48, 2) and np.allclose(probabilities.sum(axis=1), 1)
    assert (classifier.predict(X) == classifier.classes_[probabilities.argmax(axis=1)]).all()
    assert classifier.score(X, Y) > 0.8
    numbers = Classifier(**FAST).fit(X, (Y == "up") + 3)
    assert np.array_equal(numbers.predict_proba(X), probabilities) and set(numbers.predict(X)) == {3, 4}


def test_the_same_seed_gives_the_same_bits(classifier: Classifier) -> None:
    assert clone(classifier).fit(X, Y).model_.to_bytes() == classifier.model_.to_bytes()
    other = Classifier(**FAST, random_state=1).fit(X, Y)
    assert other.model_.to_bytes() != classifier.model_.to_bytes()
    drawn = [Classifier(**FAST, random_state=np.random.RandomState(5)).fit(X, Y).model_.to_bytes() for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_arrays_lists_and_frames_are_the_same_sequences(classifier: Classifier) -> None:
    expected, frame = classifier.predict_proba(X), as_frame()
    assert np.array_equal(Classifier(**FAST).fit(list(X), Y).predict_proba(list(X)), expected)
    inputs, shuffled = frame[["recording", "step", "a", "b"]], RNG.permutation(len(frame))
    of_frame = Classifier(**FAST, group="recording", time="step").fit(inputs, frame["way"])
    assert np.array_equal(of_frame.predict_proba(inputs), expected)
    assert np.array_equal(clone(of_frame).fit(inputs, Y).predict_proba(inputs), expected)
    mixed = inputs.iloc[shuffled]
    order = [int(name[1:]) for name in mixed["recording"].drop_duplicates()]
    assert np.array_equal(of_frame.predict_proba(mixed), expected[order])
    assert of_frame.score(mixed, frame["way"].iloc[shuffled]) == classifier.score(X, Y)
    assert of_frame.feature_names_in_.tolist() == ["recording", "step", "a", "b"]


def test_sequences_may_have_unequal_lengths(classifier: Classifier) -> None:
    cut = [one[: 3 + k % 3] for k, one in enumerate(X)]
    padded = np.full_like(X, np.nan)
    for k, one in enumerate(cut):
        padded[k, : len(one)] = one
    of_list = Classifier(**FAST).fit(cut, Y)
    assert np.array_equal(Classifier(**FAST).fit(padded, Y).predict_proba(padded), of_list.predict_proba(cut))


def test_a_regressor_has_units_and_intervals() -> None:
    regressor = Regressor(**FAST).fit(X, 100 + SUMS)
    low, high = regressor.predict_interval(X, coverage=0.6).T
    said = regressor.predict(X)
    assert said.shape == (48,) and (low < said).all() and (said < high).all() and abs(said.mean() - 100) < 2
    both = Regressor(**FAST).fit(X, pd.DataFrame({"sum": SUMS, "twice": 2 * SUMS}))
    assert both.predict(X).shape == (48, 2) and both.predict_interval(X, 0.6).shape == (48, 2, 2)
    assert [answer.column for answer in both.model_.own_preparation.answers] == ["sum", "twice"]
    frame = as_frame()
    grouped = Regressor(**FAST, group="recording").fit(frame[["recording", "a", "b"]], 100 + frame["sum"])
    assert np.array_equal(grouped.predict(frame[["recording", "a", "b"]]), said)


def test_a_forecaster_goes_on_where_series_end() -> None:
    one = Forecaster(**FAST, window=8, horizon=3).fit(WAVE)
    assert one.predict(WAVE).shape == (3,) and one.predict(WAVE, steps=5).shape == (5,)
    assert one.predict_interval(WAVE, coverage=0.5).shape == (3, 2) and one.score(WAVE) <= 1
    assert np.array_equal(one.predict(WAVE[-8:]), one.predict(WAVE))
    two = Forecaster(**FAST, window=8, horizon=3).fit(np.stack([WAVE, -WAVE], axis=1))
    assert two.predict(np.stack([WAVE, -WAVE], axis=1)).shape == (3, 2)
    series = [WAVE[:, None], WAVE[20:, None]]
    many = Forecaster(**FAST, window=8, horizon=3).fit(series)
    assert many.predict(series).shape == (2, 3)
    frame = pd.DataFrame({"who": ["a"] * 120 + ["b"] * 100, "x": np.concatenate([WAVE, WAVE[20:]])})
    of_frame = Forecaster(**FAST, window=8, horizon=3, group="who").fit(frame)
    assert np.array_equal(of_frame.predict(frame), many.predict(series))


def test_a_forecaster_of_quantiles() -> None:
    levels = (0.1, 0.5, 0.9)
    one = Forecaster(**FAST, window=8, horizon=3, quantiles=levels).fit(WAVE)
    all_ = one.predict_quantiles(WAVE)
    assert all_.shape == (3, 3) and (np.diff(all_, axis=-1) >= 0).all()
    assert np.array_equal(one.predict(WAVE), all_[:, 1])
    two = Forecaster(**FAST, window=8, horizon=3, quantiles=levels).fit(np.stack([WAVE, -WAVE], axis=1))
    both = two.predict_quantiles(np.stack([WAVE, -WAVE], axis=1))
    assert both.shape == (3, 2, 3) and np.isfinite(both).all()
    with pytest.raises(ValueError, match="trained without quantiles"):
        Forecaster(**FAST, window=8).fit(WAVE).predict_quantiles(WAVE)
    with pytest.raises(ValueError, match="quantiles"):
        Forecaster(**FAST, window=8, quantiles=(0.9, 0.1)).fit(WAVE)


def test_a_forecaster_reads_dates_and_what_is_known_ahead() -> None:
    times = pd.date_range("2026-01-01", periods=123, freq="h")
    frame = pd.DataFrame({"time": times, "load": [*WAVE, *[np.nan] * 3], "holiday": np.arange(123) % 7 < 2})
    setup = {"time": "time", "targets": "load", "known_ahead": ["holiday"], "calendar": ["hour"]}
    forecaster = Forecaster(**FAST, **setup, window=8, horizon=3).fit(frame[:120])
    assert forecaster.predict(frame).shape == (3,)
    with pytest.raises(ValueError, match="must be known 3 rows ahead"):
        forecaster.predict(frame[:120])


def test_scikit_learns_tools_take_them(classifier: Classifier) -> None:
    search = GridSearchCV(Classifier(**FAST), {"units": [2, 3]}, cv=2).fit(X, Y)
    assert search.best_params_["units"] in (2, 3) and search.score(X, Y) > 0.5
    frame = as_frame()
    shares = cross_val_score(
        Classifier(**FAST, group="recording"), frame[["recording", "a", "b"]], frame["way"],
        groups=frame["recording"], cv=GroupKFold(2),
    )  # fmt: skip
    assert len(shares) == 2 and (shares > 0.5).all()
    steps = make_pipeline(StandardScaler(), Classifier(**FAST)).fit(X[:, 0], Y)  # sequences of one step
    assert steps.predict(X[:, 0]).shape == (48,)
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_any_trainer_and_network_by_name_or_fragment() -> None:
    for trainer in ("snes", {"kind": "evolve_then_refine"}):
        fitted = Classifier({"kind": "lstm", "layers": 2}, units=2, trainer=trainer, budget=20_000).fit(X, Y)
        assert fitted.model_.architecture["kind"] == "lstm" and fitted.model_.architecture["layers"] == 2


def test_the_model_stands_alone(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "way.safetensors")
    model = StandaloneModel.load(tmp_path / "way.safetensors")
    answers = model.predict(read({"X": list(X)}))
    assert np.array_equal(answers.column("y=up").values, classifier.predict_proba(X)[:, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classifier(**FAST).fit(X, Y[:-1]), "inconsistent numbers of samples"),
        (lambda: Classifier(**FAST).fit(X, None), "requires y to be passed"),
        (lambda: Classifier(**FAST).fit([X[0], X[1][:, :1]], Y[:2]), "sequences of 2 and of 1 inputs"),
        (lambda: Classifier(**FAST, group="who").fit(X, Y), "X is no frame"),
        (lambda: Classifier(**FAST, group="who").fit(as_frame(), Y), "no column 'who'"),
        (lambda: Classifier(**FAST, class_weight="some").fit(X, Y), "class_weight: must be None or 'balanced'"),
        (lambda: Classifier(**FAST, validation_fraction=1).fit(X, Y), "validation_fraction: must be between 0 and 1"),
        (lambda: Classifier("grru", units=3).fit(X, Y), "did you mean 'gru'"),
        (lambda: Classifier({"layers": 2}, units=3).fit(X, Y), "network: has no kind"),
        (lambda: Regressor(**FAST).fit(X, Y), "could not convert string to float"),
        (
            lambda: Classifier(**FAST, group="recording").fit(as_frame()[["recording", "a"]], np.tile(["u", "v"], 120)),
            "y varies within group 'r0'",
        ),
        (lambda: Forecaster(**FAST, window=200).fit(WAVE), "minimum of 200 is required"),
    ],
)
def test_bad_input_is_a_value_error_of_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert isinstance(caught.value, EvornnError) or "\n" not in str(caught.value)


def test_estimators_are_loaded_at_their_first_use() -> None:
    assert evornn.Classifier is Classifier and evornn.Forecaster is Forecaster
