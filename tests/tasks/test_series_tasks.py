"""Chorales and series: scores, equations and what is said when something is missing."""

import tempfile
from fractions import Fraction
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from chorale_files import write_chorales
from task_data import data

from evornn.errors import EvornnError
from evornn.tasks import narma
from evornn.tasks.core import chance, chorale_corpus, chorale_file, scores
from evornn.tasks.mackey_glass import mackey_glass

# Music.


def test_chorales_are_what_is_in_the_score():
    """The first beats of BWV 269: the bass leaps by an octave, the tenor's eighth C4 B3 is heard where it begins."""
    from music21 import corpus

    roll = chorale_corpus.piano_roll(corpus.parse("bach/bwv269"))
    beats = [[chorale_corpus.LOWEST + int(key) for key in np.flatnonzero(frame)] for frame in roll[:3]]
    assert beats == [[43, 59, 62, 67], [55, 59, 62, 67], [52, 60, 64, 67]]
    assert len(roll) == 63 and 3 <= roll.sum(axis=1).mean() <= 4


def test_chorales_are_parsed_once_and_a_damaged_file_is_made_again(tmp_path, monkeypatch):
    roll = np.eye(chorale_corpus.KEYS, dtype=np.bool_)
    rolls, calls = [roll[:3], roll[5:9]], []
    monkeypatch.setenv("EVORNN_CACHE", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))  # what another process left is not seen
    monkeypatch.setattr(chorale_corpus, "parse_chorales", lambda: calls.append(1) or rolls)
    for _ in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(chorale_corpus.chorales(), rolls, strict=True))
    (kept,) = (tmp_path / "chorales").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(chorale_corpus.chorales()) == 2 == len(calls)


def test_chorales_are_parsed_each_time_where_nothing_can_be_kept(tmp_path, monkeypatch):
    rolls, calls = [np.eye(chorale_corpus.KEYS, dtype=np.bool_)], []
    monkeypatch.setenv("EVORNN_CACHE", "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null")
    monkeypatch.setattr(chorale_corpus, "parse_chorales", lambda: calls.append(1) or rolls)
    for _ in range(2):
        assert np.array_equal(chorale_corpus.chorales(), rolls)
    assert len(calls) == 2


def test_chorales_say_which_extra_they_want(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(chorale_corpus, "version", absent)
    with pytest.raises(
        EvornnError, match=r"^the task jsb_chorales needs the extra data: pip install 'evornn\[data\]'$"
    ):
        data("jsb_chorales")


def test_a_chain_for_each_key_knows_more_than_how_often_it_sounds():
    found = data("jsb_chorales")
    assert (len(found.train), len(found.valid)) == (229, 76)
    markov, mean = found.baselines
    assert markov.test < 0.97 * mean.test and markov.valid < 0.97 * mean.valid
    constant = np.broadcast_to(
        chance.best_constant(found.loss, found.train).astype(np.float32), found.test.targets.shape
    )
    assert found.score.compute(constant, found.test) == pytest.approx(chorale_corpus.KEYS * mean.test, rel=1e-5)


def test_chorales_of_a_matlab_file_keep_its_split_and_its_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chorale_corpus, "parse_chorales", None)  # music21 is not asked
    variables = write_chorales("some.mat")
    found = data("jsb_chorales", path="some.mat")
    assert [len(split) for split in found.splits] == [3, 2, 1] and "some.mat, 3 / 2 / 1" in found.note
    for split, name in zip(found.splits, chorale_file.VARIABLES, strict=True):
        for row, roll in enumerate(variables[name].ravel()):
            frames = len(roll) - 1
            assert np.array_equal(split.inputs[row, :frames], roll[:-1])
            assert np.array_equal(split.targets[row, :frames], roll[1:])
            assert split.mask[row].sum() == frames
    assert found.labels[0] == "MIDI 21 sounds next, logit" and found.sizes == (88, 88)


def cell(matrix):
    cells = np.empty((1, 1), object)
    cells[0, 0] = np.asarray(matrix)
    return cells


