"""What each classical task promises, against recognisers and formulas written in another way."""

import itertools
import re
import sys
from fractions import Fraction
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.tasks import TASKS, alkanes, arithmetic, narma, parentheses, reber, tomita
from evornn.tasks.arithmetic_trees import value
from evornn.tasks.core import chance, chorale_corpus, scores, smiles, trees
from evornn.tasks.core.bag import add_bag_baseline
from evornn.tasks.core.generated import make_data, pad_sequences
from evornn.tasks.core.task import Sequences
from evornn.tasks.core.trees import Tree, Vocabulary
from evornn.tasks.logic_trees import LABELS, VOCABULARY, truth
from evornn.tasks.mackey_glass import mackey_glass

SEEDS = st.integers(0, 2**32 - 1)


def data(kind, **settings):
    return TASKS.build({"kind": kind, **settings}).data()


def texts(split, symbols):
    """The sequences of one-hot symbols up to the last step that counts, as text."""
    for inputs, mask in zip(split.inputs, split.mask, strict=True):
        steps = inputs[: np.flatnonzero(mask)[-1] + 1]
        assert (steps.sum(axis=1) == 1).all()
        yield "".join(symbols[k] for k in steps.argmax(axis=1))


def last_targets(split):
    return split.targets[np.arange(len(split)), [np.flatnonzero(mask)[-1] for mask in split.mask]]


@pytest.mark.parametrize(("kind", "worse"), [("logic_trees", 0.05), ("arithmetic_trees", 0.5)])
def test_a_bag_of_nodes_knows_something_but_not_all(kind, worse):
    bag, mean = data(kind).baselines
    assert bag.name == "bag of nodes" and worse < bag.valid < mean.valid


def test_a_bag_of_nodes_knows_all_where_the_shape_does_not_count():
    trees_ = [Tree(2, (Tree(a), Tree(2, (Tree(b), Tree(c))))) for a, b, c in itertools.product((0, 1), repeat=3)]
    truths = [sum(child.label for child in (t.children[0], *t.children[1].children)) for t in trees_]
    for loss, answers in (("mse", truths), ("binary_cross_entropy", [n > 1 for n in truths])):
        split = pad_sequences(
            [trees.tree_example(tree, 2, 3, float(answer)) for tree, answer in zip(trees_, answers, strict=True)]
        )
        found = add_bag_baseline(make_data(split, split, split, loss=loss, labels=("",), note=""), arity=2)
        assert found.baselines[0].test < 0.02 < found.baselines[1].test


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


# Looking ahead.


@given(st.integers(1, 12), st.integers(1, 25), SEEDS)
def test_the_weighted_average_is_that_of_the_paper(past, future, seed):
    task = TASKS.build({"kind": "weighted_average", "past": past, "future": future, "length": 30})
    x = np.random.default_rng(seed).random(30)
    at = dict(enumerate(x))
    for t, y in enumerate(task.average(x)):
        before = sum(at.get(t - d, 0) * (1 - d / past) for d in range(1, past + 1)) / past
        ahead = sum(at.get(t + d, 0) * (1 - d / future) for d in range(future)) / future
        assert y == pytest.approx(before + ahead)


def test_who_does_not_look_ahead_can_not_be_better_than_the_past_alone():
    found = data("weighted_average", train=3000, valid=10, test=500, length=40)
    past, mean = found.baselines
    assert past.name == "past alone" and past.test < mean.test
    place = 20  # best linear answer at one step from all inputs up to it, fitted on very many sequences
    seen = [np.hstack([np.ones((len(s), 1)), s.inputs[:, : place + 1, 0]]) for s in (found.train, found.test)]
    weights = np.linalg.lstsq(seen[0], found.train.targets[:, place, 0], rcond=None)[0]
    error = np.square(seen[1] @ weights - found.test.targets[:, place, 0]).mean()
    ahead = sum(((1 - d / 20) / 20) ** 2 for d in range(1, 20)) / 12
    assert error == pytest.approx(ahead, rel=0.2)
    assert past.test < ahead, "less is unknown near the end"


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


# Long time lags.


