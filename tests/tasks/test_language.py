"""The next symbol of a text: windows, the vocabulary, n-grams against their formula, what is refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_files import story

from evornn.errors import EvornnError
from evornn.tasks import TASKS
from evornn.tasks.core.ngrams import ngram_losses
from evornn.tasks.core.task import Sequences
from evornn.tasks.language import UNKNOWN, text_score


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(text, path="text.txt", **settings):
    Path(path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return TASKS.build({"kind": "language", "path": str(path), **settings}).data()


def shown(data, split):
    """(input, target) of every step that counts, as symbols."""
    names = data.preparation.answers[0].categories
    pairs = zip(split.inputs[split.mask].argmax(axis=1), split.targets[split.mask].argmax(axis=1), strict=True)
    return [(names[a], names[b]) for a, b in pairs]


@given(text=st.text("abc d\n", min_size=30, max_size=200), length=st.integers(2, 30), washout=st.integers(0, 29))
def test_every_symbol_is_predicted_once_from_the_one_before(tmp_path_factory, text, length, washout):
    washout = min(washout, length - 1)
    data = build(text, tmp_path_factory.mktemp("text") / "a.txt", length=length, washout=washout, split=[0.6, 0.2, 0.2])
    vocabulary = set(text[: round(0.6 * len(text))])
    known = [symbol if symbol in vocabulary else UNKNOWN for symbol in text]
    ends = [0, round(0.6 * len(text)), round(0.8 * len(text)), len(text)]
    for split, begin, end in zip(data.splits, ends[:-1], ends[1:], strict=True):
        part = known[begin:end]
        assert shown(data, split) == list(pairwise(part))
        assert not split.mask[1:, :washout].any()
        counted_before = split.inputs.sum(axis=2).cumsum(axis=1)
        assert (counted_before[1:][split.mask[1:]] > washout).all()


def test_the_vocabulary_is_that_of_the_training_part():
    data = build("abab" * 20 + "xyz" + "ab" * 8, split=[0.8, 0.1, 0.1])
    assert data.preparation.features[0].categories == (UNKNOWN, "a", "b")
    assert data.valid.targets[..., 0].sum() == 3 and data.train.targets[..., 0].sum() == 0
    words = build("the cat the dog the cat, a bird. " * 3 + "the cat runs " * 9, unit="words", split=[0.4, 0.3, 0.3])
    assert words.preparation.features[0].categories == (UNKNOWN, ",", ".", "a", "bird", "cat", "dog", "the")
    assert build("one two two 2 2 2 'tis don't " * 9, unit="words", vocabulary=2).labels[1:] == (
        "'2' is next, logit",
        "'two' is next, logit",
    )
    small = build("AaBb" * 30, lower=True)
    assert small.preparation.features[0].categories == (UNKNOWN, "a", "b")
    assert build("é" * 90, unit="bytes").preparation.features[0].categories == (UNKNOWN, "169", "195")


def test_words_are_rare_where_they_occur_once():
    text = "a b " * 30 + "once"
    data = build(text + " a b" * 9, unit="words")
    assert data.preparation.features[0].categories == (UNKNOWN, "a", "b") and data.train.targets[..., 0].sum() == 1


@given(st.lists(st.integers(0, 3), min_size=12, max_size=60), st.integers(1, 4))
def test_ngrams_are_their_formula(text, order):
    """With the priors that fit best on validation data, each over all symbols sums to 1."""
    text = np.array(text)
    train, valid = len(text) // 2, 3 * len(text) // 4
    losses = ngram_losses(text, 4, (train, valid), order)
    assert len(losses) == order
    counts = np.bincount(text[:train], minlength=4)
    below = (counts + 0.5) / (train + 2)
    np.testing.assert_allclose(losses[0], -np.log(below[text]))
    if order < 2:
        return
    pairs = list(pairwise(text[:train]))

    def bigram(prior, one, two):
        return (pairs.count((one, two)) + prior * below[two]) / (sum(a == one for a, _ in pairs) + prior)

    fits = []
    for prior in (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0):
        assert sum(bigram(prior, 0, symbol) for symbol in range(4)) == pytest.approx(1)
        chances = [below[text[0]], *(bigram(prior, a, b) for a, b in pairwise(text))]
        fits.append(-np.log(chances))
    best = min(fits, key=lambda loss: loss[train:valid].mean())
    assert losses[1][train:valid].mean() == pytest.approx(best[train:valid].mean())
    assert any(np.allclose(losses[1], fit) for fit in fits)


def test_longer_ngrams_see_further():
    text = "".join("abcab"[k % 5] if k % 2 else "xyz"[(k // 2) % 3] for k in range(4000))
    data = build(text)
    names = [baseline.name for baseline in data.baselines]
    assert names == ["mean", "bigram", "3-gram", "4-gram"]
    tests = [baseline.test for baseline in data.baselines]
    assert tests[0] > tests[1] > tests[2] > tests[3] > 0
    assert tests[0] == pytest.approx(np.log(6), rel=0.02) and "The baseline mean is the unigram" in data.note
    assert f"4-gram: {tests[3] / np.log(2):.3f} bits per character" in data.note


def test_the_unigram_is_the_mean():
    data = build(story(3000), length=20)
    text = "".join(symbol for symbol in story(3000))
    names = data.preparation.features[0].categories
    codes = np.array([names.index(symbol) for symbol in text])
    loss = ngram_losses(codes, len(names), (2400, 2700), 1)[0]
    assert data.baselines[0].test == pytest.approx(loss[2701:].mean(), rel=1e-3)


def test_scores_are_bits_and_perplexity():
    targets = np.eye(3, dtype=np.float32)[[[0, 1, 2]]]
    split = Sequences(targets, targets, np.array([[True, True, False]]))
    even = np.zeros((1, 3, 3), np.float32)
    assert text_score("bits", "word").compute(even, split) == pytest.approx(np.log2(3))
    assert text_score("perplexity", "word").compute(even, split) == pytest.approx(3)
    assert text_score("bits", "word").name == "bits per word"
    assert np.isnan(text_score("bits", "word").compute(even * np.nan, split))


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("abc", {"path": "none.txt"}, r"none\.txt: no such file"),
        (b"caf\xe9 \xff", {}, r"text\.txt: can't be read as text .*: set encoding, or ask for unit: bytes"),
        ("abc" * 30, {"encoding": "utf-77"}, r"can't be read as text .*utf-77"),
        ("", {}, r"text\.txt: 0 characters are left for train: give a longer text, or change the split"),
        ("abcdef", {}, r"[01] characters are left for (valid|test)"),
        ("...", {"unit": "words"}, r"\d words are left for"),
    ],
)
def test_bad_texts_get_one_line_that_says_what_to_do(text, settings, message):
    with pytest.raises(EvornnError, match=message) as caught:
        path = settings.pop("path", None)
        data = build(text, **settings) if path is None else TASKS.build({"kind": "language", "path": path}).data()
        assert data is None
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unit": "syllables"}, r"^task\.unit: "),
        ({"length": 10, "washout": 10}, r"^task\.washout: leaves no step of a window to count: set it below length"),
        ({"vocabulary": 1}, r"^task\.vocabulary: "),
        ({"split": [0.5, 0.5]}, r"^task\.split: must be three fractions"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(EvornnError, match=message):
        build("abc" * 99, **settings)
