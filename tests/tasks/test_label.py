"""A class or numbers per step: pieces of recordings, steps that don't count, what is refused."""

import numpy as np
import pytest
from own_files import write_table

from evornn.errors import EvornnError
from evornn.tasks import TASKS

ROWS = [(f"r{k}", t, (3 * t + k) % 7, ["low", "high"][(3 * t + k) % 7 > 3]) for k in range(8) for t in range(20 + k)]
ONE = [(t, (3 * t) % 7, ["low", "high"][(3 * t) % 7 > 3]) for t in range(100)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(rows=ROWS, header="id,t,x,y", **settings):
    write_table("data.csv", header, rows)
    spec = {"kind": "label", "path": "data.csv", "targets": "y", "group": "id", "inputs": "x"}
    return TASKS.build({**spec, **settings}).data()


def steps(data, split):
    """The times of all steps, by the inputs, and of those that count."""
    (x,) = data.preparation.features
    return np.round(split.inputs[..., 0] * x.std + x.mean).astype(int)


@pytest.mark.parametrize("length", [None, 6, 19])
@pytest.mark.parametrize("washout", [0, 2])
def test_every_step_has_its_answer_once(length, washout):
    data = build(length=length, washout=washout)
    for split in data.splits:
        x = steps(data, split)
        assert (split.targets[split.mask].argmax(axis=1) == (x[split.mask] < 4)).all()  # high comes first
        assert split.inputs.shape[1] <= (length or 27)
        assert not split.mask[:, :washout].any()
    counted = sum(int(split.mask.sum()) for split in data.splits)
    lengths = [20 + k for k in range(8)]
    pieces = [min(length or n, n - begin) for n in lengths for begin in range(0, n, length or n)]
    assert counted == sum(max(piece - washout, 0) for piece in pieces)


def test_one_recording_is_split_in_time():
    data = build(ONE, "t,x,y", group=None, inputs="t", length=15, split=[0.6, 0.2, 0.2])
    (t,) = data.preparation.features
    seen = [np.round(split.inputs[split.mask][:, 0] * t.std + t.mean).astype(int).tolist() for split in data.splits]
    assert seen == [list(range(60)), list(range(60, 80)), list(range(80, 100))]
    assert t.mean == pytest.approx(29.5)


def test_numbers_are_asked_for_where_the_column_holds_numbers():
    rows = [(*row[:3], row[2] * 2 + 1) for row in ROWS]
    data = build(rows)
    (answer,) = data.preparation.answers
    x = steps(data, data.test)
    said = data.test.targets[data.test.mask][:, 0] * answer.std + answer.mean
    np.testing.assert_allclose(said, 2 * x[data.test.mask] + 1, atol=1e-4)
    assert data.loss == "mse" and data.score.name == "R²"
    assert data.baselines[1].test < 1e-4 < data.baselines[0].test
    classes = build(rows, answer="class")
    assert classes.labels[0] == "y is 1, logit" and classes.loss == "cross_entropy" and len(classes.labels) == 7
    several = build([(*row, row[2] ** 2) for row in rows], "id,t,x,y,z", targets=["y", "z"])
    assert several.labels == ("y", "z") and several.sizes == (1, 2)


def test_steps_without_an_answer_do_not_count_if_that_is_said():
    rows = [(*row[:3], "" if row[1] % 3 == 0 else row[3]) for row in ROWS]
    with pytest.raises(EvornnError, match=r"line 2, column 'y': has no answer: fill it in, or set missing to mask"):
        build(rows)
    data = build(rows, missing="mask", length=None)
    for split in data.splits:
        assert not split.mask[:, ::3].any() and split.mask[:, 1:20].sum() == len(split) * 13


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (ROWS, {"targets": ["y", "t"]}, r"2 targets, of which classes are one: name one"),
        (ROWS, {"targets": ["t", "y"], "answer": "numbers"}, r"column 'y' holds no numbers: ask for it alone"),
        (ROWS, {"score": "r2"}, r"score r2 is for numbers, and column 'y' is asked for as classes"),
        (ROWS, {"targets": "t", "score": "f1"}, r"score f1 is for classes, and 't' is asked for as numbers"),
        (ROWS, {"group": None, "folds": 4}, r"folds splits groups, of which there is none: name the column group"),
        (ROWS, {"group": None, "split_column": "y"}, r"split_column splits groups"),
        (ROWS[:41], {}, r"no row is left for (valid|test): the file has 2 sequences"),
        (ROWS[:2], {"group": None}, r"(2 rows are too few|no step of|1 class)"),
        ([(*row[:3], "only") for row in ROWS], {}, r"column 'y' has 1 class"),
        (
            [*ROWS[:-1], ("r7", 99, 1, "other")],
            {"group": None},
            r"class 'other' of column 'y' has no step for",
        ),
        (ROWS, {"washout": 30, "length": None}, r"no step of train has an answer"),
    ],
)
def test_bad_data_get_one_line_that_says_what_to_do(rows, settings, message):
    with pytest.raises(EvornnError, match=message) as caught:
        build(rows, **settings)
    assert "\n" not in str(caught.value)


def test_bad_settings_are_named():
    with pytest.raises(EvornnError, match=r"^task\.washout: leaves no step of a piece to count: set it below length"):
        build(washout=5, length=5)
    with pytest.raises(EvornnError, match=r"^task\.answer: "):
        build(answer="word")