@pytest.mark.parametrize(("relevant", "places"), [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])])
def test_temporal_order_is_as_in_the_paper(relevant, places):
    split = data("temporal_order", relevant=relevant, train=2000, valid=1, test=1).train
    lengths = set()
    for text, target in zip(texts(split, "EBabcdXY"), last_targets(split), strict=True):
        found = re.fullmatch("E[abcdXY]*B", text) and [m.start() for m in re.finditer("[XY]", text)]
        assert all(first <= at <= last for at, (first, last) in zip(found, places, strict=True))
        order = "".join(text[at] for at in found)
        assert target.tolist() == [k == int(order.translate({88: "0", 89: "1"}), 2) for k in range(2**relevant)]
        lengths.add(len(text))
    assert lengths == set(range(100, 111))


def test_rare_events_come_back_after_the_lag():
    found = data("rare_events", lag=4, blocks=6, train=20, valid=10, test=10)
    for text, targets in zip(texts(found.train, "axbcde"), found.train.targets, strict=True):
        stream = text + "axbcde"[targets[-1].argmax()]
        assert re.fullmatch(r"(?:([ax])bcde\1)*", stream) and len(stream) == 6 * 6
        assert stream[1:] == "".join("axbcde"[k] for k in targets.argmax(axis=1))
    outputs = 9 * found.test.targets
    starts = np.arange(5, 35, 6)  # the step before a block begins
    outputs[:, starts] = 0
    assert found.score.compute(outputs, found.test) == 1
    outputs[3, 4] = 0  # the event is not remembered
    assert found.score.compute(outputs, found.test) == 0.9


# Arithmetic.


def test_arithmetic_is_pythons():
    split = data("arithmetic", digits=2, distractors=2, train=300, valid=10, test=10).train
    signs, letters = set(), set()
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        end = np.flatnonzero(mask)[-1] + 1
        question, answer = "".join(arithmetic.INPUT_SYMBOLS[k] for k in inputs[:end].argmax(axis=1)).split("=")
        said = "".join(arithmetic.OUTPUT_SYMBOLS[k] for k in targets[mask].argmax(axis=1))
        expression = re.sub("[a-z]", "", question)
        first, sign, second = re.fullmatch(r"(-?\d\d?)([+-])(\d\d?)", expression).groups()
        assert said == f"{answer}." and int(answer) == int(first) + int(sign + second)
        assert (inputs[:end].sum(axis=1) == 1).all() and (targets[mask].sum(axis=1) == 1).all()
        assert mask.sum() == len(said) and not re.search("[a-z]{3}|^[a-z]", question)
        signs.add((first < "0", sign))
        letters |= set(question) - set(expression)
    assert len(signs) == 4 and len(letters) == 26


def test_a_step_is_right_by_itself():
    judge = scores.step_accuracy("characters", scores.argmax_matches).compute
    outputs = 2 * ASKED.targets - 1
    assert judge(outputs, ASKED) == 1.0
    outputs[0, 1], outputs[1, 1] = np.nan, -outputs[1, 1]  # the first one does not count
    assert judge(outputs, ASKED) == 0.75


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
    monkeypatch.setattr(chorale_corpus, "parse_chorales", lambda: calls.append(1) or rolls)
    for _ in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(chorale_corpus.chorales(), rolls, strict=True))
    (kept,) = (tmp_path / "chorales").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(chorale_corpus.chorales()) == 2 == len(calls)


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


# Memory.


def test_copy_says_the_bits_again():
    split = data("copy", length=5, test_length=9, train=50, valid=10, test=50).test
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        n = int(inputs[:, -1].argmax())
        assert (
            5 < n <= 9 and inputs[:, -1].sum() == 1 and np.flatnonzero(mask).tolist() == list(range(n + 1, 2 * n + 1))
        )
        assert (targets[mask] == inputs[:n, :-1]).all() and not inputs[n + 1 :].any()


def test_repeat_copy_repeats_as_often_as_told():
    split = data("repeat_copy", length=4, repeats=5, test_length=6, train=80, valid=10, test=80).train
    told = set()
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        n = int(inputs[:, -2].argmax())
        repeats = round(5 * inputs[n, -1])
        told.add(repeats)
        assert (targets[mask][:-1, :-1] == np.tile(inputs[:n, :-2], (repeats, 1))).all()
        assert targets[mask][:, -1].tolist() == [0] * (n * repeats) + [1] and not inputs[n + 1 :].any()
    assert told == {1, 2, 3, 4, 5}