@pytest.mark.parametrize(("changes", "problem"), [
    ({"validdata": None}, "no cell array validdata"),
    ({"testdata": np.zeros((4, 88))}, "no cell array testdata"),
    ({"traindata": cell(np.zeros((4, 87)))}, "traindata, chorale 1: not a matrix of 0 and 1 with .* 88 columns"),
    ({"traindata": cell(np.zeros((1, 88)))}, "traindata, chorale 1: not a matrix .* two at least"),
    ({"testdata": cell(np.full((4, 88), 2))}, "testdata, chorale 1: not a matrix of 0 and 1"),
    ({"testdata": cell("Bach")}, "testdata, chorale 1: not a matrix of 0 and 1"),
])  # fmt: skip
def test_another_matlab_file_is_said_in_a_line(tmp_path, changes, problem):
    write_chorales(path := tmp_path / "other.mat", **changes)
    with pytest.raises(EvornnError, match=rf"other\.mat.*{problem}.*: give JSB_Chorales\.mat$") as caught:
        data("jsb_chorales", path=str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "problem"), [
    (None, "no such file in .*: check the path"), (b"", "can't be read as a MATLAB file"),
    (b"date,load\n" * 90, "can't be read as a MATLAB file"), ("damaged", "can't be read as a MATLAB file"),
])  # fmt: skip
def test_a_file_that_is_not_matlabs_is_said_in_a_line(tmp_path, content, problem):
    path = tmp_path / "some.mat"
    if content == "damaged":
        write_chorales(path)
        content = path.read_bytes()[:1000]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EvornnError, match=rf"some\.mat: {problem}") as caught:
        data("jsb_chorales", path=str(path))
    assert "\n" not in str(caught.value)


# Series.


def test_narma_follows_its_equation():
    split = data("narma", washout=20, train=60).train
    u = [Fraction(float(value)) for value in split.inputs[0, :, 0]]
    y = [Fraction(0)]
    for t in range(len(u)):
        past = sum((y[t - i] for i in range(10) if t - i >= 0), Fraction(0))
        delayed = u[t - 9] if t >= 9 else Fraction(0)
        y.append(Fraction(3, 10) * y[t] + y[t] * past / 20 + Fraction(3, 2) * delayed * u[t] + Fraction(1, 10))
        y[-1] = y[-1].limit_denominator(10**12)
    np.testing.assert_allclose(split.targets[0, 20:, 0], [float(v) for v in y[21:]], rtol=1e-5)
    assert split.mask[0].tolist() == [False] * 20 + [True] * 60 and 0 <= split.inputs.min() < split.inputs.max() <= 0.5


def test_narma_says_when_the_system_runs_away():
    assert np.isinf(narma.narma(np.full(400, 0.5), 40)).any()
    with pytest.raises(EvornnError, match=r"order: NARMA-200 diverges .*: lower order"):
        data("narma", order=200)


def test_nrmse_is_one_for_the_mean_and_zero_for_the_truth():
    split = data("narma", train=300).train
    score = scores.nrmse()
    mean = np.full_like(split.targets, split.targets[split.mask].mean())
    assert score.compute(mean, split) == pytest.approx(1.0) and score.compute(split.targets, split) == 0.0
    assert score.compute(2 * mean - split.targets, split) == pytest.approx(2.0)


def test_mackey_glass_keeps_its_equation_and_its_shape():
    x = mackey_glass(1500, 17)[500:]
    assert 0.2 < x.min() < 0.5 and 1.2 < x.max() < 1.4
    slope = (x[19:] - x[17:-2]) / 2  # central differences at times 18, 19, …
    wanted = 0.2 * x[1:-18] / (1 + x[1:-18] ** 10) - 0.1 * x[18:-1]
    assert np.abs(slope - wanted).max() < 0.01
    still = mackey_glass(4000, 1)  # without a delay that matters it comes to rest at 1: 0.2 / (1 + 1) = 0.1
    assert still[-1] == pytest.approx(1.0, abs=1e-6)


def test_sines_are_the_sum_of_sines():
    found = data("sines", count=3, rows=200)
    t = np.arange(1, 201)
    wanted = np.sin(0.2 * t) + np.sin(0.311 * t) + np.sin(0.42 * t)
    np.testing.assert_allclose(found.chart.truth[:, 0], wanted[170:], atol=1e-4)
    assert found.baselines[-1].test < 1e-6


def test_motion_repeats_its_primitives_in_the_order_told():
    split = data("motion", noise=0.0, period=8, repeats=2, train=200, valid=9, test=9).train
    orders = {}
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        end = mask.sum()
        path, period = np.vstack([inputs[:1, :2], targets[:end]]), end // 6
        assert (inputs[1:end, :2] == targets[: end - 1]).all() and period in (7, 8, 9) and end == 6 * period
        movements = path[:-1].reshape(6, period, 2)
        np.testing.assert_allclose(movements[::2], movements[1::2], atol=1e-6)
        assert not path[::period].round(6).any(), "each begins and ends at home"
        kinds = tuple((bool(np.ptp(m[:, 0]) > 0.5), bool(np.ptp(m[:, 1]) > 0.5)) for m in movements[::2])
        assert orders.setdefault(int(inputs[0, 2:].argmax()), kinds) == kinds and not inputs[1:, 2:].any()
    assert len(set(orders.values())) == len(orders) == 6
