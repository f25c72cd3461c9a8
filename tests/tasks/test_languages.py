"""Tomita's grammars, counting, nesting and the embedded Reber grammar, against other recognisers."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_data import SEEDS, data, last_targets, texts

from evornn.tasks import parentheses, reber, tomita

# Tomita's grammars.

RECOGNISERS = {
    1: lambda s: re.fullmatch("1*", s),
    2: lambda s: re.fullmatch("(10)*", s),
    3: lambda s: (
        not any(
            one[0] == "1" and zero[0] == "0" and len(one) % 2 == len(zero) % 2 == 1
            for one, zero in itertools.combinations(["".join(run) for _, run in itertools.groupby(s)], 2)
        )
    ),
    4: lambda s: "000" not in s,
    5: lambda s: s.count("0") % 2 == s.count("1") % 2 == 0,
    6: lambda s: (s.count("0") - s.count("1")) % 3 == 0,
    7: lambda s: re.fullmatch("0*1*0*1*", s),
}


@pytest.mark.parametrize("language", RECOGNISERS)
def test_tomita_agrees_with_another_recogniser_on_all_short_strings(language):
    for length in range(11):
        for bits in itertools.product("01", repeat=length):
            string = "".join(bits)
            assert tomita.accepts(language, tuple(map(int, bits))) == bool(RECOGNISERS[language](string)), string


def test_what_is_not_in_the_third_language_is_the_expression_of_the_literature():
    outside = re.compile("((0|1)*0)*1(11)*(0(0|1)*1)*0(00)*(1(0|1)*)*")
    for bits in tomita.strings(range(11)):
        assert tomita.accepts(3, bits) != bool(outside.fullmatch("".join(map(str, bits))))


@pytest.mark.parametrize("language", RECOGNISERS)
def test_tomita_is_asked_as_promised(language):
    found = data("tomita", language=language, test_length=12)
    strings = {name: list(texts(getattr(found, name), "01.")) for name in ("train", "valid", "test")}
    for name, asked in strings.items():
        answers = last_targets(getattr(found, name))[:, 0]
        assert all(text.endswith(".") for text in asked) and len(set(asked)) == len(asked)
        assert [bool(RECOGNISERS[language](text[:-1])) for text in asked] == answers.astype(bool).tolist()
        assert 0 < answers.mean() < 1, "both kinds"
    assert len(strings["train"]) <= 1000 and max(map(len, strings["train"] + strings["valid"])) <= 11
    short = {"".join(bits) + "." for length in (11, 12) for bits in itertools.product("01", repeat=length)}
    assert set(strings["test"]) >= short and len(strings["test"]) == len(short) + 1000
    assert {len(text) for text in strings["test"] if text not in short} == {51}


@given(st.integers(1, 7), st.integers(0, 40), SEEDS)
def test_tomita_walks_stay_in_the_language(language, length, seed):
    bits = tomita.walk(language, length, np.random.default_rng(seed))
    if bits is None:
        assert length % 2 == 1 and (language in (2, 5) or (language, length) == (6, 1)), "there is none"
    else:
        assert len(bits) == length and RECOGNISERS[language]("".join(map(str, bits)))


def test_tomita_walks_reach_every_string_alike():
    rng = np.random.default_rng(3)
    drawn = [tomita.walk(4, 5, rng) for _ in range(4000)]
    inside = [bits for bits in tomita.strings(range(5, 6)) if tomita.accepts(4, bits)]
    counts = np.array([drawn.count(bits) for bits in inside])
    assert counts.sum() == 4000 and np.abs(counts / 4000 * len(inside) - 1).max() < 0.35


# Counting and nesting.


@pytest.mark.parametrize("letters", [2, 3])
def test_anbn_says_what_may_follow(letters):
    found = data("anbn", letters=letters, n=3, valid_n=5, test_n=8)
    language = ["S" + "".join(c * n for c in "abc"[:letters]) + "T" for n in range(1, 30)]
    ns = {"train": range(1, 4), "valid": range(4, 6), "test": range(6, 9)}
    for name, expected in ns.items():
        split = getattr(found, name)
        strings = list(texts(split, "Sabc"))
        assert strings == [language[n - 1][:-1] for n in expected]
        for row, string in enumerate(strings):
            for step in range(len(string)):
                may = {word[step + 1] for word in language if word.startswith(string[: step + 1])}
                assert {"abcT"[k] if k < letters else "T" for k in np.flatnonzero(split.targets[row, step])} == may


def strip(text):
    """What is left of brackets when pairs vanish one after the other."""
    while text != (less := re.sub(r"\(\)|\[\]|\{\}|<>", "", text)):
        text = less
    return text


@given(st.integers(1, 4), st.integers(1, 30), SEEDS)
def test_balanced_strings_are_balanced_and_spoilt_ones_are_not(kinds, pairs, seed):
    rng = np.random.default_rng(seed)
    signs = "([{<"[:kinds] + ")]}>"[:kinds]
    good = parentheses.balanced_string(pairs, kinds, rng)
    bad = parentheses.corrupt(good, kinds, rng)
    assert len(good) == len(bad) == 2 * pairs and sum(a != b for a, b in zip(good, bad, strict=True)) in (1, 2)
    assert strip("".join(signs[k] for k in good)) == "" != strip("".join(signs[k] for k in bad))


def test_balanced_agrees_with_another_recogniser_on_all_short_strings():
    for kinds, longest in ((1, 10), (2, 6)):
        signs = "([{<"[:kinds] + ")]}>"[:kinds]
        for length in range(longest + 1):
            for symbols in itertools.product(range(2 * kinds), repeat=length):
                text = "".join(signs[k] for k in symbols)
                assert parentheses.is_balanced(list(symbols), kinds) == (strip(text) == "")


def test_every_balanced_string_is_as_likely():
    rng = np.random.default_rng(1)
    drawn = [tuple(parentheses.balanced_string(4, 1, rng)) for _ in range(5600)]
    counts = np.array([drawn.count(string) for string in set(drawn)])
    assert len(counts) == 14 and np.abs(counts / 400 - 1).max() < 0.25  # Catalan's number


def test_parentheses_are_asked_as_promised():
    found = data("parentheses", kinds=2)
    for name, pairs in (("train", range(1, 11)), ("test", range(11, 26))):
        split = getattr(found, name)
        strings = list(texts(split, "([)]."))
        assert [not strip(text[:-1]) for text in strings] == last_targets(split)[:, 0].astype(bool).tolist()
        assert {len(text) - 1 for text in strings} == {2 * n for n in pairs}
        assert 0.4 < last_targets(split).mean() < 0.6


@pytest.mark.parametrize("every_step", [False, True])
def test_parity_is_that_of_the_bits_so_far(every_step):
    split = data("parity", every_step=every_step, test_length=60).test
    for inputs, targets, mask in zip(split.inputs[..., 0], split.targets[..., 0], split.mask, strict=True):
        end = np.flatnonzero(mask)[-1] + 1
        assert 20 < end <= 60 and mask.sum() == (end if every_step else 1) and set(np.abs(inputs[:end])) == {1}
        for step in np.flatnonzero(mask):
            assert targets[step] == (inputs[: step + 1] == 1).sum() % 2


# The embedded Reber grammar.

REBER = re.compile(
    "B(?P<outer>[TP])B(?:"
    "TS*X(?:XT*V(?:PXT*V)*(?:PS|V)|S)"  # T: loops on S, then X
    "|PT*V(?:PXT*V)*(?:PS|V)"  # P: loops on T, then V
    ")E(?P=outer)E"
)


@given(SEEDS)
def test_reber_strings_are_in_the_language(seed):
    drawn = reber.Reber().example("train", np.random.default_rng(seed))
    text = "".join(reber.SYMBOLS[k] for k in drawn.inputs.argmax(axis=1))
    assert REBER.fullmatch(text + reber.SYMBOLS[drawn.targets[-1].argmax()])
    assert (drawn.inputs[1:] == drawn.targets[:-1]).all() and drawn.loss_steps == len(text)


def test_reber_knows_what_is_legal_after_every_prefix():
    """What follows it in any string, of all that the expression accepts up to a length."""
    words = [
        word
        for length in range(5, 9)
        for inner in itertools.product("TPSXVE", repeat=length - 1)
        for outer in "TP"
        if REBER.fullmatch(word := f"B{outer}B{''.join(inner)}{outer}E")
    ]
    assert len(words) > 20 and "BTBTXSETE" in words
    for word in words:
        found = reber.legal_symbols(word[:-1])
        assert len(found) == len(word) - 1
        for step, symbols in enumerate(found):
            follow = {
                other[step + 1] for other in words if other.startswith(word[: step + 1]) and len(other) > step + 1
            }
            assert follow <= set(symbols) and word[step + 1] in symbols


def test_reber_is_solved_by_who_puts_what_is_legal_first():
    split = data("reber", train=9, valid=9, test=60).test
    outputs = np.zeros_like(split.targets)
    for row, text in enumerate(texts(split, reber.SYMBOLS)):
        for step, symbols in enumerate(reber.legal_symbols(text)):
            outputs[row, step, [reber.SYMBOLS.index(symbol) for symbol in symbols]] = 1 + row
    judge = reber.Reber().score().compute
    assert judge(outputs, split) == 1.0
    outputs[0, 3] = outputs[0, 3].max()  # no better than what is illegal
    assert judge(outputs, split) == pytest.approx(59 / 60)


def test_reber_repeats_strings_as_often_as_the_grammar_gives_them():
    """BTXSE and BPVVE, the shortest inner ones, come each with probability 1/8; without repeats all four but once."""
    for repeats in (True, False):
        every = data("reber", repeats=repeats, train=2000, valid=50, test=50)
        lengths = [split.mask.sum(axis=1) for split in (every.train, every.valid, every.test)]
        short = np.sum([(found == 8).sum() for found in lengths])
        assert (lengths[0] == 8).mean() == pytest.approx(0.25, abs=0.04) if repeats else short == 4