def test_associative_recall_wants_the_item_after_the_one_that_is_shown():
    split = data("associative_recall", train=60, valid=10, test=60).test
    counts = set()
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        begins, (first, second) = np.flatnonzero(inputs[:, -2]), np.flatnonzero(inputs[:, -1])
        items = [inputs[at + 1 : at + 4, :-2].tolist() for at in begins]
        assert second == first + 4 and np.flatnonzero(mask).tolist() == [second + 1, second + 2, second + 3]
        assert len({str(item) for item in items}) == len(items)
        asked = items.index(inputs[first + 1 : second, :-2].tolist())
        assert targets[mask].tolist() == items[asked + 1]
        counts.add(len(items))
    assert counts == set(range(7, 13))


@pytest.mark.parametrize(("how", "kept"), [("flipped", -1), ("erased", 0)])
def test_patterns_are_spoilt_as_told(how, kept):
    task = TASKS.build({"kind": "pattern_completion", "how": how, "spoilt": 0.25, "partner": 7})
    given_patterns, wanted = task.pairs()
    split = task.data().test
    for inputs, target in zip(split.inputs, last_targets(split), strict=True):
        k = next(k for k in range(4) if (target == wanted[k]).all())
        assert (inputs[0] == given_patterns[k]).sum() == 24 and (inputs[0] == kept * given_patterns[k]).sum() == 8
        assert not inputs[1:].any()


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


# Trees.


def rebuilt(inputs, arity):
    """Rows of a tree → the tree."""
    nodes = []
    for row in inputs:
        children = tuple(nodes[int(place) - 1] for place in row[:arity] if place)
        nodes.append(Tree(int(row[arity:].argmax()), children))
    return nodes[-1]


@given(st.integers(0, 25), SEEDS)
def test_trees_travel_in_post_order(operators, seed):
    tree = trees.random_tree(operators, VOCABULARY, np.random.default_rng(seed))
    rows = trees.encode_tree(tree, 2, len(LABELS))
    assert rebuilt(rows, 2) == tree
    assert (rows[:, :2].max(axis=1) <= np.arange(len(rows))).all(), "children come first"
    assert sorted(rows[:, :2][rows[:, :2] > 0].tolist()) == list(range(1, len(rows))), "each node but the root is one"
    assert (rows[:, 2:].argmax(axis=1) >= 2).sum() == operators


@given(st.integers(0, 12), SEEDS)
def test_truth_is_pythons(operators, seed):
    tree = trees.random_tree(operators, VOCABULARY, np.random.default_rng(seed))

    def text(node):
        inner = [text(child) for child in node.children]
        word = {"false": "False", "true": "True", "xor": "!="}.get(LABELS[node.label], LABELS[node.label])
        return word if not inner else f"({word} {inner[0]})" if len(inner) == 1 else f"({inner[0]} {word} {inner[1]})"

    assert truth(tree) == eval(text(tree))


@given(st.integers(0, 12), SEEDS)
def test_values_are_pythons(operators, seed):
    tree = trees.random_tree(operators, Vocabulary(tuple(range(7)), (), (7, 8)), np.random.default_rng(seed))

    def text(node):
        return str(node.label - 3) if not node.children else f"({'+-'[node.label - 7].join(map(text, node.children))})"

    assert value(tree, 3) == eval(text(tree).replace("--", "+"))


@pytest.mark.parametrize(("kind", "arity", "answer"), [
    ("logic_trees", 2, lambda tree: truth(tree)),
    ("arithmetic_trees", 2, lambda tree: value(tree, 10) / 10),
])  # fmt: skip
def test_the_answer_belongs_to_the_root(kind, arity, answer):
    found = data(kind)
    for name in ("train", "test"):
        split = getattr(found, name)
        sizes = set()
        for inputs, mask, target in zip(split.inputs, split.mask, last_targets(split), strict=True):
            end = np.flatnonzero(mask)[-1] + 1
            tree = rebuilt(inputs[:end], arity)
            assert mask.sum() == 1 and target[0] == pytest.approx(float(answer(tree)))
            sizes.add(int((inputs[:end, 0] > 0).sum()))
        task = TASKS.build({"kind": kind})
        assert sizes == set(
            range(1, task.length + 1) if name == "train" else range(task.length + 1, task.test_length + 1)
        )


