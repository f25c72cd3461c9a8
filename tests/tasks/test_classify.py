"""A class for each sequence of a file: what a network sees, what is refused, and scores against their definitions."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_files import gestures, write_table

from evornn.data.preparation import Preparation
from evornn.errors import EvornnError
from evornn.tasks import TASKS
from evornn.tasks.classify import oversample
from evornn.tasks.core.class_scores import class_score
from evornn.tasks.core.identity import data_digest
from evornn.tasks.core.task import Sequences

ROWS = [(f"s{k}", "ab"[k % 2], k + step, step) for k in range(12) for step in range(2 + k % 3)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(rows=ROWS, header="id,kind,x,y", **settings):
    write_table("data.csv", header, rows)
    return TASKS.build({"kind": "classify", "path": "data.csv", "target": "kind", "group": "id", **settings}).data()


def test_sequences_are_padded_at_their_ends_and_the_last_step_counts():
    data = build()
    x, y = data.preparation.features
    for split in data.splits:
        for inputs, mask, targets in zip(split.inputs, split.mask, split.targets, strict=True):
            last = int(mask.argmax())
            assert mask.sum() == 1 and not inputs[last + 1 :].any() and targets[last].sum() == 1
            steps = np.round(inputs[: last + 1, 1] * y.std + y.mean)
            first = round(float(inputs[0, 0]) * x.std + x.mean)
            assert steps.tolist() == list(range(last + 1)) == list(range(2 + first % 3))
            assert targets[last].argmax() == first % 2
    every = build(loss_steps="every").train
    assert (every.mask.sum(axis=1) == build().train.mask.argmax(axis=1) + 1).all()
    assert (every.targets[every.mask].sum(axis=1) == 1).all()


def test_what_a_network_sees_and_answers_is_kept_and_said():
    gestures()
    data = TASKS.build({"kind": "classify", "path": "gestures.csv", "target": "gesture", "group": "id"}).data()
    how = data.preparation
    assert [feature.column for feature in how.features] == ["step", "x", "y", "hand", "size", "now"]
    assert how.features[3].categories == ("left", "right") and how.answers[0].categories == ("down", "none", "up")
    assert sum(feature.width for feature in how.features) == data.sizes[0] == 7
    assert (how.question, how.group, how.loss, how.window) == ("classify", "id", "cross_entropy", None)
    assert "The network reads step, x, y, hand (2 categories), size, now." in data.note
    assert "40 sequences of 12 to 19 steps, 28 / 6 / 6" in data.note
    assert Preparation.from_dict(how.to_dict()) == how
    assert data_digest(data) == data_digest(replace(data, preparation=None))  # the digest is of what networks see


def test_classes_may_be_yes_and_no_or_whole_numbers():
    rows = [(k, ["false", "true"][k % 2], k, k % 3) for k in range(12)]
    assert build(rows).labels == ("kind is false, logit", "kind is true, logit")
    assert build(rows, target="y").labels == ("y is 0, logit", "y is 1, logit", "y is 2, logit")


def test_categories_that_training_does_not_have_are_all_zeros():
    rows = [(f"s{k}", "ab"[k % 2], ["u", "v", "w"][k % 2 if k < 8 else 2], 0) for k in range(12)]
    words = ["train"] * 8 + ["valid"] * 2 + ["test"] * 2
    data = build([(*row, word) for row, word in zip(rows, words, strict=True)], "id,kind,x,y,part", split_column="part")
    assert data.preparation.features[0].categories == ("u", "v") and not data.test.inputs[..., :2].any()


def test_missing_values_are_masked_or_filled_within_their_group():
    rows = [(group, kind, "" if step == 1 else x, y) for group, kind, x, y in ROWS for step in [y]]
    with pytest.raises(EvornnError, match=r"data\.csv, line 3, column 'x': .*missing"):
        build(rows)
    data = build(rows, missing="mask")
    assert [(one.column, one.derived) for one in data.preparation.features] == [("x", ""), ("x", "missing"), ("y", "")]
    missing = data.train.inputs[:, :2, 1]
    assert (missing == [0, 1]).all() and not data.train.inputs[:, 1, 0].any()
    filled = build(rows, missing="forward_fill").train.inputs[..., 0]
    assert np.array_equal(filled[:, 0], filled[:, 1])


def test_balanced_classes_repeat_what_is_rare_and_never_the_test():
    rows = [(f"s{k}", "a" if k % 5 else "b", k, k) for k in range(40)]
    plain, balanced = build(rows), build(rows, class_weights="balanced")
    assert plain.train.targets[plain.train.mask].sum(axis=0).tolist() == [22, 6]
    assert balanced.train.targets[balanced.train.mask].sum(axis=0).tolist() == [22, 22]
    assert np.array_equal(balanced.test.inputs, plain.test.inputs)
    assert {row.tobytes() for row in balanced.train.inputs} == {row.tobytes() for row in plain.train.inputs}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.integers(0, 9))
def test_oversampling_makes_classes_equal_and_loses_none(classes, seed):
    chosen = oversample(classes, np.random.default_rng(seed))
    counts = np.bincount(np.array(classes)[chosen])
    assert set(chosen) == set(range(len(classes))) and len(set(counts[counts > 0])) == 1


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (ROWS, {"path": "dada.csv"}, r"dada\.csv: no such file"),
        (ROWS, {"target": "knd"}, r"data\.csv: no column 'knd': did you mean 'kind'"),
        (ROWS, {"group": "name"}, r"data\.csv: no column 'name'"),
        (ROWS, {"time": "t"}, r"data\.csv: no column 't'"),
        (ROWS, {"time": "kind"}, r"column 'kind' holds no times"),
        (ROWS, {"inputs": ["x", "z"]}, r"no column 'z'"),
        (ROWS, {"inputs": ["x", "kind"]}, r"column 'kind' is what is asked for: leave it out of inputs"),
        (ROWS, {"split_column": "part"}, r"no column 'part'"),
        (
            [*ROWS, ("s0", "b", 1, 9)],
            {},
            r"line 38, column 'kind': 'b', but group 's0' begins with 'a': give each group",
        ),
        ([*ROWS, ("s0", "", 1, 9)], {}, r"line 38, column 'kind': no class: fill it in"),
        ([*ROWS, ("", "a", 1, 9)], {}, r"line 38, column 'id': no group"),
        (
            [*ROWS, ("s", "c", 1, 9)],
            {},
            r"class 'c' of column 'kind' has one sequence only.*: give more, or leave it out",
        ),
        ([(k, "a", k, k) for k in range(9)], {}, r"column 'kind' has 1 class: give two or more"),
        ([(k, k / 2, k, k) for k in range(9)], {}, r"column 'kind' holds numbers, no classes: ask for numbers"),
        (ROWS, {"time": "x", "group": "kind", "target": "y"}, r"column 'x': is there twice in its group"),
        (ROWS, {"group": "kind", "target": "kind"}, r"has one sequence only"),
        (
            [(k, "ab"[k % 2], 1e300 if k == 9 else k % 3, k) for k in range(20)],
            {},
            r"line 11, column 'x': is too large to be scaled: replace the value",
        ),
    ],
)
def test_bad_data_get_one_line_that_says_what_to_do(rows, settings, message):
    with pytest.raises(EvornnError, match=message) as caught:
        build(rows, **settings)
    assert "\n" not in str(caught.value)


def test_a_class_that_training_lacks():
    rows = [(k, "abc"[k % 3], k, ("train", "train", "test")[k % 3] if k > 5 else "valid") for k in range(12)]
    with pytest.raises(EvornnError, match=r"class 'c' of column 'kind' has no sequence for training: change the split"):
        build(rows, split_column="y")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": [0.5, 0.5]}, r"^task\.split: must be three fractions"),
        ({"split": [0.5, 0.6, -0.1]}, r"^task\.split: must be three fractions"),
        ({"folds": 2}, r"^task\.folds: "),
        ({"folds": 5, "fold": 5}, r"^task\.fold: counts from 0: set it below folds"),
        ({"fold": 1}, r"^task\.fold: "),
        ({"missing": "drop"}, r"^task\.missing: "),
        ({"score": "mcc"}, r"^task\.score: "),
        ({"read": {"separatr": ";"}}, r"^task\.read\.separatr: "),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(EvornnError, match=message):
        build(**settings)


# Scores.


def split_of(truth, classes):
    targets = np.eye(classes, dtype=np.float32)[np.asarray(truth)][:, None]
    return Sequences(np.zeros((len(truth), 1, 1), np.float32), targets, np.ones((len(truth), 1), bool))


@st.composite
def answers(draw):
    classes = draw(st.integers(2, 4))
    truth = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=12))
    logits = [[draw(st.integers(-2, 2)) for _ in range(classes)] for _ in truth]
    return np.array(truth), np.array(logits, np.float64)


@given(answers())
def test_scores_are_what_they_are_defined_to_be(case):
    truth, logits = case
    split, outputs = split_of(truth, logits.shape[1]), logits[:, None].astype(np.float32)
    value = {
        name: class_score(name).compute(outputs, split) for name in ("accuracy", "balanced_accuracy", "f1", "log_loss")
    }
    said = [int(np.flatnonzero(row == row.max())[0]) for row in logits]
    right = [a == b for a, b in zip(said, truth, strict=True)]
    assert value["accuracy"] == pytest.approx(sum(right) / len(right))
    recalls = [np.mean([r for r, k in zip(right, truth, strict=True) if k == c]) for c in set(truth.tolist())]
    assert value["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    f1 = []
    for c in set(truth.tolist()) | set(said):
        hits = sum(a == b == c for a, b in zip(said, truth, strict=True))
        precision, recall = hits / max(said.count(c), 1), hits / max(truth.tolist().count(c), 1)
        f1.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    assert value["f1"] == pytest.approx(np.mean(f1))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value["log_loss"] == pytest.approx(-np.log(chances[np.arange(len(truth)), truth]).mean(), abs=1e-9)


@given(answers())
def test_roc_auc_counts_pairs(case):
    truth, logits = case
    score = class_score("roc_auc").compute(logits[:, None].astype(np.float32), split_of(truth, logits.shape[1]))
    chances = np.round(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 12)
    areas = []
    for k in range(logits.shape[1]) if logits.shape[1] > 2 else [1]:
        pairs = list(product(chances[truth == k, k], chances[truth != k, k]))
        if pairs:
            areas.append(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))
    assert score == pytest.approx(np.mean(areas), abs=0.02) if areas else np.isnan(score)


def test_the_score_is_that_of_the_last_step_even_where_every_step_counts():
    split = Sequences(
        np.zeros((1, 3, 1), np.float32),
        np.array([[[0, 1], [0, 1], [0, 0]]], np.float32),
        np.array([[True, True, False]]),
    )
    outputs = np.array([[[9, 0], [0, 9], [9, 0]]], np.float32)
    assert class_score("accuracy").compute(outputs, split) == 1.0
    assert class_score("accuracy", every_step=True).compute(outputs, split) == 0.5