# Alkanes.


@st.composite
def molecules(draw):
    """A random acyclic alkane: bonds between atoms, as pairs."""
    bonds, degree = [], [0]
    for atom in range(1, draw(st.integers(1, 16))):
        free = [k for k in range(atom) if degree[k] < 4]
        other = draw(st.sampled_from(free))
        bonds.append((other, atom))
        degree[other] += 1
        degree.append(1)
    return bonds, degree


def written(bonds, count, start, rng):
    """The molecule in SMILES from any atom, branches in any order."""
    around = [[] for _ in range(count)]
    for one, other in bonds:
        around[one].append(other)
        around[other].append(one)

    def text(atom, parent):
        branches = [text(child, atom) for child in rng.permutation(around[atom]) if child != parent]
        return "C" + "".join(f"({branch})" for branch in branches[:-1]) + "".join(branches[-1:])

    return text(start, -1)


@given(molecules(), SEEDS)
def test_smiles_have_one_tree_however_they_are_written(molecule, seed):
    (bonds, degree), rng = molecule, np.random.default_rng(seed)
    one, other = (written(bonds, len(degree), int(rng.integers(len(degree))), rng) for _ in range(2))
    parsed = smiles.parse(one)
    assert sorted(len(near) for near in parsed) == sorted(degree)
    tree = smiles.tree(one)
    assert tree == smiles.tree(other)
    nodes = [tree]
    for node in nodes:
        nodes += node.children
    assert sorted(4 - node.label for node in nodes) == sorted(degree) and len(tree.children) <= 1
    assert max(len(node.children) for node in nodes) <= smiles.ARITY


def test_molecules_that_differ_have_different_trees():
    hexanes = ["CCCCCC", "CCCC(C)C", "CCC(C)CC", "CC(C)C(C)C", "CCC(C)(C)C"]
    assert len({smiles.tree(text) for text in hexanes}) == 5
    assert smiles.tree("CCC[C@@H](C)CC") == smiles.tree("CCCC(C)CC")
    assert smiles.tree("C") == Tree(4) and smiles.tree("CC") == Tree(3, (Tree(3),))


@pytest.mark.parametrize(
    "text", ["", "CO", "C=C", "C1CC1", "C(C", "CC)", "(C)C", "C()C", "C((C))C", "C(C)(C)(C)(C)C", "c"]
)
def test_what_is_no_alkane_is_refused(text):
    with pytest.raises(EvornnError, match="give an acyclic alkane"):
        smiles.tree(text)


@given(st.text(alphabet="C()[H@]=1", max_size=12))
def test_any_text_is_a_tree_or_a_clear_error(text):
    try:
        assert smiles.tree(text)
    except EvornnError as error:
        assert "\n" not in str(error)


def test_alkanes_boil_where_the_handbooks_say():
    known = dict(alkanes._boiling_points())
    for text, kelvin in {"C": 111.67, "CCC": 231.0, "CCCCCC": 341.9, "CC(C)(C)C": 282.65, "CCCCCCCCCC": 447.3}.items():
        assert known[smiles.tree(text)] == pytest.approx(kelvin, abs=0.6)
    found = data("alkanes")
    assert len(known) == sum(len(getattr(found, name)) for name in ("train", "valid", "test")) > 700
    size = next(b for b in found.baselines if b.name == "carbon atoms")
    assert size.test < found.baselines[0].test / 3
    answers = found.train.targets[found.train.mask]
    assert answers.mean() == pytest.approx(0, abs=1e-5) and answers.std() == pytest.approx(1, abs=1e-5)
    off = found.score.compute(found.test.targets + 0.1, found.test)
    assert off == pytest.approx(0.1 * np.std([known[rebuilt(*tree)] for tree in molecule_trees(found.train)]), rel=1e-3)


def molecule_trees(split):
    return [(inputs[: np.flatnonzero(mask)[-1] + 1], 3) for inputs, mask in zip(split.inputs, split.mask, strict=True)]


def test_alkanes_say_which_extra_they_want(monkeypatch):
    alkanes._boiling_points.cache_clear()
    for name in ("chemicals", "chemicals.identifiers", "chemicals.phase_change"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EvornnError, match=r"^the task alkanes needs the extra data: pip install 'evornn\[data\]'$"):
        data("alkanes")


# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "tomita", "language": 8}, r"^task\.language: .*less than or equal to 7"),
        ({"kind": "tomita", "length": 12, "test_length": 12}, r"^task\.test_length: .*set it above length"),
        ({"kind": "anbn", "letters": 4}, r"^task\.letters: "),
        ({"kind": "anbn", "n": 20}, r"^task\.valid_n: leaves no string: set it above n"),
        ({"kind": "anbn", "valid_n": 60}, r"^task\.test_n: leaves no string: set it above valid_n"),
        ({"kind": "parity", "length": 100}, r"^task\.test_length: .*set it above length"),
        ({"kind": "parentheses", "kinds": 5}, r"^task\.kinds: "),
        ({"kind": "copy", "width": 0}, r"^task\.width: .*greater than or equal to 1"),
        ({"kind": "associative_recall", "width": 1, "vectors": 2}, r"^task\.width: too few bits .*raise width"),
        ({"kind": "pattern_completion", "spoilt": 1.0}, r"^task\.spoilt: .*less than 1"),
        ({"kind": "pattern_completion", "how": "lost"}, r"^task\.how: .*'flipped' or 'erased'"),
        ({"kind": "reber", "train": 0}, r"^task\.train: "),
        ({"kind": "sines", "count": 6}, r"^task\.count: "),
        ({"kind": "narma", "data_seed": -1}, r"^task\.data_seed: "),
        ({"kind": "parity", "lenght": 3}, r"did you mean 'length'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(EvornnError, match=message) as caught:
        TASKS.build(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [
    {"kind": "parity", "length": 3, "train": 12}, {"kind": "copy", "length": 1, "width": 2, "train": 5},
    {"kind": "rare_events", "blocks": 3}, {"kind": "pattern_completion", "size": 4, "patterns": 1},
])  # fmt: skip
def test_too_few_different_sequences_are_said(settings):
    with pytest.raises(EvornnError, match=r"too few different sequences .*: lower train, valid or test"):
        TASKS.build(settings).data()


# Scores.

ASKED = Sequences(
    inputs=np.zeros((2, 3, 1), np.float32),
    targets=np.array([[[0, 1], [0, 0], [1, 0]], [[0, 1], [1, 0], [0, 0]]], np.float32),
    mask=np.array([[True, False, True], [True, True, False]]),
)


@pytest.mark.parametrize(("right", "good", "bad"), [
    (scores.logits_match, 2.0, 0.0), (scores.argmax_matches, 1.0, -1.0), (scores.matches_within(0.3), 0.5, 0.5),
    (scores.signs_match, 1.0, -1.0),
    (scores.sigmoid_matches_within(0.3), 2.0, 0.8),
])  # fmt: skip
def test_a_sequence_is_right_when_all_its_steps_that_count_are(right, good, bad):
    asked = ASKED
    if right is scores.signs_match:
        asked = Sequences(ASKED.inputs, 2 * ASKED.targets - 1, ASKED.mask)
    exact = right.__qualname__.rpartition(".")[0] == "matches_within.<locals>" and "sigmoid" not in right.__qualname__
    outputs = asked.targets.copy() if exact else good * (2 * ASKED.targets - 1)
    judge = scores.sequence_accuracy("sequences", right).compute
    assert judge(outputs, asked) == 1.0
    outputs[0, 1] = np.nan  # does not count
    assert judge(outputs, asked) == 1.0
    outputs[1, 1] = outputs[1, 1] + 0.31 if exact else bad * (2 * ASKED.targets[1, 1] - 1)
    assert judge(outputs, asked) == 0.5


def test_streams_of_tasks_do_not_overlap():
    """Two tasks of one seed draw different numbers."""
    bits = [Streams(0, name).child("train").at(0).integers(0, 2, 64).tolist() for name in ("Parity", "Copy")]
    assert bits[0] != bits[1]
